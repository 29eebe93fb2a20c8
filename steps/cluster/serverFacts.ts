import type { Kube } from "../lib/kube/kube";
import type { ClusterNode } from "./readiness";

/** What a cluster's API server tells of it. */
export interface ServerFacts {
    /** `v1.36.4` */
    kubernetesVersion: string;
    /** UID of its kube-system namespace: another cluster of the same name has another one. */
    identity: string;
    /** Its own nodes. Wasm nodes have joined it, and say nothing of it. */
    nodes: ClusterNode[];
    /** Addresses that those announce to each other. */
    nodeAddresses: string[];
}

/** Asks the API server, all at once. */
export async function serverFacts(kube: Kube): Promise<ServerFacts> {
    const [version, system, { items }] = await Promise.all([
        kube.get<{ gitVersion: string }>("/version"),
        kube.get<{ metadata: { uid: string } }>("/api/v1/namespaces/kube-system"),
        kube.get<{ items: ClusterNode[] }>("/api/v1/nodes"),
    ]);
    const nodes = items.filter(({ metadata }) => metadata.labels?.["kubernetes.io/arch"] !== "wasm32-wasi");
    return {
        kubernetesVersion: version.gitVersion,
        identity: system.metadata.uid,
        nodes,
        nodeAddresses: nodes
            .flatMap(({ status }) => status?.addresses ?? [])
            .filter(({ type }) => type === "InternalIP")
            .map(({ address }) => address),
    };
}
