import * as pulumi from "@pulumi/pulumi";
import type { WorkloadKind } from "../../steps/workload/contract";
import { Children } from "../children";
import type { Cluster } from "../cluster/cluster";
import { stackCluster, stackPortMappings } from "../cluster/stackCluster";
import type { KrustletNode } from "../node/krustletNode";
import { stackNode, stackNodes } from "../node/stackNode";
import type { LocalRegistry } from "../registry/localRegistry";
import type { RegistryPullSecret } from "../registry/registryPullSecret";
import { hostRegistry, pullSecrets, stackRegistry } from "../registry/stackRegistry";
import { stackPreflight } from "./stackPreflight";
import { throwProblems } from "../validation";
import { wasmStackProblems, type WasmStackArgs } from "./wasmStackArgs";
import { serviceOf, stackArtifact, stackWorkload, type StackWorkload } from "../workload/stackWorkload";
import type { WasmArtifact } from "../workload/wasmArtifact";
import { addressed } from "../workload/serving/stackServing";
import { WasmRuntimeClass } from "../workload/wasmRuntimeClass";

/** What a stack tells of one of its workloads. */
export interface WasmStackWorkload {
    kind: WorkloadKind;
    name: string;
    namespace: string;
    /** Shows its log. Wants a KUBECONFIG for the cluster. */
    logsCommand: string;
    /** Name of its Service, where it has one. */
    serviceName?: string;
    /** Where that is reached: on this host, if the cluster has it listen for the Service's `nodePort`, or else by pods of the cluster. */
    url?: string;
}

const children = new Children<{
    cluster: Cluster;
    localRegistry: LocalRegistry | undefined;
    registryHosting: pulumi.ComponentResource | undefined;
    pullSecrets: readonly RegistryPullSecret[];
    nodes: Readonly<Record<string, KrustletNode>>;
    runtimeClass: WasmRuntimeClass;
    artifactComponents: Readonly<Record<string, WasmArtifact>>;
    workloadComponents: Readonly<Record<string, StackWorkload>>;
}>();

/**
 * A Kubernetes that runs WebAssembly, all of it: cluster, OCI registry, Krustlet nodes, and the programs.
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

    constructor(name: string, args: WasmStackArgs = {}, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmStack", name, {}, opts);
        throwProblems(`WasmStack "${name}"`, wasmStackProblems(args));

        const checked = stackPreflight(name, args, this);
        const cluster = stackCluster(name, args, checked, this);
        const registry = stackRegistry(name, args.registry ?? {}, checked, this);
        const registryHosting = hostRegistry(name, registry, cluster, this);
        const pullSecret = pullSecrets(name, args.registry ?? {}, cluster, checked, this);
        const nodesArgs = stackNodes(args);
        const nodes = Object.fromEntries(
            nodesArgs.map((node) => [
                node.name,
                stackNode(name, node, cluster, registry, registryHosting, this),
            ]),
        );
        // For manifests that come from elsewhere.
        const inCluster = { parent: this, ...cluster.inCluster() };
        const runtimeClass = new WasmRuntimeClass(
            `${name}-runtime`,
            {
                runtimeClassName: args.runtimeClass?.name,
                shared: args.runtimeClass?.shared,
                kubeconfigFile: cluster.kubeconfigFile,
            },
            inCluster,
        );
        const workloads = (args.workloads ?? []).map((given) => {
            const args = addressed(given, nodesArgs);
            const artifact = stackArtifact(name, args, registry, checked, this);
            // One of the two is there: the arguments have been checked.
            const image = artifact?.reference ?? args.image ?? "";
            const secret = pullSecret(args);
            const component = stackWorkload(name, args, image, nodes, cluster, secret, this);
            return { args, artifact, image, secret, component };
        });

        this.kubeconfigFile = cluster.kubeconfigFile;
        this.clusterName = cluster.name;
        this.nodeNames = pulumi.all(Object.values(nodes).map(({ nodeName }) => nodeName));
        this.registryAddress = registry.address;
        this.artifacts = pulumi.output(
            Object.fromEntries(workloads.map(({ args, image }) => [args.name, image])),
        );
        const mappings = stackPortMappings(args);
        this.workloads = pulumi.output(
            Object.fromEntries(
                workloads.map(({ args, component }) => {
                    const { name, namespace, logsCommand } = component;
                    const kind = args.kind ?? "Pod";
                    const told = {
                        kind,
                        name,
                        namespace,
                        logsCommand,
                        ...serviceOf(args, component, mappings),
                    };
                    return [args.name, told];
                }),
            ),
        );
        const named = <T>(all: [string, T | undefined][]) =>
            Object.fromEntries(all.filter((one): one is [string, T] => one[1] !== undefined));
        children.keep(this, {
            cluster,
            localRegistry: registry.local,
            registryHosting,
            pullSecrets: [...new Set(workloads.flatMap(({ secret }) => secret ?? []))],
            nodes,
            runtimeClass,
            artifactComponents: named(workloads.map(({ args, artifact }) => [args.name, artifact])),
            workloadComponents: named(workloads.map(({ args, component }) => [args.name, component])),
        });
        this.registerOutputs({
            kubeconfigFile: this.kubeconfigFile,
            clusterName: this.clusterName,
            nodeNames: this.nodeNames,
            registryAddress: this.registryAddress,
            artifacts: this.artifacts,
            workloads: this.workloads,
        });
    }

    /** The cluster: `<name>-cluster`. */
    get cluster(): Cluster {
        return children.of(this).cluster;
    }

    /** The registry, where it is a local one: `<name>-registry`. */
    get localRegistry(): LocalRegistry | undefined {
        return children.of(this).localRegistry;
    }

    /** What lets the cluster's own nodes pull from it: `<name>-registry-hosting`. */
    get registryHosting(): pulumi.ComponentResource | undefined {
        return children.of(this).registryHosting;
    }

    /** What pods pull with from a registry at an address: `<name>-pull-<namespace>`. */
    get pullSecrets(): readonly RegistryPullSecret[] {
        return children.of(this).pullSecrets;
    }

    /** The Wasm nodes by name: `<name>-<node>`. */
    get nodes(): Readonly<Record<string, KrustletNode>> {
        return children.of(this).nodes;
    }

    /** The RuntimeClass of Wasm nodes: `<name>-runtime`. */
    get runtimeClass(): WasmRuntimeClass {
        return children.of(this).runtimeClass;
    }

    /** The artifacts that are pushed or looked up, by workload: `<name>-<workload>-artifact`. */
    get artifactComponents(): Readonly<Record<string, WasmArtifact>> {
        return children.of(this).artifactComponents;
    }

    /** The workloads by name: `<name>-<workload>`. */
    get workloadComponents(): Readonly<Record<string, StackWorkload>> {
        return children.of(this).workloadComponents;
    }
}
