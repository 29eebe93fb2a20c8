// The Service that leads to a workload's pods, as the cluster has it.
import type { AwaitWorkloadInput } from "../../contract";
import { CLAIM_LABEL } from "../../host/contract";
import { currentClaim } from "../../lib/claim";
import { StepError } from "../../lib/errors";
import { entryOf, noteOf } from "../../lib/journal";
import { removeEarlier } from "../../lib/kube/claimed";
import { lookInto, type Kube } from "../../lib/kube/kube";
import { fieldsOf, type ManagedFields } from "../fields";
import type { WorkloadPod } from "../workload";

/** A Service, as far as it is looked at. */
export interface ServiceObject {
    metadata: {
        name: string;
        namespace: string;
        uid: string;
        labels?: Record<string, string>;
        managedFields?: ManagedFields[];
    };
}

interface EndpointSlice {
    /** Unset, `ready` is to be taken for true: https://kubernetes.io/docs/concepts/services-networking/endpoint-slices/#ready */
    endpoints: { conditions?: { ready?: boolean } }[] | null;
}

const servicesIn = (namespace: string) => `/api/v1/namespaces/${namespace}/services`;

/** The Service of a name; undefined: there is none. */
export function findService(kube: Kube, namespace: string, name: string): Promise<ServiceObject | undefined> {
    return kube.find(`${servicesIn(namespace)}/${name}`);
}

/** Whether this stack has made it: by the label, which somebody may have taken away, or because it is the one that it made. */
export function isOurs({ metadata }: ServiceObject, made: { uid: string } | undefined): boolean {
    return metadata.uid === made?.uid || metadata.labels?.[CLAIM_LABEL] === (currentClaim()?.id ?? "");
}

/**
 * Fails where what was made for a workload before is somebody else's by now: deleted, and another one of that name made. The provider
 * deletes by the name alone, so that whatever ends ours here, a new name too, would end that one.
 */
export async function refuseStolen(resource: string): Promise<void> {
    const made = (await entryOf(resource))?.input as AwaitWorkloadInput | undefined;
    const { service, namespace, kubeconfigFile } = made ?? {};
    if (service === undefined || namespace === undefined || kubeconfigFile === undefined) return;
    const answer = await lookInto(kubeconfigFile, (kube) => findService(kube, namespace, service.name));
    if (answer?.seen === undefined || isOurs(answer.seen, service)) return;
    throw new StepError(
        `Service ${namespace}/${service.name} is not this stack's any more: ours is gone, and another one has its name, which Pulumi would take ` +
            "over or delete. Either delete or rename that one, or have ours forgotten, with all that depends on it in the program (look at that " +
            `first: it stays where it is), and give the workload's another name (service.name):
` +
            `pulumi state delete --target-dependents '${service.urn}' && rm '${noteOf(resource)}'`,
    );
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
    const service = await findService(kube, namespace, name);
    if (service === undefined) return undefined;
    await removeEarlier(kube, servicesIn(namespace), service, predecessor);
    return fieldsOf(service);
}
