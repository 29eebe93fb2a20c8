// What a stack has in a cluster by its labels: where a run was ended between an object's making and its record, nothing else knows of it.
import { CLAIM_LABEL, RESOURCE_LABEL } from "../../host/contract";
import { progress } from "../progress";
import { KubeError, type Kube } from "./kube";

interface Labelled {
    metadata: { name: string; namespace?: string; uid: string; labels?: Record<string, string> };
}

const selector = (labels: Record<string, string>) =>
    `labelSelector=${encodeURIComponent(
        Object.entries(labels)
            .map(([key, value]) => `${key}=${value}`)
            .join(),
    )}`;

/**
 * Removes what was made for the same resource before `object`, in its collection. `predecessor` is the UID of the one that Pulumi knows of,
 * and deletes itself.
 */
export async function removeEarlier(
    kube: Kube,
    collection: string,
    { metadata }: Labelled,
    predecessor?: string,
): Promise<void> {
    const { [CLAIM_LABEL]: claim, [RESOURCE_LABEL]: resource } = metadata.labels ?? {};
    // Of an earlier version.
    if (claim === undefined || resource === undefined) return;
    const known = [metadata.uid, predecessor];
    await sweep(kube, collection, { [CLAIM_LABEL]: claim, [RESOURCE_LABEL]: resource }, known);
}

/** Collections of all that a stack makes by Pulumi's provider, with their namespaced ones over all namespaces. */
const collections = [
    "/apis/apps/v1/deployments",
    "/apis/apps/v1/daemonsets",
    "/apis/batch/v1/cronjobs",
    "/apis/batch/v1/jobs",
    "/api/v1/services",
    "/api/v1/pods",
    "/api/v1/serviceaccounts",
    "/api/v1/configmaps",
    ...["rolebindings", "roles", "clusterrolebindings", "clusterroles"].map(
        (plural) => `/apis/rbac.authorization.k8s.io/v1/${plural}`,
    ),
    "/apis/node.k8s.io/v1/runtimeclasses",
];

/** Removes all that a claim has in a cluster that stays. */
export async function removeClaimed(kube: Kube, claim: string): Promise<void> {
    await Promise.all(collections.map((collection) => sweep(kube, collection, { [CLAIM_LABEL]: claim })));
}

async function sweep(
    kube: Kube,
    collection: string,
    labels: Record<string, string>,
    known?: (string | undefined)[],
): Promise<void> {
    const plural = collection.slice(collection.lastIndexOf("/") + 1);
    try {
        // A cluster need not know every kind.
        const found = await kube.find<{ items: Labelled[] }>(`${collection}?${selector(labels)}`);
        for (const { metadata } of (found?.items ?? []).filter((one) => !known?.includes(one.metadata.uid))) {
            const { namespace, name } = metadata;
            // Its node may be gone: nobody would say that it has ended.
            const grace = known === undefined ? "&gracePeriodSeconds=0" : "";
            await kube.delete(
                `${pathOf(collection, namespace)}/${name}?propagationPolicy=Background${grace}`,
            );
            progress(
                `${plural} ${namespace === undefined ? "" : `${namespace}/`}${name}, which an ended run had made, is removed`,
            );
        }
    } catch (error) {
        // Not everybody who may make a thing may look for it everywhere, or delete it.
        if (!(error instanceof KubeError && error.reason === "Forbidden")) throw error;
        progress(`${plural} that an ended run may have made are not looked for: ${error.message}`);
    }
}

/** Path of a collection in one namespace. */
function pathOf(collection: string, namespace: string | undefined): string {
    if (namespace === undefined || collection.includes("/namespaces/")) return collection;
    const at = collection.lastIndexOf("/");
    return `${collection.slice(0, at)}/namespaces/${namespace}${collection.slice(at)}`;
}
