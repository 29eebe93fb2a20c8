// Names and the pulumi.com annotations of an object.
import { createHash, randomBytes } from "node:crypto";
import type { CheckInput } from "../lib/provider";
import { nameOf } from "../lib/urn";
import type { Props } from "../lib/values";
import { at, isProps, isUnknown, setAt, textAt } from "../lib/values";

export const annotations = {
    autonamed: "pulumi.com/autonamed",
    skipAwait: "pulumi.com/skipAwait",
    waitFor: "pulumi.com/waitFor",
    timeoutSeconds: "pulumi.com/timeoutSeconds",
    replaceUnready: "pulumi.com/replaceUnready",
    patchForce: "pulumi.com/patchForce",
    patchFieldManager: "pulumi.com/patchFieldManager",
    deletionPropagation: "pulumi.com/deletionPropagationPolicy",
} as const;

export function annotation(object: Props, name: string): string {
    return textAt(object, "metadata", "annotations", name);
}

export function hasAnnotation(object: Props, name: string): boolean {
    return annotation(object, name) === "true";
}

export function objectName(object: Props): string {
    return textAt(object, "metadata", "name");
}

export function namespaceOf(object: Props): string {
    return textAt(object, "metadata", "namespace");
}

/** The resource's id: `namespace/name`, or the name alone of an object without a namespace. */
export function idOf(object: Props): string {
    const namespace = namespaceOf(object);
    return namespace === "" ? objectName(object) : `${namespace}/${objectName(object)}`;
}

export function parseId(id: string): { namespace: string; name: string } {
    const [first, second] = id.split("/");
    return second === undefined ? { namespace: "", name: first } : { namespace: first, name: second };
}

/** Whether the object has a name, be it one that is not known yet. */
export function isNamed(object: Props): boolean {
    return objectName(object) !== "";
}

export function usesGenerateName(object: Props): boolean {
    return !isNamed(object) && textAt(object, "metadata", "generateName") !== "";
}

export function isAutonamed(object: Props): boolean {
    return hasAnnotation(object, annotations.autonamed);
}

function setAutoname(object: Props, name: string): void {
    // Metadata that is not known as a whole cannot take a name.
    if (isUnknown(at(object, "metadata")) || isUnknown(at(object, "metadata", "annotations"))) {
        return;
    }
    setAt(object, name, "metadata", "name");
    setAt(object, "true", "metadata", "annotations", annotations.autonamed);
}

/** Names an object that has no name, as the engine's auto-naming options or Pulumi's own way want it. */
export function assignName(object: Props, input: CheckInput): void {
    if (isNamed(object) || usesGenerateName(object)) {
        return;
    }
    if (input.autonaming?.mode === "disable") {
        throw new Error("autonaming is disabled, resource requires the .metadata.name field to be set");
    }
    const name = input.autonaming?.proposedName || `${nameOf(input.urn)}-${randomSuffix(input.randomSeed)}`;
    setAutoname(object, name);
}

/** Keeps the generated name of the last deployment. */
export function adoptName(object: Props, old: Props): void {
    if (!isNamed(object) && isAutonamed(old)) {
        setAutoname(object, objectName(old));
    }
}

/** Eight hexadecimal digits; the same ones for the same seed, for the engine may ask twice. */
export function randomSuffix(seed: Uint8Array): string {
    const bytes = seed.length > 0 ? createHash("sha512").update(seed).digest() : randomBytes(4);
    return bytes.subarray(0, 4).toString("hex");
}

/** How long an operation may take: the resource's custom timeout, else its annotation, else ten minutes. */
export function timeoutMs(customSeconds: number, inputs: Props): number {
    if (customSeconds > 0) {
        return customSeconds * 1000;
    }
    const annotated = annotation(inputs, annotations.timeoutSeconds);
    return /^\d+$/.test(annotated) ? Number(annotated) * 1000 : 10 * 60 * 1000;
}

export function deletionPropagation(inputs: Props): "Orphan" | "Background" | "Foreground" {
    switch (annotation(inputs, annotations.deletionPropagation).toLowerCase()) {
        case "orphan":
            return "Orphan";
        case "background":
            return "Background";
        default:
            return "Foreground";
    }
}

/** Whether the object belongs to the owner by its owner references. */
export function isOwnedBy(object: Props, owner: Props | undefined): boolean {
    const references = at(object, "metadata", "ownerReferences");
    const uid = textAt(owner, "metadata", "uid");
    return (
        uid !== "" &&
        Array.isArray(references) &&
        references.some((reference) => isProps(reference) && reference.uid === uid)
    );
}
