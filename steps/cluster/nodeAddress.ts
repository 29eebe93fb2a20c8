// Where a cluster reaches a node that is a process on this host.
import { createSocket } from "node:dgram";
import { networkInterfaces } from "node:os";
import { containers, gatewayOf, network, type Container } from "../lib/docker";

/** A place in the world of the cluster's nodes. */
export interface NodePlace {
    /** IPv4 address of this host. */
    nodeAddress: string;
    /** Docker network of this host that the cluster's nodes are on. */
    network?: string;
}

/** What can be seen of a cluster from here. */
export interface ClusterSight {
    /** URL of the API server. */
    server: string;
    /** Addresses that the cluster's nodes announce. */
    nodeAddresses: string[];
}

/**
 * The address of this host by which a cluster reaches it, and the Docker network if it is in one. In this order: the gateway of the
 * Docker network whose container publishes the API server's port here, as kind, k3d and minikube have it; the address from which
 * this host speaks to the API server; an address of this host that a node of the cluster has, where the API server is on this very
 * host. Otherwise an error that ends with what is to be given.
 */
export async function findNodePlace({ server, nodeAddresses }: ClusterSight): Promise<NodePlace | string> {
    const { hostname, port } = new URL(server);
    const host = hostname.replace(/^\[|\]$/g, "");
    const inDocker = await publisher(Number(port) || 443, host);
    if (inDocker !== undefined) return inDocker;
    const source = await sourceAddressTo(host);
    if (source === undefined) return `this host has no IPv4 route to the API server's address ${host}`;
    if (!source.startsWith("127.")) return { nodeAddress: source };
    const own = Object.values(networkInterfaces()).flatMap((all) => all?.map(({ address }) => address) ?? []);
    const shared = nodeAddresses.find((address) => own.includes(address));
    if (shared !== undefined) return { nodeAddress: shared };
    return (
        `the API server is at ${host}:${port}, which no container of this host's Docker publishes, and no node of the ` +
        "cluster has an address of this host"
    );
}

/** The network of the container that publishes a port of this host, where there is one. */
async function publisher(port: number, host: string): Promise<NodePlace | undefined> {
    if (!isLoopback(host) && !isOwnAddress(host)) return undefined;
    // Without Docker there is none.
    const found = await containers(`publish=${port}`).catch((): Container[] => []);
    for (const container of found) {
        for (const name of Object.keys(container.NetworkSettings.Networks)) {
            const place = await network(name);
            if (place !== undefined) return { nodeAddress: gatewayOf(place), network: name };
        }
    }
    return undefined;
}

function isLoopback(host: string): boolean {
    return host === "localhost" || host === "::1" || host === "0.0.0.0" || host.startsWith("127.");
}

function isOwnAddress(host: string): boolean {
    return Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === host));
}

/** The IPv4 address that this host has in the eyes of another one. Nothing is sent. */
export function sourceAddressTo(host: string): Promise<string | undefined> {
    return new Promise((resolve) => {
        const socket = createSocket("udp4");
        const end = (address: string | undefined) => {
            socket.close();
            resolve(address);
        };
        socket.once("error", () => {
            end(undefined);
        });
        // Any port does: for a datagram, to connect is only to choose the route.
        socket.connect(9, host, () => {
            end(socket.address().address);
        });
    });
}
