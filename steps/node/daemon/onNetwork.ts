// Where a cluster is for what runs in a container on its network.
import { StepError } from "../../lib/errors";
import { containers } from "../../lib/docker";
import { clusterOf, type ClusterEntry } from "../../lib/kube/kube";

/** A cluster as it is reached from a Docker network, or from this host where none is given. */
export async function clusterFrom(
    network: string | undefined,
    kubeconfigFile: string,
): Promise<ClusterEntry> {
    const cluster = await clusterOf(kubeconfigFile);
    if (network === undefined) return cluster;
    return { ...cluster, server: await serverOn(network, cluster.server) };
}

/** The API server's URL for containers on a network: where it is published on this host's loopback, by its own container's name. */
async function serverOn(network: string, server: string): Promise<string> {
    const { protocol, hostname, port, pathname } = new URL(server);
    if (!/^(localhost|0\.0\.0\.0|127(\.\d+){3}|\[::1?\])$/.test(hostname)) return server;
    const found = await containers(`publish=${port}`, `network=${network}`);
    for (const { Name, NetworkSettings } of found) {
        const inside = Object.entries(NetworkSettings.Ports ?? {}).find(([, published]) =>
            published?.some(({ HostPort }) => HostPort === port),
        );
        const path = pathname === "/" ? "" : pathname;
        if (inside) return `${protocol}//${Name.slice(1)}:${inside[0].split("/")[0]}${path}`;
    }
    throw new StepError(
        `runtime: the API server is at ${server}, which no container on Docker's network "${network}" publishes, so that a node in a ` +
            'container there could not reach it; use runtime "process", or give the network of the cluster\'s own nodes',
    );
}
