import type { local } from "@pulumi/command";
import type * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { NODE_NAME, NODE_PORT, NODE_PROGRAM } from "../defaults";
import { owner } from "../claim";
import { defaultStateDir } from "../names";
import { clusterObjectOptions, withoutDeletedWith } from "../options";
import * as rules from "../rules";
import { stepInvoke, stepResource } from "../step";
import { checkArgs, plain, required, text, throwProblems, type Problem } from "../validation";
import { NodeRuntime } from "../../steps/contract";
import { nodeSettingsRules, type NodeSettings } from "./nodeSettings";
import { CertificateApproval } from "./certificateApproval";
import { KrustletBootstrap } from "./krustletBootstrap";
import { nodeRights } from "./nodeRights";

export interface KrustletNodeArgs extends NodeSettings {
    /** File of the cluster\'s admin kubeconfig. Required. Example: `cluster.kubeconfigFile`. */
    kubeconfigFile: pulumi.Input<string>;
    /** What tells this cluster from any other, made before or after it: `KindCluster.identity`. Required. */
    clusterIdentity: pulumi.Input<string>;
    /**
     * IPv4 address of this host that the node announces and listens on; the API server must reach it. Required, but for a node in a
     * container, which has an address of its own. For a kind cluster: `KindCluster.nodeAddress`.
     */
    nodeIp?: pulumi.Input<string>;
    /**
     * Docker network of the cluster's own nodes, for a node in a container, which must be able to reach them: `KindCluster.network`.
     * Required there.
     */
    network?: pulumi.Input<string | undefined>;
    /** Name of the node, unique in its cluster. Another name makes another node. Default: `krustlet`. */
    nodeName?: pulumi.Input<string>;
    /** Registries (host:port) that the node speaks plain HTTP to. Default: none. Example: `["localhost:5001"]`. */
    insecureRegistries?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Where the node finds registries (host:port) instead of at the name that images have for them; whether it is plain HTTP goes by the
     * name. In a container this host's loopback addresses are not this host's. Default: none. Example:
     * `{ "localhost:5001": hosting.inClusterAddress }`.
     */
    registryMirrors?: pulumi.Input<Record<string, pulumi.Input<string>>>;
}

const children = new Children<{
    bootstrap: KrustletBootstrap;
    agent: local.Command;
    certificates: CertificateApproval;
    ready: local.Command;
    role: kubernetes.rbac.v1.ClusterRole;
    roleBinding: kubernetes.rbac.v1.ClusterRoleBinding;
}>();

/** What the arguments may not be together. */
function nodeProblems({ runtime, nodeIp, network, podAddresses }: Partial<KrustletNodeArgs> = {}): Problem[] {
    if (runtime !== NodeRuntime.Container) {
        return [
            ...(podAddresses ? [plain("podAddresses", 'is for runtime "container"')] : []),
            ...(nodeIp === undefined ? [plain("nodeIp", "is missing; for example cluster.nodeAddress")] : []),
            ...(network === undefined ? [] : [plain("network", 'is for runtime "container"')]),
        ];
    }
    return [
        ...(nodeIp === undefined
            ? []
            : [plain("nodeIp", "is Docker's to give to a node in a container; leave it out")]),
        ...(network === undefined ? [plain("network", "is missing; for example cluster.network")] : []),
    ];
}

/** The network of a node in a container, which the cluster may turn out to have none of. */
function networkOf(name: string, network: pulumi.Input<string | undefined>): pulumi.Output<string> {
    return pulumi.output(network).apply((known) => {
        const none =
            "the cluster has none of this host's Docker; a node in a container needs one, as kind's has it";
        throwProblems(`KrustletNode "${name}"`, known === undefined ? [plain("network", none)] : []);
        return known ?? "";
    });
}

/**
 * A Kubernetes node that runs WebAssembly: Krustlet's agent on this host, joined to the cluster and Ready. It is a process, or with
 * `runtime` a container on the cluster's network (docs/decisions/0016-node-in-a-container.md).
 *
 * @example
 * new KrustletNode("node",
 *     { kubeconfigFile: cluster.kubeconfigFile, clusterIdentity: cluster.identity, nodeIp: cluster.nodeAddress },
 *     cluster.inCluster());
 */
export class KrustletNode extends pulumi.ComponentResource {
    /** Name of the node, known when it is Ready. */
    readonly nodeName: pulumi.Output<string>;
    /** Its label `kubernetes.io/hostname`, known when it is Ready: give it to workloads as `node`. */
    readonly hostname: pulumi.Output<string>;
    /** Version of the agent, as the Node object tells it. */
    readonly kubeletVersion: pulumi.Output<string>;
    /** File that the agent logs to. */
    readonly logFile: pulumi.Output<string>;
    /** Folder of all that the node leaves on this host. */
    readonly stateDir: pulumi.Output<string>;

    /**
     * @param opts `provider` must be the cluster's Kubernetes provider. `deletedWith` is for the objects in the cluster; the
     * process on this host is always stopped.
     */
    constructor(name: string, args: KrustletNodeArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:KrustletNode", name, {}, withoutDeletedWith(opts));
        const checked = checkArgs(
            "KrustletNode",
            name,
            args,
            {
                kubeconfigFile: required(text, "cluster.kubeconfigFile"),
                clusterIdentity: required(text, "cluster.identity"),
                nodeIp: rules.ipv4,
                network: text,
                nodeName: rules.nodeName,
                insecureRegistries: rules.registries,
                registryMirrors: rules.registryMirrors,
                ...nodeSettingsRules,
            },
            nodeProblems(args),
        );
        const inCluster = clusterObjectOptions(this, "KrustletNode", name, opts);
        const { kubeconfigFile, clusterIdentity, certificateDurationSeconds } = checked;
        const network =
            checked.runtime === NodeRuntime.Container ? networkOf(name, checked.network) : undefined;
        const nodeName = pulumi.output(checked.nodeName ?? NODE_NAME);
        const tokenTtlSeconds = checked.tokenTtlSeconds ?? 600;
        this.stateDir = pulumi.output(checked.stateDir ?? nodeName.apply(defaultStateDir));

        const bootstrap = new KrustletBootstrap(
            `${name}-bootstrap`,
            {
                kubeconfigFile,
                clusterIdentity,
                nodeName,
                file: pulumi.interpolate`${this.stateDir}/bootstrap.kubeconfig`,
                tokenTtlSeconds,
                network,
            },
            { parent: this, deletedWith: opts?.deletedWith },
        );
        const program = checked.program ?? NODE_PROGRAM;
        const seesNodes = network !== undefined && checked.podAddresses !== false;
        const rights = nodeRights(name, nodeName, seesNodes, inCluster);
        const observed = stepInvoke(
            "observeNode",
            { resource: `${name}-agent`, program, nodeName, stateDir: this.stateDir },
            { parent: this },
        );
        const agent = stepResource(
            `${name}-agent`,
            {
                create: "launchNode",
                delete: "stopNode",
                input: {
                    kubeconfigFile,
                    owner: owner(),
                    program,
                    nodeName,
                    nodeIp: checked.nodeIp,
                    network,
                    port: checked.port ?? NODE_PORT,
                    maxPods: checked.maxPods ?? 110,
                    labels: pulumi.output(checked.labels ?? {}),
                    insecureRegistries: pulumi.output(checked.insecureRegistries ?? []),
                    registryMirrors: checked.registryMirrors && pulumi.output(checked.registryMirrors),
                    trustedCaFile: checked.trustedCaFile,
                    dockerConfigFile: checked.dockerConfigFile,
                    allowedHostPaths: checked.allowedHostPaths && pulumi.output(checked.allowedHostPaths),
                    allowedEgress: checked.allowedEgress && pulumi.output(checked.allowedEgress),
                    podAddresses: checked.podAddresses,
                    wasi03: checked.wasi03,
                    otlpEndpoint: checked.otlpEndpoint,
                    otlpSamplingRatio: checked.otlpSamplingRatio,
                    stateDir: this.stateDir,
                    bootstrapFile: bootstrap.file,
                    bootstrapGroup: bootstrap.group,
                    tokenTtlSeconds,
                    certificateDurationSeconds,
                    certificateRenewalPercent: checked.certificateRenewalPercent,
                    drainTimeoutSeconds: checked.drainTimeoutSeconds,
                    because: observed.because,
                },
                // What makes it another node. Anything else restarts the agent and keeps its identity.
                triggers: [clusterIdentity, nodeName, this.stateDir],
            },
            // It asks for the other nodes at once, for Services when a program does.
            { parent: this, dependsOn: seesNodes ? [rights.binding] : [] },
        );
        const agentPid = agent.output.pid;
        // Each start of a container may bring another one, which the next update hears of by the agent's step.
        const nodeIp = checked.nodeIp ?? agent.output.apply(({ nodeIp: given }) => given ?? "");
        const certificates = new CertificateApproval(
            `${name}-certificates`,
            {
                kubeconfigFile,
                clusterIdentity,
                nodeName,
                nodeIp,
                bootstrapGroup: bootstrap.group,
                stateDir: this.stateDir,
                agentPid,
                certificateDurationSeconds,
                network,
            },
            {
                parent: this,
                deletedWith: opts?.deletedWith,
                // The agent's end is the approver's too, whose own would be a process more.
                transformations: [
                    ({ name: child, props, opts }) =>
                        child === `${name}-certificates-approver`
                            ? { props, opts: { ...opts, deletedWith: agent.command } }
                            : undefined,
                ],
            },
        );
        const ready = stepResource(
            `${name}-ready`,
            {
                create: "awaitNode",
                input: {
                    kubeconfigFile,
                    nodeName,
                    stateDir: this.stateDir,
                    // Once the requests are approved, whatever else the approval makes: the approver starts meanwhile.
                    agentPid: pulumi.all([agentPid, certificates.servingRequest]).apply(([pid]) => pid),
                    timeoutSeconds: checked.readyTimeoutSeconds ?? 120,
                },
                triggers: [clusterIdentity],
            },
            { parent: this },
        );
        // The agent calls its host by the node's name. Known in a preview of what only starts it again: no pod is to be replaced for that.
        this.nodeName = pulumi.all([nodeName, ready.command.id]).apply(([known]) => known);
        this.hostname = this.nodeName;
        this.kubeletVersion = ready.output.kubeletVersion;
        this.logFile = agent.output.logFile;
        children.keep(this, {
            bootstrap,
            agent: agent.command,
            certificates,
            ready: ready.command,
            role: rights.role,
            roleBinding: rights.binding,
        });

        this.registerOutputs({
            nodeName: this.nodeName,
            hostname: this.hostname,
            kubeletVersion: this.kubeletVersion,
            logFile: this.logFile,
            stateDir: this.stateDir,
        });
    }

    /** What the node joins with: `<name>-bootstrap`. */
    get bootstrap(): KrustletBootstrap {
        return children.of(this).bootstrap;
    }

    /** The Command that runs the agent: `<name>-agent`. */
    get agent(): local.Command {
        return children.of(this).agent;
    }

    /** What approves its certificates: `<name>-certificates`. */
    get certificates(): CertificateApproval {
        return children.of(this).certificates;
    }

    /** The Command that waits until the node is Ready: `<name>-ready`. */
    get ready(): local.Command {
        return children.of(this).ready;
    }

    /** What the node may do beside what Kubernetes lets each one: `<name>-role`. */
    get role(): kubernetes.rbac.v1.ClusterRole {
        return children.of(this).role;
    }

    /** That it is this node which may: `<name>-role-binding`. */
    get roleBinding(): kubernetes.rbac.v1.ClusterRoleBinding {
        return children.of(this).roleBinding;
    }
}
