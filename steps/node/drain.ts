import { KubeError, type Kube } from "../lib/kube/kube";
import { pause } from "../lib/step";

/** What tells of a pod whether and how it is to leave its node. */
interface PodOnNode {
    metadata: { namespace: string; name: string; uid: string; ownerReferences?: { kind: string }[] };
}

/** How often is looked which pods are left, in milliseconds. */
const betweenLooks = 50;

/** Within how many seconds a node that is made anew in the same update takes pods again. */
const rejoinSeconds = 20;

/**
 * Takes a node's pods away as `kubectl drain` does, before the node is removed: nothing new is put on it, and each pod is evicted, which
 * respects its budget and gives it its grace; a controller puts another one elsewhere. A DaemonSet's stay, for it would put them back.
 * When the limit is over it goes on, and says which pods are left: nobody could else remove a node whose pods no budget lets go. So it does
 * where none but those are left and no other Wasm node takes pods, as when the whole cluster goes: at once if there is no other one, and else
 * after `patienceSeconds`, for the others may be made anew in the same update.
 */
export async function drain(
    kube: Kube,
    node: string,
    limitSeconds: number,
    note: (line: string) => void,
    patienceSeconds = rejoinSeconds,
): Promise<void> {
    if (limitSeconds === 0) return;
    await cordon(kube, node);
    const deadline = Date.now() + limitSeconds * 1000;
    // What comes later tolerates that nothing new is put on the node: another of it would come for each that goes.
    const leaving = new Set((await podsOn(kube, node)).map(({ metadata }) => metadata.uid));
    const evicted = new Set<string>();
    /** Why a pod may not be evicted yet, by its name. */
    const held = new Map<string, string>();
    /** Where there is none at first, none comes. One that is made anew is gone for a moment. */
    const patience = (await otherNodes(kube, node)).length === 0 ? 0 : patienceSeconds * 1000;
    /** Since when none but held pods are left and no other node takes any. */
    let stuckSince: number | undefined;
    for (;;) {
        const left = (await podsOn(kube, node)).filter(
            ({ metadata }) => leaving.has(metadata.uid) && !isOfDaemonSet(metadata),
        );
        await Promise.all(
            left
                .filter(({ metadata }) => !evicted.has(metadata.uid))
                .map(async ({ metadata }) => {
                    const refused = await evict(kube, metadata);
                    if (refused === undefined) {
                        evicted.add(metadata.uid);
                        note(`pod ${titleOf(metadata)} is evicted from node "${node}"`);
                    } else held.set(titleOf(metadata), refused);
                }),
        );
        if (left.length === 0) return;
        const over = Date.now() >= deadline;
        const allHeld = !left.some(({ metadata }) => evicted.has(metadata.uid));
        const others = allHeld ? await otherNodes(kube, node) : [];
        if (!allHeld || others.some(({ spec }) => spec?.unschedulable !== true)) stuckSince = undefined;
        else stuckSince ??= Date.now();
        if (over || (stuckSince !== undefined && Date.now() >= stuckSince + patience)) {
            const since = over ? `in ${limitSeconds} s` : "no other Wasm node takes pods, and";
            for (const { metadata } of left) {
                const why = evicted.has(metadata.uid) ? "has not ended" : held.get(titleOf(metadata));
                note(`pod ${titleOf(metadata)} ends with node "${node}": ${since} it ${why}`);
            }
            return;
        }
        await pause(betweenLooks);
    }
}

/** An annotation of a node that takes no new pods because its removal was begun, and not because its user wants that. */
const drained = "krustlet-stack/drained";

const nodePath = (node: string) => `/api/v1/nodes/${node}`;

async function cordon(kube: Kube, node: string): Promise<void> {
    const { spec } = await kube.get<WasmNode>(nodePath(node));
    if (spec?.unschedulable === true) return;
    const metadata = { annotations: { [drained]: "true" } };
    await kube.merge(nodePath(node), { metadata, spec: { unschedulable: true } });
}

/** Lets a node that stays have new pods again, where its removal was begun and did not come to its end. */
export async function uncordon(kube: Kube, node: string): Promise<void> {
    const found = await kube.find<WasmNode>(nodePath(node));
    if (found?.metadata.annotations?.[drained] === undefined) return;
    const metadata = { annotations: { [drained]: null } };
    await kube.merge(nodePath(node), { metadata, spec: { unschedulable: null } });
}

/** Removes the pods of a node that is gone: nobody is left who would say that they have ended, and until then they would be taken for running. */
export async function removePodsOf(kube: Kube, node: string): Promise<void> {
    const left = await podsOn(kube, node);
    await Promise.all(
        left.map(async ({ metadata }) => {
            const { uid } = metadata;
            await unlessGone(
                kube.delete(pathOf(metadata), { gracePeriodSeconds: 0, preconditions: { uid } }),
            );
        }),
    );
}

interface WasmNode {
    metadata: { name: string; annotations?: Record<string, string> };
    spec?: { unschedulable?: boolean };
}

/** The Wasm nodes where a pod that leaves this one may come back, so that its budget lets another one go. */
async function otherNodes(kube: Kube, node: string): Promise<WasmNode[]> {
    const arch = encodeURIComponent("kubernetes.io/arch=wasm32-wasi");
    const { items } = await kube.get<{ items: WasmNode[] }>(`/api/v1/nodes?labelSelector=${arch}`);
    return items.filter(({ metadata }) => metadata.name !== node);
}

async function podsOn(kube: Kube, node: string): Promise<PodOnNode[]> {
    return (await kube.get<{ items: PodOnNode[] }>(`/api/v1/pods?fieldSelector=spec.nodeName%3D${node}`))
        .items;
}

/** Undefined: it is evicted, or gone already. Else why not, which may change. */
async function evict(kube: Kube, pod: PodOnNode["metadata"]): Promise<string | undefined> {
    const { namespace, name, uid } = pod;
    try {
        await unlessGone(
            kube.create(`${pathOf(pod)}/eviction`, {
                apiVersion: "policy/v1",
                kind: "Eviction",
                metadata: { namespace, name },
                deleteOptions: { preconditions: { uid } },
            }),
        );
        return undefined;
    } catch (error) {
        if (!(error instanceof KubeError) || error.unanswered || error.reason === "Forbidden") throw error;
        return `could not be evicted: ${error.message}`;
    }
}

/** Waits for what is asked of one pod; another one of its name, which has another uid, is not meant. */
async function unlessGone(asked: Promise<void>): Promise<void> {
    try {
        await asked;
    } catch (error) {
        if (!(error instanceof KubeError && ["NotFound", "Conflict"].includes(error.reason))) throw error;
    }
}

function isOfDaemonSet({ ownerReferences = [] }: PodOnNode["metadata"]): boolean {
    return ownerReferences.some(({ kind }) => kind === "DaemonSet");
}

function titleOf({ namespace, name }: PodOnNode["metadata"]): string {
    return `${namespace}/${name}`;
}

function pathOf({ namespace, name }: PodOnNode["metadata"]): string {
    return `/api/v1/namespaces/${namespace}/pods/${name}`;
}
