// The keys of Pulumi.yaml, and how a stack reads them.
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { load } from "js-yaml";
import { stackArgs } from "../../../../components/stack/stackConfig";

const root = path.resolve(__dirname, "../../../..");
export const yaml = (file: string) =>
    load(readFileSync(path.join(root, file), "utf8")) as Record<string, unknown>;

interface Declared {
    type: string;
    default: unknown;
    description: string;
}
export const declared = yaml("Pulumi.yaml").config as Record<string, Declared>;

/** Configuration as the engine hands it over: texts, lists as JSON. */
export function texts(config: Record<string, unknown>): Record<string, string> {
    const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));
    return Object.fromEntries(Object.entries(config).map(([key, value]) => [key, text(value)]));
}
export const defaults = Object.fromEntries(Object.entries(declared).map(([key, one]) => [key, one.default]));
export const read = (config: Record<string, unknown>) =>
    stackArgs({ values: texts({ ...defaults, ...config }), secretKeys: [] });
