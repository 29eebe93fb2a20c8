import * as pulumi from "@pulumi/pulumi";
import { later, object, type Problem, type Rule } from "../steps/rules";

export {
    anything,
    boolean,
    didYouMean,
    integer,
    list,
    map,
    matching,
    object,
    oneOf,
    plain,
    required,
    rule,
    text,
    unknownName,
    within,
    type Problem,
    type Rule,
} from "../steps/rules";

/** One rule for each property of arguments, of its type; a property without a rule is unknown. */
export type Rules<A> = { [K in keyof Required<A>]: Rule<pulumi.Unwrap<A[K]>> };

/** Throws one error that lists all the problems, if there are any. */
export function throwProblems(what: string, problems: Problem[]): void {
    if (problems.length === 0) return;
    const lines = problems.map(({ path, message }) => `  - ${path ? `${path}: ` : ""}${message}`);
    const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
    throw new pulumi.RunError(`${what} has ${count}:\n${lines.join("\n")}`);
}

/** What is wrong with arguments, as far as they are known. */
export function argsProblems<A extends object>(args: A, rules: Rules<A>): Problem[] {
    return object(rules)(known(args), "");
}

/**
 * Checks a component's arguments: what is known now in one go (the constructor throws), what is still to come as soon as
 * it is known. Use what it returns. Without types a program may give no arguments at all.
 */
export function checkArgs<A extends object>(
    component: string,
    name: string,
    args: A | undefined,
    rules: Rules<A>,
    more: Problem[] = [],
): A {
    const given = args ?? ({} as A);
    const what = `${component} "${name}"`;
    throwProblems(what, [...argsProblems(given, rules), ...more]);
    const checked = Object.entries(given).map(([key, value]) => {
        if (!holdsOutput(value)) return [key, value] as const;
        const output = pulumi.output(value) as pulumi.Output<unknown>;
        const rule = (rules as Record<string, Rule>)[key];
        return [
            key,
            pulumi
                .all([output, pulumi.isSecret(output)])
                .apply(([value, secret]) => laterCheck(what, key, rule, secret)(value)),
        ] as const;
    });
    return Object.fromEntries(checked) as A;
}

/** Checks the value of an argument that was still to come, and passes it on. A secret is not shown. */
export function laterCheck<T>(what: string, key: string, rule: Rule, secret = false): (known: T) => T {
    return (known) => {
        const wrong = rule(known, key);
        throwProblems(what, secret ? wrong.map(withoutValue) : wrong);
        return known;
    };
}

/** A problem of a value that may be a secret: it does not tell what was given. */
export function withoutValue({ path, message, discreet }: Problem): Problem {
    if (discreet === message) return { path, message };
    return { path, message: `${discreet ?? "is not what is allowed there"} (a secret, so it is not shown)` };
}

/** The value with what is still to come marked as that. */
function known(value: unknown): unknown {
    if (isOutput(value)) return later;
    if (Array.isArray(value)) return value.map(known);
    if (!isPlain(value)) return value;
    return Object.fromEntries(Object.entries(value).map(([key, one]) => [key, known(one)]));
}

function isPlain(value: unknown): value is object {
    return typeof value === "object" && value !== null && !Array.isArray(value);
}

function isOutput(value: unknown): boolean {
    return pulumi.Output.isInstance(value) || value instanceof Promise;
}

/** Whether any part of a value is still to come. */
function holdsOutput(value: unknown): boolean {
    if (isOutput(value)) return true;
    if (Array.isArray(value)) return value.some(holdsOutput);
    return isPlain(value) && Object.values(value).some(holdsOutput);
}
