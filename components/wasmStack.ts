import * as pulumi from "@pulumi/pulumi";
import type { WorkloadKind } from "../steps/workload/contract";
import type { Cluster } from "./cluster/cluster";
import { KindCluster } from "./cluster/kindCluster";
import { CLUSTER_NAME, NODE_IMAGE, NODE_NAME, NODE_PORT, NODE_PROGRAM, REGISTRY_PORT } from "./defaults";
import { defaultStateDir, owner } from "./names";
import { KrustletNode } from "./node/krustletNode";
import { dataVolumeName, defaultContainerName } from "./registry/localRegistry";
import {
    hostOf,
    hostRegistry,
    pullSecrets,
    stackRegistry,
    type StackRegistry,
} from "./registry/stackRegistry";
import { stepInvoke } from "./step";
import { throwProblems } from "./validation";
import { stackArtifact, stackWorkload } from "./workload/stackWorkload";
import { WasmRuntimeClass } from "./workload/wasmRuntimeClass";
import { wasmStackProblems, type WasmStackArgs, type WasmStackNodeArgs } from "./wasmStackArgs";

/** What a stack tells of one of its workloads. */
export interface WasmStackWorkload {
    kind: WorkloadKind;
    name: string;
    namespace: string;
    /** Shows its log. Wants a KUBECONFIG for the cluster. */
    logsCommand: string;
}

/**
 * A Kubernetes that runs WebAssembly, all of it: kind cluster, OCI registry, Krustlet nodes, and the programs.
 *
 * Before anything is made, a preflight looks whether the host can carry it; everything waits for that. After it, only what
 * needs another part waits for that part: modules are built while the cluster starts.
 *
 * @example
 * new WasmStack("wasm", { workloads: [{ name: "hello-wasm", source: "workloads/hello-world" }] });
 */
export class WasmStack extends pulumi.ComponentResource {
    /** Absolute path of the file with the cluster's admin kubeconfig: see Cluster. */
    readonly kubeconfigFile: pulumi.Output<string>;
    /** Name of the cluster. */
    readonly clusterName: pulumi.Output<string>;
    /** Names of the Wasm nodes, known when they are Ready. */
    readonly nodeNames: pulumi.Output<string[]>;
    /** Where modules are pushed to. */
    readonly registryAddress: pulumi.Output<string>;
    /** Each workload's module by digest. */
    readonly artifacts: pulumi.Output<Record<string, string>>;
    /** What runs of each workload. */
    readonly workloads: pulumi.Output<Record<string, WasmStackWorkload>>;

    /** The preflight's result, for the first resources of each chain to wait for. */
    private readonly preflight: pulumi.Output<unknown>;

    constructor(name: string, args: WasmStackArgs = {}, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmStack", name, {}, opts);
        throwProblems(`WasmStack "${name}"`, wasmStackProblems(args));

        this.preflight = this.check(args);
        const cluster = this.cluster(name, args);
        const checked = this.checked.bind(this);
        const registry = stackRegistry(name, args.registry ?? {}, checked, this);
        hostRegistry(name, registry, cluster, this);
        const pull = pullSecrets(name, args.registry ?? {}, cluster, checked, this);
        const nodes = Object.fromEntries(
            nodesOf(args).map((node) => [node.name, this.node(name, node, cluster, registry)]),
        );
        this.runtimeClass(name, cluster);
        const workloads = (args.workloads ?? []).map((args) => {
            const artifact = stackArtifact(name, args, registry, checked, this);
            // One of the two is there: the arguments have been checked.
            const image = artifact?.reference ?? args.image ?? "";
            return { args, image, component: stackWorkload(name, args, image, nodes, cluster, pull, this) };
        });

        this.kubeconfigFile = cluster.kubeconfigFile;
        this.clusterName = cluster.name;
        this.nodeNames = pulumi.all(Object.values(nodes).map(({ nodeName }) => nodeName));
        this.registryAddress = registry.address;
        this.artifacts = pulumi.output(
            Object.fromEntries(workloads.map(({ args, image }) => [args.name, image])),
        );
        this.workloads = pulumi.output(
            Object.fromEntries(
                workloads.map(({ args, component: { name, namespace, logsCommand } }) => [
                    args.name,
                    { kind: args.kind ?? "Pod", name, namespace, logsCommand },
                ]),
            ),
        );
        this.registerOutputs({
            kubeconfigFile: this.kubeconfigFile,
            clusterName: this.clusterName,
            nodeNames: this.nodeNames,
            registryAddress: this.registryAddress,
            artifacts: this.artifacts,
            workloads: this.workloads,
        });
    }

    private check(args: WasmStackArgs): pulumi.Output<unknown> {
        const { address, plainHttp, trustedCaFile, keepData, port, ...given } = args.registry ?? {};
        const containerName = given.containerName ?? defaultContainerName();
        const dataVolume = keepData ? pulumi.output(containerName).apply(dataVolumeName) : undefined;
        const local = { containerName, port: port ?? REGISTRY_PORT, dataVolume };
        const remote = address && { address: hostOf(address), plainHttp: plainHttp ?? false, trustedCaFile };
        const nodes = nodesOf(args).map((node) => ({
            name: node.name,
            port: node.port ?? NODE_PORT,
            stateDir: node.stateDir ?? defaultStateDir(node.name),
            program: node.program ?? NODE_PROGRAM,
        }));
        const modules = (args.workloads ?? [])
            .filter(({ image, reference }) => image === undefined && reference === undefined)
            .map(({ file, source }) => ({ file, source }));
        return stepInvoke(
            "preflight",
            {
                owner: owner(),
                cluster: pulumi.output({ name: args.cluster?.name ?? CLUSTER_NAME }),
                localRegistry: address === undefined ? pulumi.output(local) : undefined,
                remoteRegistry: remote || undefined,
                nodes: pulumi.output(nodes),
                modules: pulumi.output(modules),
            },
            { parent: this },
        );
    }

    /** A value that is not known before the preflight has passed. */
    private checked<T extends string | number>(value: pulumi.Input<T>): pulumi.Output<T> {
        return this.preflight.apply(() => value) as pulumi.Output<T>;
    }

    private cluster(name: string, { cluster = {} }: WasmStackArgs): Cluster {
        return new KindCluster(
            `${name}-cluster`,
            {
                ...cluster,
                name: this.checked(cluster.name ?? CLUSTER_NAME),
                image: cluster.image ?? NODE_IMAGE,
            },
            { parent: this },
        );
    }

    private node(name: string, node: NamedNode, cluster: Cluster, registry: StackRegistry): KrustletNode {
        const { name: nodeName, ip, trustedCaFile, ...rest } = node;
        return new KrustletNode(
            `${name}-${nodeName}`,
            {
                ...rest,
                nodeName,
                nodeIp: ip ?? cluster.nodeAddress,
                kubeconfigFile: cluster.kubeconfigFile,
                clusterIdentity: cluster.identity,
                insecureRegistries: registry.insecureRegistries,
                trustedCaFile: trustedCaFile ?? registry.trustedCaFile,
            },
            { parent: this, ...cluster.inCluster() },
        );
    }

    /** For manifests that come from elsewhere. */
    private runtimeClass(name: string, cluster: Cluster): void {
        new WasmRuntimeClass(`${name}-runtime`, {}, { parent: this, ...cluster.inCluster() });
    }
}

type NamedNode = WasmStackNodeArgs & { name: string };

function nodesOf(args: WasmStackArgs): NamedNode[] {
    return (args.nodes ?? [{}]).map((node) => ({ ...node, name: node.name ?? NODE_NAME }));
}
