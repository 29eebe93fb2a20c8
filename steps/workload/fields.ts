// Who set which fields of an object, as the API server keeps it: https://kubernetes.io/docs/reference/using-api/server-side-apply/ Pure.
import { createHash } from "node:crypto";

/** An entry of `metadata.managedFields`. */
export interface ManagedFields {
    manager?: string;
    operation?: string;
    subresource?: string;
    time?: string;
    fieldsV1?: object;
}

interface Managed {
    metadata: { managedFields?: ManagedFields[] };
}

export const isPulumi = ({ manager, subresource }: ManagedFields) =>
    manager?.startsWith("pulumi-") === true && !subresource;

/**
 * What Pulumi has set in an object: SHA-256 (hex) of the fields' names. A field that somebody else sets to another value is that one's
 * from then on, and Pulumi's no more. Undefined: the API server tells of none.
 */
export function fieldsOf({ metadata }: Managed): string | undefined {
    const own = (metadata.managedFields ?? []).filter(isPulumi).map(({ fieldsV1 }) => fieldsV1);
    if (own.length === 0) return undefined;
    return createHash("sha256")
        .update(JSON.stringify(own.map(sorted)))
        .digest("hex");
}

/** Who else has set fields, but for its status: `kubectl-scale (2026-11-28T12:00:00Z)`. */
export function othersOf({ metadata }: Managed): string {
    const others = (metadata.managedFields ?? []).filter(
        (entry) => !isPulumi(entry) && entry.subresource !== "status" && entry.operation !== "Apply",
    );
    return others.map(named).join(", ") || "somebody";
}

/** Who set fields of an object first: `kubectl-create (2026-11-28T12:00:00Z)`. */
export function makerOf({ metadata }: Managed): string {
    const [first] = metadata.managedFields ?? [];
    return first === undefined ? "somebody" : named(first);
}

const named = ({ manager, time }: ManagedFields) => `${manager ?? "somebody"}${time ? ` (${time})` : ""}`;

function sorted(value: unknown): unknown {
    if (typeof value !== "object" || value === null) return value;
    const entries = Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1));
    return entries.map(([key, inner]) => [key, sorted(inner)]);
}
