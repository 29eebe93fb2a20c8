// Property values as they travel in the plugin protocol: JSON, in which an unknown is a sentinel string and a secret is an
// object with a signature.

export type Value = null | boolean | number | string | Value[] | { [key: string]: Value };
export type Props = { [key: string]: Value };

/** The engine's sentinel for a value that is not known before the update. */
export const unknownSentinel = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

const signatureKey = "4dabf18193072939515e22adb298388d";
const secretSignature = "1b47061264138c4ac30d75fd1eb44270";

export function isProps(value: Value | undefined): value is Props {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

export function isUnknown(value: Value | undefined): boolean {
    return value === unknownSentinel;
}

export function isSecret(value: Value | undefined): value is { value: Value; [key: string]: Value } {
    return isProps(value) && value[signatureKey] === secretSignature;
}

/** Marks a value as secret; one that is marked already stays as it is. */
export function secret(value: Value): Value {
    return isSecret(value) ? value : { [signatureKey]: secretSignature, value };
}

/** The value without any secret marks in it; unknowns stay. */
export function unwrap(value: Value): Value {
    if (isSecret(value)) {
        return unwrap(value.value);
    }
    if (Array.isArray(value)) {
        return value.map(unwrap);
    }
    return isProps(value) ? mapProps(value, unwrap) : value;
}

export function unwrapProps(props: Props): Props {
    return mapProps(props, unwrap);
}

export function mapProps(props: Props, f: (value: Value, key: string) => Value): Props {
    return Object.fromEntries(Object.entries(props).map(([key, value]) => [key, f(value, key)]));
}

export function containsUnknown(value: Value | undefined): boolean {
    return some(value, isUnknown);
}

export function containsSecret(value: Value | undefined): boolean {
    return some(value, isSecret);
}

function some(value: Value | undefined, test: (value: Value) => boolean): boolean {
    if (value === undefined || value === null) {
        return false;
    }
    if (test(value)) {
        return true;
    }
    if (Array.isArray(value)) {
        return value.some((element) => some(element, test));
    }
    return isProps(value) && Object.values(value).some((element) => some(element, test));
}

/** Deep equality of JSON values, regardless of the order of keys. */
export function equal(a: Value | undefined, b: Value | undefined): boolean {
    if (a === b) {
        return true;
    }
    if (Array.isArray(a) && Array.isArray(b)) {
        return a.length === b.length && a.every((element, i) => equal(element, b[i]));
    }
    if (isProps(a) && isProps(b)) {
        const keys = Object.keys(a);
        return (
            keys.length === Object.keys(b).length && keys.every((key) => key in b && equal(a[key], b[key]))
        );
    }
    return false;
}

export function clone<T extends Value>(value: T): T {
    return structuredClone(value);
}

/** The value at a path of keys and indices, or undefined where the path leaves the value. */
export function at(value: Value | undefined, ...path: (string | number)[]): Value | undefined {
    let here = value;
    for (const step of path) {
        if (typeof step === "number" && Array.isArray(here)) {
            here = here[step];
        } else if (typeof step === "string" && isProps(here)) {
            here = here[step];
        } else {
            return undefined;
        }
    }
    return here;
}

/** The text at a path, or "" where there is none. */
export function textAt(value: Value | undefined, ...path: (string | number)[]): string {
    const found = at(value, ...path);
    return typeof found === "string" ? found : "";
}

/** The number at a path, or undefined where there is none. */
export function numberAt(value: Value | undefined, ...path: (string | number)[]): number | undefined {
    const found = at(value, ...path);
    return typeof found === "number" ? found : undefined;
}

/** A scalar as text; JSON for anything else. */
export function textOf(value: Value): string {
    return typeof value === "object" ? JSON.stringify(value) : String(value);
}

/** The elements of the list at a path, or none. */
export function listAt(value: Value | undefined, ...path: (string | number)[]): Value[] {
    const found = at(value, ...path);
    return Array.isArray(found) ? found : [];
}

/** Removes the value at a path of keys, if it is there. */
export function removeAt(props: Props, ...path: string[]): void {
    const parent = at(props, ...path.slice(0, -1));
    if (isProps(parent)) {
        delete parent[path[path.length - 1]];
    }
}

/** Sets the value at a path of keys, making the objects on the way. */
export function setAt(props: Props, value: Value, ...path: string[]): void {
    let here = props;
    for (const key of path.slice(0, -1)) {
        const next = here[key];
        here = isProps(next) ? next : (here[key] = {} as Props);
    }
    here[path[path.length - 1]] = value;
}
