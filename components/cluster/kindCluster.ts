import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type * as kubernetes from "@pulumi/kubernetes";
import { Children } from "../children";
import { KindNodeRole, type PortProtocol } from "../../steps/contract";
import { CLUSTER_NAME, NODE_IMAGE } from "../defaults";
import { owner, ownerForLooks } from "../claim";
import { defaultKubeconfigFile } from "../names";
import { RegistryHosting } from "../registry/registryHosting";
import * as rules from "../rules";
import { stepInvoke, stepResource } from "../step";
import { boolean, checkArgs, text, type Problem, type Rules } from "../validation";
import {
    clusterChildren,
    clusterOutputs,
    goesWith,
    standsBy,
    type Cluster,
    type HostedRegistry,
    type InCluster,
} from "./cluster";
import { nodesProblems, nodesRule, portMappingProblems, portMappingsRule } from "./kindRules";
import { portMappingsOf } from "./localCluster";

export interface KindClusterArgs {
    /**
     * Name of the cluster, as `kind get clusters` shows it; its container is `<name>-control-plane`, its kubeconfig context
     * `kind-<name>`. Another name makes another cluster. Default: `krustlet`.
     */
    name?: pulumi.Input<string>;
    /**
     * kind node image; its tag is the Kubernetes version. Another image makes another cluster. Default:
     * `kindest/node:v1.36.4`.
     */
    image?: pulumi.Input<string>;
    /** How long the control plane may take to be Ready, in seconds. Default: 180. */
    waitSeconds?: pulumi.Input<number>;
    /**
     * File in which the cluster's admin kubeconfig is kept, of this cluster alone (mode 0600; a folder that is made for it has
     * mode 0700). It goes with the cluster. `~` is the home folder. Another path is written by the next update, which does not
     * make another cluster; the old file stays, for the Kubernetes provider still compares with it, and is yours to remove.
     * Default: `~/.local/state/krustlet-stack/kubeconfig/<project>-<stack>-<cluster name>`.
     */
    kubeconfigFile?: pulumi.Input<string>;
    /**
     * A kubeconfig file that the cluster is merged into (and taken out of again), for example `~/.kube/config`. Default:
     * none; the user's own kubeconfig is not touched.
     */
    mergeKubeconfigFile?: pulumi.Input<string>;
    /**
     * kubeadm configuration patches (YAML documents) for kind's `kubeadmConfigPatches`, beside those that the host needs.
     * Other patches make another cluster. Default: none. Example:
     * `["kind: KubeletConfiguration\nmaxPods: 20\n"]`.
     */
    kubeadmConfigPatches?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * containerd configuration patches (TOML) for kind's `containerdConfigPatches`, beside those that the host needs. Other
     * patches make another cluster. Default: none.
     */
    containerdConfigPatches?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Whether the API server verifies the serving certificate of every node that it gets logs from, and kind's own kubelets get
     * certificates that pass. Without it whoever answers at a node's address is believed. Another value makes another cluster.
     * Needs Kubernetes 1.32 or later. Default: true.
     */
    verifyKubelets?: pulumi.Input<boolean>;
    /**
     * kind's own nodes, one of them at least a control plane. Several control planes get a load balancer of kind's, an image more.
     * Other nodes make another cluster. Default: one control plane. Example: `[{ role: "control-plane" }, { role: "worker" }]`.
     */
    nodes?: pulumi.Input<pulumi.Input<KindNodeArgs>[]>;
    /**
     * Ports of the first control plane, a NodePort say, that this host listens on too: kind's `extraPortMappings`. Others make
     * another cluster. Default: none. Example: `[{ containerPort: 30080, hostPort: 8080 }]`.
     */
    portMappings?: pulumi.Input<pulumi.Input<KindPortMappingArgs>[]>;
}

/** A node of a kind cluster. */
export interface KindNodeArgs {
    /** What it is: `control-plane` or `worker`. Required. */
    role: pulumi.Input<KindNodeRole>;
}

/** A port of a kind node that this host listens on too. */
export interface KindPortMappingArgs {
    /** Port in the node. Required. Example: `30080`. */
    containerPort: pulumi.Input<number>;
    /** Port of this host. Required. Example: `8080`. */
    hostPort: pulumi.Input<number>;
    /** IPv4 address of this host to listen on; `0.0.0.0` is all of them. Default: `127.0.0.1`. */
    listenAddress?: pulumi.Input<string>;
    /** What the port speaks: `TCP`, `UDP` or `SCTP`. Default: `TCP`. */
    protocol?: pulumi.Input<PortProtocol>;
}

/** What each argument may be. */
export const kindClusterRules: Rules<KindClusterArgs> = {
    name: rules.clusterName,
    image: rules.image,
    waitSeconds: rules.seconds,
    kubeconfigFile: text,
    mergeKubeconfigFile: text,
    kubeadmConfigPatches: rules.texts,
    containerdConfigPatches: rules.texts,
    verifyKubelets: boolean,
    nodes: nodesRule,
    portMappings: portMappingsRule,
};

/** What the arguments may not be together. */
export function kindClusterProblems(
    { nodes, portMappings }: KindClusterArgs,
    path = "",
    registryPort?: unknown,
): Problem[] {
    return [
        ...nodesProblems(nodes, `${path}nodes`),
        ...portMappingProblems(portMappings, `${path}portMappings`, registryPort),
    ];
}

const children = new Children<{ kubelets: local.Command }>();

/**
 * A Kubernetes cluster in Docker, made by kind.
 *
 * A cluster of the same name that another stack or person made is never touched: the update fails and says so.
 *
 * @example
 * const cluster = new KindCluster("cluster", { name: "demo" });
 * new kubernetes.core.v1.Namespace("apps", {}, cluster.inCluster());
 */
export class KindCluster extends pulumi.ComponentResource implements Cluster {
    /** Name of the cluster. */
    readonly name!: pulumi.Output<string>;
    /**
     * Absolute path of the file with the admin kubeconfig for this host. The path is no secret, and it alone travels: what is in
     * the file never passes through Pulumi. A file that was lost is written again by the next preview or update.
     */
    readonly kubeconfigFile!: pulumi.Output<string>;
    /** The context in the kubeconfig: `kind-<name>`. */
    readonly context!: pulumi.Output<string>;
    /** URL of the API server, at a loopback port. */
    readonly server!: pulumi.Output<string>;
    /** Kubernetes version of the control plane: `v1.36.4`. */
    readonly kubernetesVersion!: pulumi.Output<string>;
    /** Docker network of the cluster's containers: `kind`. */
    readonly network!: pulumi.Output<string | undefined>;
    /** IPv4 address of this host on that network: where the API server reaches a node that is a process on this host. */
    readonly nodeAddress!: pulumi.Output<string>;
    /** Differs for each cluster that was ever made, the same name or not (UID of its kube-system namespace). */
    readonly identity!: pulumi.Output<string>;
    constructor(name: string, args: KindClusterArgs = {}, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:KindCluster", name, {}, opts);
        const checked = checkArgs("KindCluster", name, args, kindClusterRules, kindClusterProblems(args));
        const clusterName = pulumi.output(checked.name ?? CLUSTER_NAME);
        const kubeconfigFile = pulumi.output(
            checked.kubeconfigFile ?? clusterName.apply(defaultKubeconfigFile),
        );
        const image = checked.image ?? NODE_IMAGE;
        const kubeadmConfigPatches = pulumi.output(checked.kubeadmConfigPatches ?? []);
        const containerdConfigPatches = pulumi.output(checked.containerdConfigPatches ?? []);
        const verifyKubelets = pulumi.output(checked.verifyKubelets ?? true);
        const nodes = pulumi.output(checked.nodes ?? [{ role: KindNodeRole.ControlPlane }]);
        const portMappings = portMappingsOf(checked.portMappings);

        // What cannot be changed in a cluster that stands.
        const wanted = {
            name: clusterName,
            image,
            kubeadmConfigPatches,
            containerdConfigPatches,
            verifyKubelets,
            nodes,
            portMappings,
        };
        const observed = stepInvoke(
            "observeKindCluster",
            {
                resource: `${name}-kind`,
                owner: ownerForLooks(),
                kubeconfigFile,
                wanted: pulumi.output(wanted),
            },
            { parent: this },
        );
        const cluster = stepResource(
            `${name}-kind`,
            {
                create: "createKindCluster",
                delete: "deleteKindCluster",
                input: {
                    owner: owner(),
                    waitSeconds: checked.waitSeconds ?? 180,
                    kubeconfigFile,
                    mergeKubeconfigFile: checked.mergeKubeconfigFile,
                    ...wanted,
                    because: observed.because,
                },
                triggers: Object.values(wanted),
                stands: observed.last,
            },
            { parent: this },
        );
        const outputs = standsBy(this, name, cluster.command, clusterOutputs(cluster.output, observed));

        const kubeletsSeen = stepInvoke(
            "observeKubelets",
            { resource: `${name}-kubelets`, kubeconfigFile },
            { parent: this },
        );
        // Nothing waits for it: only what reads the logs of kind's own nodes could.
        const kubelets = stepResource(
            `${name}-kubelets`,
            {
                create: "approveKubeletCertificates",
                delete: "forget",
                input: {
                    kubeconfigFile: this.kubeconfigFile,
                    clusterName: this.name,
                    owner: owner(),
                    verifyKubelets,
                    timeoutSeconds: 180,
                    because: kubeletsSeen.because,
                    clusterBecause: observed.because,
                },
                triggers: [this.identity],
            },
            { parent: this },
        );
        children.keep(this, { kubelets: kubelets.command });

        this.registerOutputs(outputs);
    }

    /** The Command that makes the cluster: `<name>-kind`. */
    get command(): local.Command {
        return clusterChildren.of(this).command;
    }

    /** The Command that sees to the certificates of kind's own nodes: `<name>-kubelets`. */
    get kubelets(): local.Command {
        return children.of(this).kubelets;
    }

    /**
     * Kubernetes provider for the objects in this cluster: `<name>-provider`. It stands and falls with the cluster, so give it to them as
     * `deletedWith` too: deleting or replacing the cluster then takes them along, without asking an API server that may
     * have gone. (The engine closes a provider that must be replaced before what it made is deleted, and knows only of the
     * provider, not of the cluster itself, in time to see that nothing need be deleted.)
     */
    get provider(): kubernetes.Provider {
        return clusterChildren.of(this).provider;
    }

    /** What is in the cluster goes with it. */
    inCluster(): InCluster {
        return goesWith(this);
    }

    /** kind's nodes are containers of this host's Docker, which can be told of another one there. */
    hostRegistry(
        name: string,
        registry: HostedRegistry,
        opts: pulumi.ComponentResourceOptions,
    ): RegistryHosting {
        const hosting = {
            ...registry,
            clusterName: this.name,
            clusterIdentity: this.identity,
            network: this.network.apply((network) => network ?? "kind"),
        };
        return new RegistryHosting(name, hosting, { ...opts, ...this.inCluster() });
    }
}
