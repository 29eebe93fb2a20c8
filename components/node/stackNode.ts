import type * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../cluster/cluster";
import { NODE_NAME } from "../defaults";
import type { StackRegistry } from "../registry/stackRegistry";
import type { WasmStackArgs, WasmStackNodeArgs } from "../stack/wasmStackArgs";
import { KrustletNode } from "./krustletNode";

type NamedNode = WasmStackNodeArgs & { name: string };

/** The nodes of a stack, each with its name. */
export function stackNodes(args: WasmStackArgs): NamedNode[] {
    return (args.nodes ?? [{}]).map((node) => ({ ...node, name: node.name ?? NODE_NAME }));
}

/** Joins a node to the cluster, which knows the registry. */
export function stackNode(
    name: string,
    { name: nodeName, ip, trustedCaFile, dockerConfigFile, ...rest }: NamedNode,
    cluster: Cluster,
    registry: StackRegistry,
    parent: pulumi.ComponentResource,
): KrustletNode {
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
            dockerConfigFile: dockerConfigFile ?? registry.nodeDockerConfigFile,
        },
        { parent, ...cluster.inCluster() },
    );
}
