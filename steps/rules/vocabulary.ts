/**
 * The words that every rule is made of: for the components' arguments, the configuration and the steps' inputs alike. A rule looks
 * at a value and lists all that is wrong with it, each with its path, what was given and what is allowed.
 *
 * Why not zod or another one: docs/decisions/0013-rules.md.
 */

/** One thing that is wrong with what was given. */
export interface Problem {
    /** Where: `nodes[0].port`. Empty: the whole. */
    path: string;
    /** What was given, what is allowed, what to do. */
    message: string;
    /** The same without what was given, where the message shows that: it may be a secret. */
    discreet?: string;
}

/** A problem whose message shows nothing that was given. */
export function plain(path: string, message: string): Problem {
    return { path, message, discreet: message };
}

/** Says what is wrong with a value, which is a T if nothing is. A value that is not there, or still to come, is passed over. */
export interface Rule<T = unknown> {
    (value: unknown, path: string): Problem[];
    /** What is allowed, to be read after "must be ". */
    readonly allowed?: string;
    /** Bounds of a number, both allowed. */
    readonly bounds?: { least: number; most: number };
    /** The only values that there are. */
    readonly words?: readonly string[];
    /** The rule for each item of a list. */
    readonly item?: Rule;
    /** The rule for each property of an object. */
    readonly properties?: Record<string, Rule>;
    /** Whether a step's input may do without it. */
    readonly optional?: boolean;
    /** Never there: it ties the rule to its type. */
    readonly type?: T;
}

/** Stands for a value that is still to come (an Output of Pulumi): nothing can be held against it yet. */
export const later = Symbol("still to come");

type Facts<T> = Omit<Rule<T>, "type">;

function made<T>(look: (value: unknown, path: string) => Problem[], facts: Facts<T>): Rule<T> {
    const passing = (value: unknown, path: string) =>
        value === undefined || value === later ? [] : look(value, path);
    return Object.assign(passing, facts);
}

/** A value of which `fits` holds; `allowed` says the same in words. `more` may add to the message. */
function must<T>(
    allowed: string,
    fits: (value: unknown) => boolean,
    facts: Facts<T> = {},
    more: (value: unknown) => string = () => "",
): Rule<T> {
    const discreet = `must be ${allowed}`;
    return made(
        (value, path) =>
            fits(value) ? [] : [{ path, message: `${discreet}, not ${show(value)}${more(value)}`, discreet }],
        { allowed, ...facts },
    );
}

/** A rule that looks only at values that are there and known. `test` says what is wrong, if anything. */
export function rule<T>(test: (value: unknown) => string | undefined, allowed?: string): Rule<T> {
    return made(
        (value, path) => {
            const message = test(value);
            const discreet = allowed === undefined ? undefined : `must be ${allowed}`;
            return message === undefined ? [] : [{ path, message, discreet }];
        },
        { allowed },
    );
}

/** Nothing is known to be wrong with any value. */
export const anything: Rule<never> = () => [];

/** An argument that must be there; then `next` looks at it. */
export function required<T>(next: Rule<T>, example: string): Rule<T> {
    return Object.assign(
        (value: unknown, path: string) =>
            value === undefined ? [plain(path, `is missing; for example ${example}`)] : next(value, path),
        factsOf(next),
    );
}

/** A field of a step's input that may be missing. */
export function optional<T>(next: Rule<T>): Rule<T | undefined> {
    return Object.assign((value: unknown, path: string) => next(value, path), factsOf(next), {
        optional: true,
    });
}

/** A value that is never shown. */
export function secret<T>(next: Rule<T>): Rule<T> {
    const allowed = `${next.allowed ?? "what fits"} (it is not shown)`;
    return made(
        (value, path) => next(value, path).map((one) => ({ path: one.path, message: `must be ${allowed}` })),
        { ...factsOf(next), allowed },
    );
}

/** What may be null, too. */
export function nullable<T>(next: Rule<T>): Rule<T | null> {
    return made((value, path) => (value === null ? [] : next(value, path)), {
        allowed: `${next.allowed ?? "what fits"}, or null`,
    });
}

function factsOf(next: Rule): Facts<never> {
    const { allowed, bounds, words, item, properties } = next;
    return { allowed, bounds, words, item, properties };
}

export const text: Rule<string> = must(
    "a text that is not empty",
    (value) => typeof value === "string" && value !== "",
);

export const boolean: Rule<boolean> = must("true or false", (value) => typeof value === "boolean");

export function integer(least: number, most: number): Rule<number> {
    return must(
        `a whole number from ${least} to ${most}`,
        (value) => Number.isInteger(value) && (value as number) >= least && (value as number) <= most,
        { bounds: { least, most } },
    );
}

export function number(least: number, most: number): Rule<number> {
    return must(
        `a number from ${least} to ${most}`,
        (value) => typeof value === "number" && value >= least && value <= most,
        { bounds: { least, most } },
    );
}

/** A text that a pattern describes; `allowed` says the same in words. */
export function matching(pattern: RegExp, allowed: string, most = Infinity): Rule<string> {
    const shape = must<string>(allowed, (value) => typeof value === "string" && pattern.test(value));
    return made((value, path) => {
        const wrong = shape(value, path);
        if (wrong.length > 0) return wrong;
        const { length } = value as string;
        const discreet = `must have at most ${most} characters`;
        return length <= most ? [] : [{ path, message: `${discreet}, not ${length}`, discreet }];
    }, factsOf(shape));
}

/** What passes `next` and then `test`, which says what is wrong with it, if anything, without showing it. */
export function also<T>(next: Rule<T>, test: (value: T) => string | undefined): Rule<T> {
    return made((value, path) => {
        const wrong = next(value, path);
        if (wrong.length > 0) return wrong;
        const fault = test(value as T);
        if (fault === undefined) return [];
        return [{ path, message: `is ${show(value)}, but ${fault}`, discreet: fault }];
    }, factsOf(next));
}

export function oneOf<W extends string>(words: readonly W[]): Rule<W> {
    return must(
        `one of ${words.map(show).join(", ")}`,
        (value) => words.some((one) => one === value),
        { words },
        (value) => didYouMean(value, words),
    );
}

export function list<T>(item: Rule<T>): Rule<T[]> {
    const allowed = item.allowed === undefined ? "a list" : `a list, each item ${item.allowed}`;
    return made(
        (value, path) =>
            Array.isArray(value)
                ? value.flatMap((one: unknown, index) => item(one, `${path}[${index}]`))
                : [notA("a list", value, path)],
        { allowed, item },
    );
}

export function map<T>(item: Rule<T>, key: Rule = anything): Rule<Record<string, T>> {
    const allowed = "a map of names to values";
    return made(
        (value, path) =>
            isObject(value)
                ? Object.entries(value).flatMap(([name, one]) => [
                      ...key(name, `${path}: name ${show(name)}`),
                      ...item(one, `${path}.${name}`),
                  ])
                : [notA(allowed, value, path)],
        { allowed },
    );
}

/** An object of these properties and no others. Those that must be there are `required`. */
export function object(rules: object): Rule<never> {
    const properties = rules as Record<string, Rule>;
    const known = Object.keys(rules);
    return made(
        (value, path) => {
            if (!isObject(value)) return [notA("an object", value, path)];
            const unknown = Object.keys(value)
                .filter((key) => !known.includes(key))
                .map((key) => ({
                    path: within(path, key),
                    message: unknownName(key, known),
                    discreet: `has something unknown${namesHint(key, known)}`,
                }));
            const wrong = Object.entries(properties).flatMap(([key, check]) =>
                check(value[key], within(path, key)),
            );
            return [...unknown, ...wrong];
        },
        { allowed: `an object of ${known.join(", ")}`, properties },
    );
}

/** `nodes[0].port` of `nodes[0]` and `port`. */
export function within(path: string, property: string): string {
    return path ? `${path}.${property}` : property;
}

function notA(allowed: string, value: unknown, path: string): Problem {
    const discreet = `must be ${allowed}`;
    return { path, message: `${discreet}, not ${show(value)}`, discreet };
}

/** `is unknown; did you mean "port"?`, or all the names that there are. */
export function unknownName(name: string, known: readonly string[]): string {
    return `is unknown${namesHint(name, known)}`;
}

function namesHint(name: string, known: readonly string[]): string {
    return didYouMean(name, known) || `; there are ${known.join(", ")}`;
}

/** `; did you mean "…"?` when one of `known` is close to what was given. */
export function didYouMean(given: unknown, known: readonly string[]): string {
    if (typeof given !== "string") return "";
    const distances = known.map((name) => ({
        name,
        distance: editDistance(given.toLowerCase(), name.toLowerCase()),
    }));
    const best = distances.sort((a, b) => a.distance - b.distance)[0];
    if (best === undefined || best.distance > Math.max(1, Math.floor(best.name.length / 3))) return "";
    return `; did you mean ${show(best.name)}?`;
}

/** How many letters must be put in, taken out, changed or swapped with their neighbour to get from `a` to `b`. */
function editDistance(a: string, b: string): number {
    const rows = [Array.from({ length: b.length + 1 }, (_, column) => column)];
    for (let i = 1; i <= a.length; i++) {
        const row = [i];
        for (let j = 1; j <= b.length; j++) {
            const same = a[i - 1] === b[j - 1];
            row[j] = Math.min(rows[i - 1][j] + 1, row[j - 1] + 1, rows[i - 1][j - 1] + (same ? 0 : 1));
            if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1]) {
                row[j] = Math.min(row[j], rows[i - 2][j - 2] + 1);
            }
        }
        rows.push(row);
    }
    return rows[a.length][b.length];
}

/** What was given, cut off where it is long. */
function show(value: unknown): string {
    // What is still to come within it has no JSON.
    const shown = JSON.stringify(value, (_, one: unknown) => (one === later ? "…" : one)) ?? String(value);
    return shown.length > 200 ? `${shown.slice(0, 197)}...` : shown;
}

export function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}
