import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { NODE_PORT } from "../../../components/defaults";
import { nodeSettingsRules } from "../../../components/node/nodeSettings";
import { workloadRulesOfAll } from "../../../components/stack/wasmStackArgs";
import { configurationPage } from "../../../docs/reference/configuration";
import { nodeInput } from "../../../steps/node/agent/agent";

const root = path.resolve(__dirname, "../../..");
const read = (file: string) => readFileSync(path.join(root, file), "utf8");
const flags = read("krustlet/agent/src/config/flags.rs");
const page = configurationPage();

/** What the agent's command line says of a flag: its range, and its default. */
function flag(name: string) {
    const [, attribute] =
        new RegExp(`#\\[arg\\(([^\\n]*)\\)\\]\\n\\s*pub\\(super\\) ${name}:`).exec(flags) ?? [];
    assert.ok(attribute, `the agent has no flag ${name}`);
    const [, type, least, most] =
        /value_parser!\((\w+)\)\.range\((\d+)\.\.(?:=(\d+))?\)/.exec(attribute) ?? [];
    const largest: Record<string, number> = { u8: 255, u16: 65_535, i32: 2 ** 31 - 1 };
    const given = /default_value_t = (\d+)/.exec(attribute)?.[1];
    return { least: Number(least), most: Number(most ?? largest[type]), given: given && Number(given) };
}

/** What the page says of an item, from its heading to the next one. */
function section(name: string): string {
    const found = page.split(/^### /m).find((one) => one.startsWith(`${name}\n`));
    assert.ok(found, name);
    return found.replace(/\s+/g, " ");
}

test("docs/reference/configuration.md is up to date: `npm run docs` writes it", () => {
    assert.equal(read("docs/reference/configuration.md"), page);
    for (const line of page.split("\n")) assert.ok(line.length <= 240, line);
});

const ofAgent = {
    port: "port",
    maxPods: "max_pods",
    certificateDurationSeconds: "certificate_duration_seconds",
    certificateRenewalPercent: "certificate_renewal_percent",
} as const;
for (const [argument, name] of Object.entries(ofAgent) as [keyof typeof ofAgent, string][]) {
    test(`${argument}: the agent takes all that the rules take, and the docs tell its bounds and default`, () => {
        const { least, most, given } = flag(name);
        const { bounds } = nodeSettingsRules[argument];
        assert.ok(bounds && bounds.least >= least && bounds.most <= most, `${least} to ${most}`);
        assert.deepEqual(nodeInput.fields[argument].bounds, bounds, "the step has the same rule");
        const text = section(argument);
        for (const [, from, to] of text.matchAll(/from (\d+) to (\d+)/g))
            assert.deepEqual({ least: Number(from), most: Number(to) }, bounds);
        if (given !== undefined) assert.match(text, new RegExp(`Default: ${given}\\b`));
    });
}

test("a node's port is the agent's own default", () => assert.equal(flag("port").given, NODE_PORT));

test("maxConcurrentRequests is what the agent allows", () => {
    const most = /MOST_REQUESTS: usize = (\d+);/.exec(read("krustlet/pods/src/containers/http.rs"))?.[1];
    assert.deepEqual(workloadRulesOfAll.maxConcurrentRequests.bounds, { least: 1, most: Number(most) });
});

test("Pulumi.yaml names every argument of a node and of a workload", () => {
    const yaml = read("Pulumi.yaml").replace(/\s+/g, " ");
    for (const name of [...Object.keys(nodeSettingsRules), ...Object.keys(workloadRulesOfAll)])
        assert.match(yaml, new RegExp(`\\b${name}\\b`), name);
});
