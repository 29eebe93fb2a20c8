import type { local } from "@pulumi/command";
import type * as pulumi from "@pulumi/pulumi";
import * as kubernetes from "@pulumi/kubernetes";
import type { ClusterOutput } from "../../steps/contract";
import { Children } from "../children";
import type { RegistryHosting } from "../registry/registryHosting";

/** A registry in a container on this host. */
export interface HostedRegistry {
    /** The registry as this host names it. Example: `localhost:5001`. */
    address: pulumi.Input<string>;
    /** Name of its container. */
    containerName: pulumi.Input<string>;
    /** The container itself, where it may become another one of that name. */
    containerId?: pulumi.Input<string>;
}

/** What a stack knows of its cluster, whichever kind it is of: whatever differs stands behind this, in a file for each kind. */
export interface Cluster extends pulumi.ComponentResource {
    /** Name of the cluster, as its tool shows it. */
    readonly name: pulumi.Output<string>;
    /**
     * Absolute path of the file with the admin kubeconfig, of this cluster alone. The path is no secret, and it alone travels: what
     * is in the file never passes through Pulumi. A file that was lost is written again by the next preview or update.
     */
    readonly kubeconfigFile: pulumi.Output<string>;
    /** The only context in the kubeconfig. */
    readonly context: pulumi.Output<string>;
    /** URL of the API server. */
    readonly server: pulumi.Output<string>;
    /** Kubernetes version of the control plane: `v1.36.4`. */
    readonly kubernetesVersion: pulumi.Output<string>;
    /** Docker network of the cluster's nodes; undefined where they are in none of this host's. */
    readonly network: pulumi.Output<string | undefined>;
    /** IPv4 address of this host where the cluster reaches a node that is a process on this host. */
    readonly nodeAddress: pulumi.Output<string>;
    /** Differs for each cluster that was ever made, the same name or not (UID of its kube-system namespace). */
    readonly identity: pulumi.Output<string>;
    /** Kubernetes provider for the objects in this cluster. */
    readonly provider: kubernetes.Provider;

    /** Options of what is made in the cluster: its provider, and whether it goes with the cluster. */
    inCluster(): InCluster;
    /** Lets the cluster's own nodes pull from the registry too; unset where that is not known how. */
    hostRegistry?(
        name: string,
        registry: HostedRegistry,
        opts: pulumi.ComponentResourceOptions,
    ): RegistryHosting;
}

/** Options of what is made in a cluster. */
export interface InCluster {
    provider: kubernetes.Provider;
    /**
     * Deleting or replacing it takes along all that is in the cluster, without asking an API server that may have gone. Unset: each
     * object is deleted by itself, for the cluster stays.
     */
    deletedWith?: pulumi.Resource;
}

/** What every cluster's step tells of it, as outputs. */
export type ClusterOutputs = {
    [K in keyof ClusterOutput]-?: pulumi.Output<ClusterOutput[K]>;
};

/**
 * The outputs of a cluster's step. `kept` is what sees to its kubeconfig file: whoever reads that does so when it is there
 * (again).
 */
export function clusterOutputs(
    output: pulumi.Output<ClusterOutput>,
    kept: pulumi.Output<unknown>,
): ClusterOutputs {
    return {
        name: output.name,
        kubeconfigFile: kept.apply(() => output.kubeconfigFile),
        context: output.context,
        server: output.server,
        kubernetesVersion: output.kubernetesVersion,
        network: output.apply(({ network }) => network),
        nodeAddress: output.nodeAddress,
        identity: output.identity,
    };
}

/** Children of every cluster. */
export const clusterChildren = new Children<{ command: local.Command; provider: kubernetes.Provider }>();

/**
 * Gives a cluster its outputs, as properties, and the provider of what is in it; gives the outputs to register. Each class declares the
 * properties itself all the same, and has no other base: Pulumi's schema inference looks at nothing else.
 */
export function standsBy(
    cluster: Cluster,
    name: string,
    command: local.Command,
    outputs: ClusterOutputs,
): ClusterOutputs {
    Object.assign(cluster, outputs);
    const { kubeconfigFile: kubeconfig, identity } = outputs;
    // Else it would take a cluster that was made anew under the same name for the old one.
    const args = { kubeconfig, clusterIdentifier: identity };
    const provider = new kubernetes.Provider(`${name}-provider`, args, { parent: cluster });
    clusterChildren.keep(cluster, { command, provider });
    return { ...outputs };
}

/** Options of what goes with its cluster. */
export function goesWith({ provider }: Cluster): InCluster {
    return { provider, deletedWith: provider };
}
