/** What is expected of a value: each field that is named, lists item by item, a text by pattern where one is given. */
export type Expected<T> = T extends string
    ? T | RegExp
    : T extends readonly (infer I)[]
      ? readonly Expected<I>[]
      : T extends object
        ? { [K in keyof T]?: Expected<T[K]> }
        : T;

/**
 * The part of a value that is expected, so that it can be compared with what is expected, and shown beside it: a text that
 * fits its pattern becomes the pattern. A map whose keys are all to be known must be named as a whole (`whole`).
 */
export function project(actual: unknown, expected: unknown, whole: readonly string[] = []): unknown {
    if (expected instanceof RegExp)
        return typeof actual === "string" && expected.test(actual) ? expected : actual;
    if (Array.isArray(expected) && Array.isArray(actual)) {
        const [items, wanted]: [unknown[], unknown[]] = [actual, expected];
        return items.map((item, index) => (index < wanted.length ? project(item, wanted[index]) : item));
    }
    if (isRecord(expected) && isRecord(actual)) {
        const entries = Object.keys(expected).map((key) => {
            const [found, wanted] = [actual[key], expected[key]];
            if (!whole.includes(key) || !isRecord(found) || !isRecord(wanted))
                return [key, project(found, wanted)];
            const projected = project(found, wanted) as Record<string, unknown>;
            const others = Object.keys(found).filter((name) => !(name in wanted));
            return [key, { ...projected, ...Object.fromEntries(others.map((name) => [name, found[name]])) }];
        });
        return Object.fromEntries(entries) as Record<string, unknown>;
    }
    return actual;
}

function isRecord(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}
