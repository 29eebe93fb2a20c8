import * as pulumi from "@pulumi/pulumi";

/** One thing that is wrong with what was given. */
export interface Problem {
    /** Where: `nodes[0].port`. Empty: the whole. */
    path: string;
    /** What was given, what is allowed, what to do. */
    message: string;
}

/** Says what is wrong with a value. Values that are still to come (Outputs) are not looked at. */
export type Rule = (value: unknown, path: string) => Problem[];

/** One rule for each property of arguments; a property without a rule is unknown. */
export type Rules<A> = { [K in keyof Required<A>]: Rule };

/** Throws one error that lists all the problems, if there are any. */
export function throwProblems(what: string, problems: Problem[]): void {
    if (problems.length === 0) return;
    const lines = problems.map(({ path, message }) => `  - ${path ? `${path}: ` : ""}${message}`);
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    throw new pulumi.RunError(`${what} has ${count}:\n${lines.join("\n")}`);
}

/**
 * Checks a component's arguments: what is known now in one go (the constructor throws), what is still to come as soon as
 * it is known. Use what it returns.
 */
export function checkArgs<A extends object>(
    component: string,
    name: string,
    args: A,
    rules: Rules<A>,
    more: Problem[] = [],
): A {
    const what = `${component} "${name}"`;
    throwProblems(what, [...object(rules)(args, ""), ...more]);
    const checked = Object.entries(args).map(([key, value]) => {
        if (!holdsOutput(value)) return [key, value] as const;
        const check = laterCheck(what, key, (rules as Record<string, Rule>)[key]);
        return [key, (pulumi.output(value) as pulumi.Output<unknown>).apply(check)] as const;
    });
    return Object.fromEntries(checked) as A;
}

/** Checks the value of an argument that was still to come, and passes it on. */
export function laterCheck<T>(what: string, key: string, rule: Rule): (known: T) => T {
    return (known) => {
        throwProblems(what, rule(known, key));
        return known;
    };
}

/** A rule that looks only at values that are there and known. `test` says what is wrong, if anything. */
export function rule(test: (value: unknown) => string | undefined): Rule {
    return (value, path) => {
        if (value === undefined || isOutput(value)) return [];
        const message = test(value);
        return message === undefined ? [] : [{ path, message }];
    };
}

/** Nothing is known to be wrong with any value. */
export const anything: Rule = () => [];

/** A value that must be there; then `next` looks at it. */
export function required(next: Rule, example: string): Rule {
    return (value, path) =>
        value === undefined ? [{ path, message: `is missing; for example ${example}` }] : next(value, path);
}

export const text: Rule = rule((value) =>
    typeof value === "string" && value !== ""
        ? undefined
        : `must be a text that is not empty, not ${show(value)}`,
);

export const boolean: Rule = rule((value) =>
    typeof value === "boolean" ? undefined : `must be true or false, not ${show(value)}`,
);

export function integer(least: number, most: number): Rule {
    return rule((value) =>
        Number.isInteger(value) && (value as number) >= least && (value as number) <= most
            ? undefined
            : `must be a whole number from ${least} to ${most}, not ${show(value)}`,
    );
}

export function matching(pattern: RegExp, allowed: string, most = Infinity): Rule {
    return rule((value) => {
        if (typeof value !== "string" || !pattern.test(value))
            return `must be ${allowed}, not ${show(value)}`;
        return value.length > most ? `must have at most ${most} characters, not ${value.length}` : undefined;
    });
}

export function oneOf(allowed: readonly string[]): Rule {
    return rule((value) => {
        if (allowed.some((one) => one === value)) return undefined;
        return `must be one of ${allowed.map(show).join(", ")}, not ${show(value)}${didYouMean(value, allowed)}`;
    });
}

export function list(item: Rule): Rule {
    return (value, path) => {
        if (value === undefined || isOutput(value)) return [];
        if (!Array.isArray(value)) return [{ path, message: `must be a list, not ${show(value)}` }];
        return value.flatMap((one: unknown, index) => item(one, `${path}[${index}]`));
    };
}

export function map(item: Rule, key: Rule = anything): Rule {
    return (value, path) => {
        if (value === undefined || isOutput(value)) return [];
        if (!isObject(value))
            return [{ path, message: `must be a map of names to values, not ${show(value)}` }];
        return Object.entries(value).flatMap(([name, one]) => [
            ...key(name, `${path}: name ${show(name)}`),
            ...item(one, `${path}.${name}`),
        ]);
    };
}

export function object(rules: object): Rule {
    return (value, path) => {
        if (value === undefined || isOutput(value)) return [];
        if (!isObject(value)) return [{ path, message: `must be an object, not ${show(value)}` }];
        const inside = (key: string) => (path ? `${path}.${key}` : key);
        const known = Object.keys(rules);
        const unknown = Object.keys(value)
            .filter((key) => !known.includes(key))
            .map((key) => ({ path: inside(key), message: unknownName(key, known) }));
        const wrong = Object.entries(rules as Record<string, Rule>).flatMap(([key, check]) =>
            check(value[key], inside(key)),
        );
        return [...unknown, ...wrong];
    };
}

/** `is unknown; did you mean "port"?`, or all the names that there are. */
export function unknownName(name: string, known: readonly string[]): string {
    return `is unknown${didYouMean(name, known) || `; there are ${known.join(", ")}`}`;
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

function show(value: unknown): string {
    return JSON.stringify(value) ?? String(value);
}

function isObject(value: unknown): value is Record<string, unknown> {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isOutput(value: unknown): boolean {
    return pulumi.Output.isInstance(value) || value instanceof Promise;
}

/** Whether any part of a value is still to come. */
function holdsOutput(value: unknown): boolean {
    if (isOutput(value)) return true;
    if (Array.isArray(value)) return value.some(holdsOutput);
    return isObject(value) && Object.values(value).some(holdsOutput);
}
