import type { ConnectRegistryInput } from "../../contract";
import type { Container } from "../../lib/docker";
import { clusterLabel } from "../../cluster/kind/kind";
import { clusterName, containerName, object, optional, owner, port, registry, text } from "../../lib/schema";

/** Input of connectRegistry and disconnectRegistry. */
export const connectRegistryInput = object<ConnectRegistryInput>({
    clusterName,
    owner,
    network: text,
    containerName,
    containerPort: port,
    address: registry,
    containerId: optional(text),
    because: optional(text),
});

/**
 * A second name of the registry's container on the cluster's network, which says that the connection is ours to undo: a registry
 * that somebody else connected stays so.
 */
export const connectedByUs = "krustlet-stack-connected-registry";

/** The registry as containers on the cluster's network name it. */
export function inClusterAddress({ containerName, containerPort }: ConnectRegistryInput): string {
    return `${containerName}:${containerPort}`;
}

/**
 * Files that tell a node's containerd how to reach the registry, by path: one for each name that images are pushed under.
 * https://github.com/containerd/containerd/blob/main/docs/hosts.md
 */
export function hostsFiles(input: ConnectRegistryInput): Record<string, string> {
    const url = `http://${inClusterAddress(input)}`;
    // `server` too: containerd would else try the image's own name last, and its error would be of that.
    const content = [
        `# The registry of ${input.owner}, by krustlet-stack.`,
        `server = ${JSON.stringify(url)}`,
        "",
        `[host.${JSON.stringify(url)}]`,
        `  capabilities = ["pull", "resolve"]`,
        "",
    ].join("\n");
    return Object.fromEntries(
        [input.address, inClusterAddress(input)].map((name) => [
            `/etc/containerd/certs.d/${name}/hosts.toml`,
            content,
        ]),
    );
}

/** The nodes of other clusters on the same network: they may have been told of the registry as well. */
export function nodesOfOthers(onNetwork: Container[], clusterName: string): Container[] {
    return onNetwork.filter(({ Config }) => {
        const cluster = Config.Labels?.[clusterLabel];
        return cluster !== undefined && cluster !== clusterName;
    });
}

/** Whether the registry's container is to leave the network: it is there by our doing, and no other cluster needs it. */
export function mayDisconnect(container: Container, network: string, isNeeded: boolean): boolean {
    const connection = container.NetworkSettings.Networks[network];
    return (connection?.Aliases ?? []).includes(connectedByUs) && !isNeeded;
}
