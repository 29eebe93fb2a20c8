// Objects whose names are given, so that one of that name may be somebody else's: by server-side apply the provider takes it over, and it
// deletes by the name alone.
import {
    NamedKind,
    type AwaitWorkloadInput,
    type ClaimObjectInput,
    type NamedObject,
    type WantedName,
} from "../../contract";
import { CLAIM_LABEL, RESOURCE_LABEL } from "../../host/contract";
import { idOf } from "../../lib/claim";
import { StepError } from "../../lib/errors";
import { entryOf } from "../../lib/journal";
import type { Kube } from "../../lib/kube/kube";
import {
    boolean,
    dnsLabel,
    object,
    objectName,
    oneOf,
    optional,
    owner,
    text,
    type Fields,
} from "../../lib/schema";
import { isPulumi, makerOf, type ManagedFields } from "../fields";

/** One that is there, as far as it is looked at. */
export interface FoundObject {
    /** Of a RuntimeClass. */
    handler?: string;
    /** Of a Service. */
    spec?: { ports?: { nodePort?: number }[] };
    metadata: {
        name: string;
        namespace?: string;
        uid: string;
        deletionTimestamp?: string;
        labels?: Record<string, string>;
        managedFields?: ManagedFields[];
    };
}

/** A name and whose it is to be. */
export type Claimed = Omit<ClaimObjectInput, "kubeconfigFile">;

type Which = Pick<NamedObject, "kind" | "namespace" | "name">;

const namedFields: Fields<NamedObject> = {
    kind: oneOf(Object.values(NamedKind)),
    namespace: optional(dnsLabel),
    name: objectName,
    label: text,
    app: optional(text),
    resource: optional(text),
};

export const claimObjectFields: Fields<ClaimObjectInput> = { ...namedFields, owner, kubeconfigFile: text };

export const claimObjectInput = object<ClaimObjectInput>(claimObjectFields);

export const wantedName = object<WantedName>({ ...namedFields, shared: optional(boolean) });

/** Path of the objects that it is one of. */
export function collectionOf({ kind, namespace }: Pick<Which, "kind" | "namespace">): string {
    return kind === NamedKind.Service
        ? `/api/v1/namespaces/${namespace}/services`
        : "/apis/node.k8s.io/v1/runtimeclasses";
}

/** The object of a name; undefined: there is none. */
export function findNamed(kube: Kube, which: Which): Promise<FoundObject | undefined> {
    return kube.find(`${collectionOf(which)}/${which.name}`);
}

/** What it is to people. */
export function titleOf({ kind, namespace, name }: Which): string {
    return `${kind} ${namespace === undefined ? "" : `${namespace}/`}${name}`;
}

/** Whether its owner has made an object, by its label. */
function bearsClaim({ metadata }: FoundObject, owner: string): boolean {
    const id = idOf(owner);
    return id !== undefined && metadata.labels?.[CLAIM_LABEL] === id;
}

/** Whether its owner has made it as this very resource. */
export function isThisOne(found: FoundObject, { owner, label }: Pick<Claimed, "owner" | "label">): boolean {
    return bearsClaim(found, owner) && found.metadata.labels?.[RESOURCE_LABEL] === label;
}

/** Whether it is a RuntimeClass as it was made before there were claims: it bears none, and there was one of such for all stacks. */
function isOfBefore({ handler, metadata: { labels, managedFields = [] } }: FoundObject): boolean {
    const byPulumi = managedFields.length > 0 && managedFields.every(isPulumi);
    return handler === "wasi" && labels?.[CLAIM_LABEL] === undefined && byPulumi;
}

/** Whose an object is that is not this stack's, as far as it tells. */
function ownerOf({ metadata }: FoundObject): string {
    const claim = metadata.labels?.[CLAIM_LABEL];
    return claim === undefined ? `${makerOf({ metadata })} made it` : `another stack's, of claim ${claim}`;
}

/** What is to be done where a name is somebody else's. */
const ways: Record<NamedKind, string> = {
    Service: "give the workload's another name (service.name), or delete that one",
    RuntimeClass:
        "use that one (shared: in a stack runtimeClass.shared, in its configuration runtimeClassShared), give this stack's another name " +
        "(runtimeClassName, in a stack runtimeClass.name), or delete that one",
};

/** Why the object of a name, which is as `now`, cannot be this resource's; undefined: it can. */
async function faultOf(which: Claimed, now: FoundObject): Promise<string | undefined> {
    const { label, app, resource } = which;
    const entry = resource === undefined ? undefined : await entryOf(resource);
    const made = (entry?.input as AwaitWorkloadInput | undefined)?.service;
    // Somebody may have taken its labels away.
    if (now.metadata.uid === made?.uid) return undefined;
    if (isOfBefore(now)) return undefined;
    if (!bearsClaim(now, which.owner))
        return `${titleOf(which)} is there already, and is not this stack's (${ownerOf(now)}): it is left as it is; ${ways[which.kind]}`;
    const { [RESOURCE_LABEL]: itsLabel, app: itsApp } = now.metadata.labels ?? {};
    // One whose component has another name by now (an alias) has its workload's label still.
    if (itsLabel === label || itsApp === app) return undefined;
    return (
        `${titleOf(which)} is that of this stack's workload "${itsApp}", which would take it along when it loses it: remove it ` +
        "there first, in an update of its own, or give this one another name (service.name)"
    );
}

/** Fails where the object of a given name is somebody else's, or another resource's of this stack. */
export async function refuseOthers(which: Claimed, now: FoundObject | undefined): Promise<void> {
    const fault = now && (await faultOf(which, now));
    if (fault !== undefined) throw new StepError(fault);
}

/** Why a name cannot be had before anything is made; undefined: it can. */
export async function nameFault(
    kube: Kube,
    which: Claimed & Pick<WantedName, "shared">,
): Promise<string | undefined> {
    const now = await findNamed(kube, which);
    if (!which.shared) return now && faultOf(which, now);
    if (now !== undefined && bearsClaim(now, which.owner))
        return `${titleOf(which)} is this stack's own, which would go, and be missed by whoever shares it: leave out shared`;
    if (now !== undefined) return undefined;
    return `${titleOf(which)} is to be shared, and is not there: leave out shared, and this stack makes its own, or have the other one made first`;
}
