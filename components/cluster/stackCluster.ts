// Which cluster a stack has: the one place that knows all kinds of them.
import * as pulumi from "@pulumi/pulumi";
import { LocalClusterTool, type PreflightCluster } from "../../steps/contract";
import { WorkloadKind } from "../../steps/workload/contract";
import { CLUSTER_NAME, NODE_IMAGE, REGISTRY_PORT } from "../defaults";
import type { Checked } from "../registry/stackRegistry";
import { object, type Problem, type Rules } from "../validation";
import type { WasmStackArgs, WasmStackRegistryArgs } from "../stack/wasmStackArgs";
import type { Cluster } from "./cluster";
import {
    ExistingCluster,
    existingClusterRules,
    findInput,
    type ExistingClusterArgs,
} from "./existingCluster";
import { K3dCluster, k3dClusterRules, type K3dClusterArgs } from "./k3dCluster";
import { KindCluster, kindClusterProblems, kindClusterRules, type KindClusterArgs } from "./kindCluster";
import { portMappingProblems } from "./kindRules";
import { portMappingsOf } from "./localCluster";
import {
    MICROK8S_CHANNEL,
    MicroK8sCluster,
    microK8sClusterRules,
    type MicroK8sClusterArgs,
} from "./microK8sCluster";
import { MinikubeCluster, minikubeClusterRules, type MinikubeClusterArgs } from "./minikubeCluster";

/** The cluster of a stack: at most one of these. */
export interface StackClusterArgs {
    /** A kind cluster. Default, where there is none of the others: one of all defaults. */
    cluster?: KindClusterArgs;
    /** A cluster that is there already, of any kind. */
    existingCluster?: ExistingClusterArgs;
    /** A minikube cluster. */
    minikubeCluster?: MinikubeClusterArgs;
    /** A MicroK8s cluster. */
    microK8sCluster?: MicroK8sClusterArgs;
    /** A k3d cluster. */
    k3dCluster?: K3dClusterArgs;
}

/** The rules of each. */
export const stackClusterRules: Rules<StackClusterArgs> = {
    cluster: object(kindClusterRules),
    existingCluster: object(existingClusterRules),
    minikubeCluster: object(minikubeClusterRules),
    microK8sCluster: object(microK8sClusterRules),
    k3dCluster: object(k3dClusterRules),
};

/** What may not be together. */
export function stackClusterProblems(args: WasmStackArgs): Problem[] {
    const given = (Object.keys(stackClusterRules) as (keyof StackClusterArgs)[]).filter(
        (key) => args[key] !== undefined,
    );
    const several =
        given.length > 1
            ? given
                  .slice(1)
                  .map((path) => ({ path, message: `is given beside ${given[0]}; a stack has one cluster` }))
            : [];
    const container = args.registry?.address !== undefined && args.registry.containerName !== undefined;
    const { address, port = REGISTRY_PORT } = Object(args.registry) as WasmStackRegistryArgs;
    const registryPort = address === undefined ? port : undefined;
    const ports = (["minikubeCluster", "k3dCluster"] as const).flatMap((key) =>
        portMappingProblems(args[key]?.portMappings, `${key}.portMappings`, registryPort),
    );
    return [
        ...several,
        ...kindClusterProblems(Object(args.cluster) as KindClusterArgs, "cluster.", registryPort),
        ...ports,
        ...(container && given.length > 0 && given[0] !== "cluster"
            ? [
                  {
                      path: "registry.containerName",
                      message: `is for kind's own nodes to pull from; a stack with ${given[0]} has none`,
                  },
              ]
            : []),
    ];
}

/** A cluster that is yet to be made. */
export interface ChosenCluster {
    /** What the preflight looks at. */
    preflight: pulumi.Output<PreflightCluster>;
    make(name: string, checked: Checked, parent: pulumi.ComponentResource): Cluster;
}

/** The cluster that a stack's arguments ask for. */
export function chooseCluster(args: WasmStackArgs): ChosenCluster {
    const { existingCluster, minikubeCluster, microK8sCluster, k3dCluster } = args;
    if (existingCluster !== undefined) return existing({ ...rightsOf(args), ...existingCluster });
    if (minikubeCluster !== undefined) {
        return local(
            LocalClusterTool.Minikube,
            minikubeCluster.name,
            (name, clusterName, parent) =>
                new MinikubeCluster(name, { ...minikubeCluster, name: clusterName }, { parent }),
        );
    }
    if (k3dCluster !== undefined) {
        return local(
            LocalClusterTool.K3d,
            k3dCluster.name,
            (name, clusterName, parent) =>
                new K3dCluster(name, { ...k3dCluster, name: clusterName }, { parent }),
        );
    }
    if (microK8sCluster !== undefined) {
        const { channel = MICROK8S_CHANNEL } = microK8sCluster;
        return {
            preflight: pulumi.output({ local: { tool: LocalClusterTool.MicroK8s, name: "microk8s" } }),
            make: (name, checked, parent) =>
                new MicroK8sCluster(name, { ...microK8sCluster, channel: checked(channel) }, { parent }),
        };
    }
    return kind(args.cluster ?? {});
}

function kind(cluster: KindClusterArgs): ChosenCluster {
    const name = cluster.name ?? CLUSTER_NAME;
    return {
        preflight: pulumi.output({
            kind: {
                name,
                mergeKubeconfigFile: cluster.mergeKubeconfigFile,
                portMappings: portMappingsOf(cluster.portMappings),
            },
        }),
        make: (resource, _checked, parent) =>
            new KindCluster(
                resource,
                // Not to wait for the preflight: it is looked at together with it, and made after it all the same.
                { ...cluster, name, image: cluster.image ?? NODE_IMAGE },
                { parent },
            ),
    };
}

function existing(cluster: ExistingClusterArgs): ChosenCluster {
    return {
        preflight: pulumi.output({ existing: findInput(cluster) }),
        make: (name, checked, parent) =>
            new ExistingCluster(name, { ...cluster, context: checked(cluster.context) }, { parent }),
    };
}

function local(
    tool: LocalClusterTool,
    name: pulumi.Input<string> = CLUSTER_NAME,
    make: (name: string, clusterName: pulumi.Output<string>, parent: pulumi.ComponentResource) => Cluster,
): ChosenCluster {
    return {
        preflight: pulumi.output({ local: { tool, name } }),
        make: (resource, checked, parent) => make(resource, checked(name), parent),
    };
}

/** What a stack's workloads and pull Secrets need to be allowed. */
function rightsOf({ workloads = [], registry = {} }: WasmStackArgs) {
    const places = workloads.map(({ kind = WorkloadKind.Pod, namespace = "default", service }) => ({
        kind,
        namespace,
        ...(service !== undefined && { service: true }),
    }));
    const pulls = registry.address !== undefined && registry.pullSecret !== false;
    return {
        workloads: places,
        pullSecretNamespaces: pulls ? places.map(({ namespace }) => namespace) : [],
    };
}

/** Ports of the cluster's nodes that this host listens on too. */
export function stackPortMappings({ cluster, minikubeCluster, k3dCluster }: WasmStackArgs) {
    return portMappingsOf((k3dCluster ?? minikubeCluster ?? cluster)?.portMappings);
}

/** Makes the cluster of a stack. */
export function stackCluster(
    name: string,
    args: WasmStackArgs,
    checked: Checked,
    parent: pulumi.ComponentResource,
): Cluster {
    return chooseCluster(args).make(`${name}-cluster`, checked, parent);
}
