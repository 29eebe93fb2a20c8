// The Service that leads to a workload's pods, as the cluster has it.
import { StepError } from "../../lib/errors";
import { removeEarlier } from "../../lib/kube/claimed";
import type { Kube } from "../../lib/kube/kube";
import { fieldsOf } from "../fields";
import { collectionOf, findNamed } from "../named/named";
import { NamedKind } from "../contract";
import type { WorkloadPod } from "../workload";

interface EndpointSlice {
    /** Unset, `ready` is to be taken for true: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#ready */
    endpoints: { conditions?: { ready?: boolean } }[] | null;
}

/** Whether a Service is to lead to any of these. */
export function anyReady(pods: WorkloadPod[]): boolean {
    return pods.some(({ status }) =>
        status?.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
    );
}

/** Whether a slice leads to a pod that takes requests. */
export function leadsOn({ endpoints }: EndpointSlice): boolean {
    return (endpoints ?? []).some(({ conditions }) => conditions?.ready !== false);
}

/** Waits until a Service leads to a pod: it does a moment after that is Ready, and whoever asks before is told that there is none. */
export async function awaitEndpoints(
    kube: Kube,
    namespace: string,
    name: string,
    deadline: number,
): Promise<void> {
    const label = encodeURIComponent(`kubernetes.io/service-name=${name}`);
    const reached = await kube.watch<EndpointSlice, true>(
        `/apis/discovery.k8s.io/v1/namespaces/${namespace}/endpointslices?labelSelector=${label}`,
        Math.max(1, (deadline - Date.now()) / 1000),
        ({ object }) => Promise.resolve(leadsOn(object) || undefined),
    );
    if (reached) return;
    throw new StepError(
        `Service ${namespace}/${name} leads to no pod, though there are some that are Ready; see that the cluster's controller manager runs, and ` +
            "who has changed the Service's selector",
    );
}

/**
 * What Pulumi has set in a Service (`fieldsOf`), when what was made for the same workload before, and of which only an ended run knew, has
 * gone.
 */
export async function settleService(
    kube: Kube,
    namespace: string,
    name: string,
    predecessor: string | undefined,
): Promise<string | undefined> {
    const which = { kind: NamedKind.Service, namespace, name };
    const service = await findNamed(kube, which);
    if (service === undefined) return undefined;
    await removeEarlier(kube, collectionOf(which), service, predecessor);
    return fieldsOf(service);
}
