// What is done with configuration values that are secrets: programs get them as secrets, and no message shows them.
import * as pulumi from "@pulumi/pulumi";
import { withoutValue, type Problem, type Rule } from "../validation";
import type { WasmStackWorkloadArgs } from "./wasmStackArgs";

/**
 * What a workload is called by, where it is reached and where its module is: parts of resources' names, of outputs and of error messages, where a secret
 * could not be kept anyway.
 */
const neverSecret: (keyof WasmStackWorkloadArgs)[] = [
    ...(["name", "kind", "namespace", "node", "restartPolicy", "concurrencyPolicy"] as const),
    ...(["source", "file", "reference", "image", "repository", "tag"] as const),
    ...(["ports", "service"] as const),
];

/** The engine says only that a key holds a secret, not where in it: every text that the program gets may be the one. */
export function withSecrets(workload: WasmStackWorkloadArgs): WasmStackWorkloadArgs {
    const entries = Object.entries(workload).map(([name, value]) => [
        name,
        (neverSecret as string[]).includes(name) ? (value as unknown) : secretTexts(value),
    ]);
    return Object.fromEntries(entries) as WasmStackWorkloadArgs;
}

function secretTexts(value: unknown): unknown {
    if (typeof value === "string") return pulumi.secret(value);
    if (Array.isArray(value)) return (value as unknown[]).map(secretTexts);
    if (typeof value !== "object" || value === null) return value;
    return Object.fromEntries(Object.entries(value).map(([name, one]) => [name, secretTexts(one)]));
}

/** The beginning of a path that is made of names of arguments alone: names in maps, and unknown ones, are part of what was given. */
export function argumentsPart(path: string, rules: Rule): string {
    let rule: Rule | undefined = rules;
    let part = "";
    for (const [token, index, name] of path.matchAll(/\[(\d+)\]|\.?([^.[\]:]+)/g)) {
        rule = index !== undefined ? rule.item : ownProperty(rule.properties, name);
        if (rule === undefined) break;
        part += token;
    }
    return part;
}

function ownProperty(rules: Record<string, Rule> | undefined, name: string): Rule | undefined {
    return rules !== undefined && Object.hasOwn(rules, name) ? rules[name] : undefined;
}

/** A problem as it may be shown, of a configuration with secrets. `key` is the configuration key that it is about. */
export function withoutSecrets(
    problem: Problem & { key: string },
    { values, secretKeys }: { values: Record<string, string>; secretKeys: string[] },
    rules: Rule,
): Problem {
    const { key, path } = problem;
    if (secretKeys.includes(key)) {
        return withoutValue({ ...problem, path: path === key ? path : argumentsPart(path, rules) });
    }
    // Rules that look at several keys tell of other values, too. Pulumi puts the same word in their place.
    const secrets = secretKeys.flatMap((one) => leaves(values[one] ?? ""));
    return secrets.length === 0
        ? problem
        : { ...problem, message: problem.message.replace(anyOf(secrets), "[secret]") };
}

/** The texts and numbers in a configuration value. */
function leaves(value: unknown): string[] {
    if (typeof value === "object" && value !== null) return Object.values(value).flatMap(leaves);
    if (typeof value !== "string") return typeof value === "number" ? [String(value)] : [];
    try {
        const parsed = JSON.parse(value) as unknown;
        if (typeof parsed === "object" && parsed !== null) return leaves(parsed);
    } catch {
        // Then it is a text.
    }
    return value === "" ? [] : [value, JSON.stringify(value).slice(1, -1)];
}

/** Finds texts where they are no part of a longer word. */
function anyOf(texts: string[]): RegExp {
    const words = [...texts]
        .sort((a, b) => b.length - a.length)
        .map((one) => {
            const literal = one.replace(/[\\^$.*+?()[\]{}|/]/g, "\\$&");
            return `${/^\w/.test(one) ? "(?<!\\w)" : ""}${literal}${/\w$/.test(one) ? "(?!\\w)" : ""}`;
        });
    return new RegExp(words.join("|"), "g");
}
