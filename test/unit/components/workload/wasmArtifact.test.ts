import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { WasmArtifact, type WasmArtifactArgs } from "../../../../components";
import { commandInputs, digest, forgotten, imageReference, notUndone, steps, undone } from "../fixtures";
import { record } from "../mocks";

const parent = "krustlet-stack:index:WasmArtifact::a";
const to = { registry: "localhost:5001", repository: "hello-wasm" };
const look = { command: "workload/observeArtifact", input: { resource: "a-push" } };
const describe = (input: object) => ({
    command: "workload/describeModule",
    input,
});

test("from sources: looked at, built when they change, pushed when the bytes change", async () => {
    const { resources, invokes, result } = await record({ steps }, () => {
        const a = new WasmArtifact("a", { ...to, source: "workloads/hello-world" });
        return { reference: a.reference, digest: a.digest, sizeBytes: a.sizeBytes };
    });
    assert.deepEqual(resources, {
        a: { type: "krustlet-stack:index:WasmArtifact", parent: undefined, inputs: {}, options: {} },
        "a-build": {
            type: "command:local:Command",
            parent,
            inputs: {
                ...commandInputs("buildModule"),
                stdin: '{"source":"workloads/hello-world"}',
                triggers: ["d".repeat(64)],
            },
            options: notUndone,
        },
        "a-push": {
            type: "command:local:Command",
            parent,
            inputs: {
                ...commandInputs("pushArtifact", "forget"),
                stdin: JSON.stringify({
                    file: "target/hello.wasm",
                    sha256: "b".repeat(64),
                    source: "workloads/hello-world",
                    reference: "localhost:5001/hello-wasm:latest",
                    insecureRegistries: [],
                }),
            },
            options: { ...forgotten, dependsOn: ["command:local:Command::a-build"] },
        },
    });
    assert.deepEqual(invokes, [describe({ source: "workloads/hello-world" }), look]);
    assert.deepEqual(result, { reference: imageReference, digest, sizeBytes: 1234 });
});

test("from a file: no build; another registry instance pushes again", async () => {
    const { resources, invokes } = await record({ steps }, () => {
        const args = { file: "x.wasm", tag: "v1", insecureRegistries: ["localhost:5001"] };
        return new WasmArtifact("a", { ...to, ...args, registryInstance: pulumi.output("container-id") })
            .digest;
    });
    assert.deepEqual(Object.keys(resources), ["a", "a-push"]);
    assert.deepEqual(resources["a-push"].inputs, {
        ...commandInputs("pushArtifact", "forget"),
        stdin: JSON.stringify({
            file: "x.wasm",
            sha256: "d".repeat(64),
            registryInstance: "container-id",
            reference: "localhost:5001/hello-wasm:v1",
            insecureRegistries: ["localhost:5001"],
        }),
    });
    assert.deepEqual(invokes, [describe({ file: "x.wasm" }), look]);
});

test("a registry elsewhere, with a path", async () => {
    const { resources } = await record({ steps }, () => {
        return new WasmArtifact("a", { registry: "ghcr.io/you", repository: "demo/hello", file: "x.wasm" })
            .digest;
    });
    const { reference } = JSON.parse(String(resources["a-push"].inputs.stdin)) as { reference: string };
    assert.equal(reference, "ghcr.io/you/demo/hello:latest");
});

const refused: [string, Partial<WasmArtifactArgs>, string[]][] = [
    [
        "a reference without tag and digest",
        { reference: "ghcr.io/you/hello" },
        [
            'reference: must be a reference with its registry and a tag or a digest (for example "ghcr.io/you/hello-wasm:v1"), not "ghcr.io/you/hello"',
        ],
    ],
    [
        "what is for a push, of what is there",
        { reference: "ghcr.io/you/hello:v1", repository: "hello", deleteTag: true },
        [
            'repository: is for what is pushed; "reference" names what is there',
            'deleteTag: is for what is pushed; "reference" names what is there',
        ],
    ],
    [
        "no origin",
        to,
        ['exactly one of "file", "source", "reference" says where the module comes from; none is given'],
    ],
    [
        "two origins",
        { ...to, file: "x", source: "y" },
        [
            'exactly one of "file", "source", "reference" says where the module comes from; "file" and "source" are given',
        ],
    ],
    [
        "no registry, a bad repository, a bad tag",
        { file: "x", repository: "Hello", tag: "a b" },
        [
            'registry: is missing; for example "localhost:5001"',
            'repository: must be lower-case letters, digits, ".", "_", "-" and "/" (for example "demo/hello-wasm"), not "Hello"',
            'tag: must be a tag of letters, digits, ".", "_" and "-" (for example "v1"), not "a b"',
        ],
    ],
];
for (const [what, args, problems] of refused) {
    test(`refused: ${what}`, async () => {
        await record({ steps }, () => {
            const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
            const message = [`WasmArtifact "a" has ${count}:`, ...problems.map((one) => `  - ${one}`)].join(
                "\n",
            );
            assert.throws(() => new WasmArtifact("a", args), { message });
        });
    });
}

test("what is there already is looked up, and nothing is made", async () => {
    const { resources, invokes, result } = await record({ steps }, () => {
        const args = { reference: "registry.example.com/team/clock:v1", trustedCaFile: "~/ca.pem" };
        const a = new WasmArtifact("a", { ...args, dockerConfigFile: "~/logins/config.json" });
        return { reference: a.reference, digest: a.digest, sizeBytes: a.sizeBytes };
    });
    assert.deepEqual(Object.keys(resources), ["a"]);
    assert.deepEqual(invokes, [
        {
            command: "workload/resolveArtifact",
            input: {
                reference: "registry.example.com/team/clock:v1",
                insecureRegistries: [],
                trustedCaFile: "~/ca.pem",
                dockerConfigFile: "~/logins/config.json",
            },
        },
    ]);
    assert.deepEqual(result, { reference: imageReference, digest, sizeBytes: undefined });
});

test("a tag that is to go with it is a resource of its own, which takes no pod with it", async () => {
    const { resources } = await record({ steps }, () => {
        return new WasmArtifact("a", { ...to, file: "x.wasm", deleteTag: true, format: "wasm-to-oci" })
            .digest;
    });
    assert.deepEqual(Object.keys(resources), ["a", "a-push", "a-tag"]);
    const { format } = JSON.parse(String(resources["a-push"].inputs.stdin)) as { format: string };
    assert.equal(format, "wasm-to-oci");
    assert.deepEqual(resources["a-push"].options, forgotten);
    assert.deepEqual(resources["a-tag"], {
        type: "command:local:Command",
        parent,
        inputs: {
            ...commandInputs("claimTag", "deleteTag"),
            stdin: JSON.stringify({
                digest,
                reference: "localhost:5001/hello-wasm:latest",
                insecureRegistries: [],
            }),
            triggers: ["localhost:5001/hello-wasm:latest"],
        },
        options: { ...undone, dependsOn: ["command:local:Command::a-push"] },
    });
});
