/** Every component is one that Pulumi's own schema inference takes, which makes a package for other languages of it. */
import assert from "node:assert/strict";
import * as path from "node:path";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { Analyzer } from "@pulumi/pulumi/provider/experimental/analyzer";
import * as components from "../../../components";

const root = path.resolve(__dirname, "../../..");
const names = Object.entries(components)
    .filter(([, value]) => (value as { prototype?: unknown }).prototype instanceof pulumi.ComponentResource)
    .map(([name]) => name);
const entry = { name: "krustlet-stack", main: "components/index.ts" };
const schema = new Analyzer(root, "krustlet-stack", entry, new Set(names)).analyze();

test("every component has a schema", () => {
    assert.deepEqual(Object.keys(schema.components).sort(), names.sort());
    for (const [name, { outputs }] of Object.entries(schema.components))
        assert.notDeepEqual(Object.keys(outputs), [], name);
});

test("children are no outputs: no schema knows another package's resource", () => {
    assert.deepEqual(schema.dependencies, []);
    const outputs = ["name", "namespace", "logsCommand", "serviceName", "url"];
    assert.deepEqual(Object.keys(schema.components.WasmPod.outputs), outputs);
    assert.deepEqual(Object.keys(schema.components.WasmJob.outputs), outputs.slice(0, 3));
});

test("sets of words are enumerations, with what each word means", () => {
    const { WorkloadKind } = schema.typeDefinitions as unknown as Record<
        string,
        { enum: { value: string; description?: string }[] }
    >;
    assert.deepEqual(
        WorkloadKind.enum.map(({ value }) => value),
        Object.values(components.WorkloadKind),
    );
    for (const { value, description } of WorkloadKind.enum) assert.ok(description, value);
});
