// What the arguments of a resource type are, and what follows from that alone: checks, defaults, and differences.
import type { CheckFailure, PropertyChange } from "../lib/provider";
import type { Props, Value } from "../lib/values";
import { containsUnknown, equal, isProps, isUnknown, textOf, unwrap } from "../lib/values";

export interface Field {
    type: "string" | "number" | "boolean" | "strings" | "map" | "object" | "objects";
    required?: boolean;
    default?: Value;
    /** A change needs a new object. */
    replaces?: boolean;
    /** Docker fills it in when it is not given. */
    computed?: boolean;
    /** A list whose order means nothing. */
    set?: boolean;
    allowed?: readonly string[];
    /** The fields of an object, or of each object of a list. */
    fields?: Fields;
}

export type Fields = Readonly<Record<string, Field>>;

/** Where Pulumi's bridge records which inputs are defaults. */
export const defaultsKey = "__defaults";

/** The faults of the arguments, each naming the argument. Values that are not known yet pass. */
export function faults(type: string, fields: Fields, args: Props, prefix = ""): CheckFailure[] {
    const failures: CheckFailure[] = [];
    for (const [name, raw] of Object.entries(args)) {
        const value = unwrap(raw);
        const property = prefix + name;
        const field = fields[name];
        if (name.startsWith("__") || value === null || isUnknown(value)) {
            continue;
        }
        if (field === undefined) {
            failures.push({
                property,
                reason: `the air-gapped stand-in of the docker plugin does not serve the argument "${property}" of ${type}`,
            });
            continue;
        }
        failures.push(...valueFaults(type, field, value, property));
    }
    for (const [name, field] of Object.entries(fields)) {
        if (field.required && (args[name] === undefined || args[name] === null)) {
            failures.push({
                property: prefix + name,
                reason: `Missing required property '${prefix}${name}'`,
            });
        }
    }
    return failures;
}

function valueFaults(type: string, field: Field, value: Value, property: string): CheckFailure[] {
    const wrong = (wanted: string): CheckFailure[] => [
        { property, reason: `"${property}" of ${type} must be ${wanted}, got ${JSON.stringify(value)}` },
    ];
    switch (field.type) {
        case "string":
            if (typeof value !== "string") return wrong("a string");
            return field.allowed === undefined || field.allowed.includes(value)
                ? []
                : wrong(`one of ${field.allowed.join(", ")}`);
        case "number":
            return typeof value === "number" ? [] : wrong("a number");
        case "boolean":
            return typeof value === "boolean" ? [] : wrong("a boolean");
        case "strings":
            return Array.isArray(value) && value.every((v) => typeof v === "string")
                ? []
                : wrong("a list of strings");
        case "map":
            return isProps(value) ? [] : wrong("a map of strings");
        case "object":
            return isProps(value)
                ? faults(type, field.fields ?? {}, value, `${property}.`)
                : wrong("an object");
        case "objects":
            if (!Array.isArray(value)) return wrong("a list of objects");
            return value.flatMap((element, i) => {
                if (isUnknown(element)) return [];
                return isProps(element)
                    ? faults(type, field.fields ?? {}, element, `${property}[${i}].`)
                    : wrong("a list of objects");
            });
    }
}

/** The arguments with their defaults, and a list of those, in the objects inside too. */
export function withDefaults(fields: Fields, args: Props): Props {
    const result: Props = {};
    for (const [name, value] of Object.entries(args)) {
        const inner = fields[name]?.fields;
        if (inner !== undefined && isProps(value) && !isUnknown(value)) {
            result[name] = withDefaults(inner, value);
        } else if (inner !== undefined && Array.isArray(value)) {
            result[name] = value.map((element) =>
                isProps(element) ? withDefaults(inner, element) : element,
            );
        } else if (value !== null) {
            result[name] = value;
        }
    }
    const defaulted: string[] = Array.isArray(args[defaultsKey]) ? args[defaultsKey].map(String) : [];
    for (const [name, field] of Object.entries(fields)) {
        if (field.default !== undefined && result[name] === undefined) {
            result[name] = field.default;
            defaulted.push(name);
        }
    }
    result[defaultsKey] = [...new Set(defaulted)].sort();
    return result;
}

/** The arguments without the record of defaults: as the resource's own functions take them. */
export function withoutDefaultsKey(args: Props): Props {
    const strip = (value: Value): Value => {
        if (Array.isArray(value)) return value.map(strip);
        return isProps(value) ? withoutDefaultsKey(value) : value;
    };
    return Object.fromEntries(
        Object.entries(args)
            .filter(([key]) => key !== defaultsKey)
            .map(([key, value]) => [key, strip(value)]),
    );
}

/**
 * The changes by argument. What is given is compared with the recorded state, so that a drift shows after a refresh. What is
 * not given any more counts when it was given before; what Docker filled in stays.
 */
export function diffArgs(
    fields: Fields,
    state: Props,
    oldInputs: Props,
    news: Props,
): Map<string, PropertyChange> {
    const changes = new Map<string, PropertyChange>();
    const [olds, before, after] = [state, oldInputs, news].map((p) => withoutDefaultsKey(unwrap(p) as Props));
    for (const [name, field] of Object.entries(fields)) {
        const [was, now] = [olds[name], after[name]];
        const replace = field.replaces === true;
        if (isZero(now)) {
            if (!isZero(before[name]) && !field.computed) {
                changes.set(name, { kind: "delete", replace });
            } else if (now !== undefined && !isZero(was) && !field.computed) {
                changes.set(name, { kind: "update", replace }); // false, 0 or "" is given, and something else is there
            }
        } else if (!sameValue(field, was, now)) {
            changes.set(name, { kind: was === undefined ? "add" : "update", replace });
        }
    }
    return changes;
}

/** Docker does not tell an empty value from none. */
function isZero(value: Value | undefined): boolean {
    return (
        value === undefined ||
        value === null ||
        value === "" ||
        value === 0 ||
        value === false ||
        (Array.isArray(value) && value.length === 0) ||
        (isProps(value) && Object.keys(value).length === 0)
    );
}

function sameValue(field: Field, was: Value | undefined, now: Value | undefined): boolean {
    if (isZero(was) && isZero(now)) {
        return true;
    }
    if (now !== undefined && containsUnknown(now)) {
        return false;
    }
    if (field.type === "map" && isProps(was) && isProps(now)) {
        return equal(stringValues(was), stringValues(now));
    }
    if (field.type === "object" && isProps(was) && isProps(now)) {
        return sameObject(field.fields ?? {}, was, now);
    }
    if (!Array.isArray(was) || !Array.isArray(now)) {
        return equal(was, now);
    }
    if (was.length !== now.length) {
        return false;
    }
    const same = (a: Value, b: Value): boolean =>
        field.fields !== undefined && isProps(a) && isProps(b) ? sameObject(field.fields, a, b) : equal(a, b);
    if (!field.set) {
        return now.every((element, i) => same(was[i], element));
    }
    const left = [...was];
    return now.every((element) => {
        const index = left.findIndex((candidate) => same(candidate, element));
        if (index >= 0) left.splice(index, 1);
        return index >= 0;
    });
}

function sameObject(fields: Fields, was: Props, now: Props): boolean {
    return Object.entries(fields).every(([name, field]) => {
        const given = now[name];
        return field.computed && isZero(given) ? true : sameValue(field, was[name], given);
    });
}

function stringValues(map: Props): Props {
    return Object.fromEntries(Object.entries(map).map(([key, value]) => [key, textOf(value)]));
}
