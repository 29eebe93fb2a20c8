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

export function isSecret(value: Value | undefined): value is { value: Value; [key: string]: Value } {
    return isProps(value) && value[signatureKey] === secretSignature;
}

/** Marks a value as secret; one that is marked already stays as it is. */
export function secret(value: Value): Value {
    return isSecret(value) ? value : { [signatureKey]: secretSignature, value };
}

/** The value without any secret marks in it; unknowns stay. */
function unwrap(value: Value): Value {
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

function mapProps(props: Props, f: (value: Value, key: string) => Value): Props {
    return Object.fromEntries(Object.entries(props).map(([key, value]) => [key, f(value, key)]));
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
