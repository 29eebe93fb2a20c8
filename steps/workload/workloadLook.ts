// Looks into the cluster: a workload, the pods that it runs now, and what tells why they do not.
import { KubeError, type Kube } from "../lib/kube/kube";
import { messageOf } from "../lib/errors";
import { pressureOf, type KubeNode } from "../node/nodeReady";
import type { WorkloadKind } from "./contract";
import { containersOf, type OwnerReference, type WorkloadObject, type WorkloadPod } from "./workload";
import { shown, timeOf, type LogPiece, type WorkloadEvent } from "./workloadReport";

const collections: Record<WorkloadKind, [api: string, plural: string]> = {
    Pod: ["/api/v1", "pods"],
    Deployment: ["/apis/apps/v1", "deployments"],
    DaemonSet: ["/apis/apps/v1", "daemonsets"],
    Job: ["/apis/batch/v1", "jobs"],
    CronJob: ["/apis/batch/v1", "cronjobs"],
};

/** Which workload. */
export interface WorkloadName {
    kind: WorkloadKind;
    namespace: string;
    name: string;
}

/** Path of a kind's objects in a namespace. */
export function collectionOf({ kind, namespace }: WorkloadName): string {
    const [api, plural] = collections[kind];
    return `${api}/namespaces/${namespace}/${plural}`;
}

interface List<T> {
    items: T[];
}

function select(labels: Record<string, string> | undefined): string {
    const terms = Object.entries(labels ?? {}).map(([key, value]) => `${key}=${value}`);
    return `labelSelector=${encodeURIComponent(terms.join(","))}`;
}

function ownedBy(uid: string): (object: { metadata: { ownerReferences?: OwnerReference[] } }) => boolean {
    return ({ metadata }) =>
        (metadata.ownerReferences ?? []).some((owner) => owner.controller === true && owner.uid === uid);
}

/** What a workload runs now. */
export interface Running {
    /** Its pods, but for those of an earlier state of it. */
    pods: WorkloadPod[];
    /** UIDs of whatever may have an event that tells of it, beside the pods. */
    owners: string[];
}

/**
 * The pods of a workload as it is now. Those of before a roll-out are left out: that they fail is no news, and they are about
 * to go.
 */
export async function runningOf(kube: Kube, which: WorkloadName, object: WorkloadObject): Promise<Running> {
    const { kind, namespace } = which;
    const { uid } = object.metadata;
    const pods = (labels: Record<string, string> | undefined) =>
        kube.get<List<WorkloadPod>>(`/api/v1/namespaces/${namespace}/pods?${select(labels)}`);
    const labels = object.spec?.selector?.matchLabels;
    switch (kind) {
        case "Pod":
            return { pods: [object], owners: [] };
        case "CronJob":
            return { pods: [], owners: [uid] };
        case "Job": {
            const { items } = await pods({ "batch.kubernetes.io/controller-uid": uid });
            return { pods: items.filter(ownedBy(uid)), owners: [uid] };
        }
        case "Deployment": {
            const path = `/apis/apps/v1/namespaces/${namespace}/replicasets?${select(labels)}`;
            const [sets, all] = await Promise.all([kube.get<List<WorkloadObject>>(path), pods(labels)]);
            const revision = "deployment.kubernetes.io/revision";
            const now = sets.items.filter(ownedBy(uid)).find((set) => {
                const own = set.metadata.annotations?.[revision];
                return own !== undefined && own === object.metadata.annotations?.[revision];
            });
            const owner = now?.metadata.uid;
            return {
                pods: owner === undefined ? [] : all.items.filter(ownedBy(owner)),
                owners: [uid, ...(owner === undefined ? [] : [owner])],
            };
        }
        case "DaemonSet": {
            const hash = "controller-revision-hash";
            const path = `/apis/apps/v1/namespaces/${namespace}/controllerrevisions?${select(labels)}`;
            type Revision = WorkloadObject & { revision: number };
            const [revisions, all] = await Promise.all([kube.get<List<Revision>>(path), pods(labels)]);
            const own = revisions.items.filter(ownedBy(uid)).sort((a, b) => b.revision - a.revision);
            const now = own.at(0)?.metadata.labels?.[hash];
            return {
                pods: all.items.filter(ownedBy(uid)).filter((pod) => pod.metadata.labels?.[hash] === now),
                owners: [uid],
            };
        }
    }
}

/** Why Wasm nodes take no new pods, where a pod waits for a node: the scheduler names no reason. Empty: nothing is known. */
export async function pressures(kube: Kube, { pods }: Running): Promise<string[]> {
    const isWaiting = ({ status }: WorkloadPod) =>
        status?.conditions?.some(({ type, status }) => type === "PodScheduled" && status === "False");
    if (!pods.some(isWaiting)) return [];
    try {
        const { items } = await kube.get<List<KubeNode>>(
            `/api/v1/nodes?${select({ "kubernetes.io/arch": "wasm32-wasi" })}`,
        );
        return items.flatMap((node) => pressureOf(node) ?? []);
    } catch (error) {
        // Not everybody who may make pods may look at nodes.
        if (error instanceof KubeError && error.reason === "Forbidden") return [];
        throw error;
    }
}

/** The newest events that tell of a workload. */
export async function eventsOf(
    kube: Kube,
    namespace: string,
    { pods, owners }: Running,
): Promise<WorkloadEvent[]> {
    const uids = [...owners, ...pods.slice(0, shown.pods).map(({ metadata }) => metadata.uid)];
    const lists = await Promise.all(
        uids.map((uid) =>
            kube.get<List<WorkloadEvent>>(
                `/api/v1/namespaces/${namespace}/events?fieldSelector=${encodeURIComponent(`involvedObject.uid=${uid}`)}`,
            ),
        ),
    );
    return lists
        .flatMap(({ items }) => items)
        .sort((one, other) => timeOf(one) - timeOf(other))
        .slice(-shown.events);
}

/** The last lines of the containers that have run, of the run before too where there was one. */
export async function logsOf(kube: Kube, namespace: string, { pods }: Running): Promise<LogPiece[]> {
    const runs = pods.slice(0, shown.pods).flatMap((pod) =>
        containersOf(pod).flatMap(({ name, state, restartCount = 0 }) => {
            const piece = (previous: boolean) => ({ pod: pod.metadata.name, container: name, previous });
            // While it waits for its next run, the last one is the present one to the node.
            const begun = state?.running ?? state?.terminated ?? (restartCount > 0 ? {} : undefined);
            const before = restartCount > 0 && state?.waiting === undefined;
            return [...(before ? [piece(true)] : []), ...(begun ? [piece(false)] : [])];
        }),
    );
    return Promise.all(
        runs.map(async (run) => {
            const { pod, container, previous } = run;
            const query = `container=${container}&tailLines=${shown.logLines}&previous=${previous}`;
            try {
                const text = await kube.getText(`/api/v1/namespaces/${namespace}/pods/${pod}/log?${query}`);
                return { ...run, text };
            } catch (error) {
                if (!(error instanceof KubeError)) throw error;
                return { ...run, text: `it cannot be read: ${messageOf(error)}`, unread: true };
            }
        }),
    );
}
