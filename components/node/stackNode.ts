import * as pulumi from "@pulumi/pulumi";
import { NodeRuntime } from "../../steps/contract";
import type { Cluster } from "../cluster/cluster";
import { NODE_NAME } from "../defaults";
import type { RegistryHosting } from "../registry/registryHosting";
import { hostOf, type StackRegistry } from "../registry/stackRegistry";
import type { WasmStackArgs, WasmStackNodeArgs } from "../stack/wasmStackArgs";
import { KrustletNode } from "./krustletNode";

type NamedNode = WasmStackNodeArgs & { name: string };

/** The nodes of a stack, each with its name. */
export function stackNodes(args: WasmStackArgs): NamedNode[] {
    return (args.nodes ?? [{}]).map((node) => ({ ...node, name: node.name ?? NODE_NAME }));
}

/** Joins a node to the cluster, which knows the registry; `hosting` is what the cluster's own nodes find that by. */
export function stackNode(
    name: string,
    { name: nodeName, ip, trustedCaFile, dockerConfigFile, ...rest }: NamedNode,
    cluster: Cluster,
    registry: StackRegistry,
    hosting: RegistryHosting | undefined,
    parent: pulumi.ComponentResource,
): KrustletNode {
    const place =
        rest.runtime === NodeRuntime.Container
            ? { network: cluster.network, registryMirrors: hosting && mirrorsOf(registry, hosting) }
            : { nodeIp: ip ?? cluster.nodeAddress };
    return new KrustletNode(
        `${name}-${nodeName}`,
        {
            ...rest,
            ...place,
            nodeName,
            kubeconfigFile: cluster.kubeconfigFile,
            clusterIdentity: cluster.identity,
            insecureRegistries: registry.insecureRegistries,
            trustedCaFile: trustedCaFile ?? registry.trustedCaFile,
            dockerConfigFile: dockerConfigFile ?? registry.nodeDockerConfigFile,
        },
        { parent, ...cluster.inCluster() },
    );
}

/** Where a registry on this host's loopback is for a container. */
function mirrorsOf(
    { address }: StackRegistry,
    { inClusterAddress }: RegistryHosting,
): pulumi.Output<Record<string, string>> {
    return pulumi
        .all([address, inClusterAddress])
        .apply(([outside, inside]) => ({ [hostOf(outside)]: inside }));
}
