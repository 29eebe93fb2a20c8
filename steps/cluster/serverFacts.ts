import { StepError } from "../lib/errors";
import { withKube, type Kube } from "../lib/kube/kube";
import { pause } from "../lib/step";
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

/** The service account that every pod of the default namespace has, unless it names another one. */
const defaultAccount = "/api/v1/namespaces/default/serviceaccounts/default";

/**
 * Waits until a new cluster, named as messages call it, takes pods. The API server refuses every one in a namespace without its
 * service account, which the cluster's controllers may make a moment after its nodes are Ready.
 */
export async function untilTakesPods(
    called: string,
    kubeconfigFile: string,
    waitSeconds: number,
): Promise<void> {
    const deadline = Date.now() + waitSeconds * 1000;
    await withKube(kubeconfigFile, async (kube) => {
        while ((await kube.find(defaultAccount)) === undefined) {
            if (Date.now() > deadline) {
                throw new StepError(
                    `${called}: it takes no pods after waitSeconds ${waitSeconds}: its namespace default has no service account; ` +
                        "look at the log of its kube-controller-manager, or raise waitSeconds if the machine is slow",
                );
            }
            await pause(100);
        }
    });
}
