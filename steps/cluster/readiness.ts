/** A node as the API server shows it. */
export interface ClusterNode {
    metadata: { name: string; labels?: Record<string, string> };
    status?: {
        addresses?: { type: string; address: string }[];
        conditions?: { type: string; status: string; message?: string }[];
    };
}

/**
 * What is wrong with the nodes of a cluster that are its own, given by their names; undefined: all are Ready. What else has
 * joined, a Wasm node above all, says nothing about the cluster.
 */
export function unready(nodes: ClusterNode[], own: string[]): string | undefined {
    for (const name of own) {
        const node = nodes.find(({ metadata }) => metadata.name === name);
        if (node === undefined) return `node ${name} has not joined`;
        const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
        if (ready?.status !== "True")
            return `node ${name} is not Ready (${ready?.message ?? "it reports no condition"})`;
    }
    return undefined;
}
