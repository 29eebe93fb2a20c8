import assert from "node:assert/strict";
import { test } from "node:test";
import { CommandProvider } from "../command/provider";
import { EngineLog } from "../lib/engine";
import { isSecret, secret, unknownSentinel, unwrapProps, type Props } from "../command/values";

const urn = "urn:pulumi:dev::project::krustlet-stack:index:X$command:local:Command::thing";

function provider(): CommandProvider {
    return new CommandProvider("1.2.1", new EngineLog(undefined));
}

async function create(inputs: Props, preview = false): Promise<Props> {
    return (await provider().create({ urn, inputs, preview })).outputs;
}

void test("create runs the command with its interpreter, environment and standard input", async () => {
    const outputs = await create({
        interpreter: ["/bin/sh", "-ec"],
        create: 'echo "$GREETING $(cat)"; echo progress >&2',
        environment: { GREETING: "hello" },
        stdin: "world",
    });
    assert.equal(outputs.stdout, "hello world");
    assert.equal(outputs.stderr, "progress");
    assert.equal(outputs.create, 'echo "$GREETING $(cat)"; echo progress >&2');
});

void test("the id is the resource's name and eight random hexadecimal digits", async () => {
    const { id } = await provider().create({ urn, inputs: { create: "true" }, preview: false });
    assert.match(id, /^thing[0-9a-f]{8}$/);
});

void test("a preview runs nothing and knows no output", async () => {
    const outputs = await create({ create: "exit 1" }, true);
    assert.deepEqual(outputs, { create: "exit 1", stdout: unknownSentinel, stderr: unknownSentinel });
});

void test("outputs of a secret input are secret, and the input stays so", async () => {
    const outputs = await create({ create: "cat", stdin: secret("token") });
    assert.ok(isSecret(outputs.stdin));
    assert.ok(isSecret(outputs.stdout));
    assert.ok(isSecret(outputs.stderr));
    assert.equal(unwrapProps(outputs).stdout, "token");
});

void test("a failure tells the exit status, the command and its output", async () => {
    await assert.rejects(create({ create: "echo out; echo err >&2; exit 3" }), {
        message: 'exit status 3: running "echo out; echo err >&2; exit 3":\nout\nerr\n',
    });
});

void test("an update without an update command runs create, with the former output in its environment", async () => {
    const olds = { create: "echo one", stdout: "one", stderr: "" };
    const news = { create: 'echo "$PULUMI_COMMAND_STDOUT two"' };
    const input = { urn, olds, news, preview: false };
    assert.equal((await provider().update(input)).stdout, "one two");
    const without = { ...input, news: { ...news, addPreviousOutputInEnv: false } };
    assert.equal((await provider().update(without)).stdout, " two");
    const update = { ...input, news: { ...news, update: "echo three" } };
    assert.equal((await provider().update(update)).stdout, "three");
});

void test("only a change of triggers replaces", () => {
    const oldInputs = { create: "true", triggers: ["a"], stdin: "1" };
    const diff = (news: Props) => provider().diff({ oldInputs, news, ignoreChanges: [] });
    assert.deepEqual(diff({ ...oldInputs }), new Map());
    assert.deepEqual(
        diff({ create: "true", triggers: ["a"], delete: "true" }),
        new Map([
            ["delete", { kind: "add", replace: false }],
            ["stdin", { kind: "delete", replace: false }],
        ]),
    );
    assert.deepEqual(
        diff({ ...oldInputs, triggers: ["b"] }),
        new Map([["triggers", { kind: "update", replace: true }]]),
    );
});

void test("delete runs the stored command and fails with it", async () => {
    const state = { delete: "exit 7", stdout: "", stderr: "" };
    await assert.rejects(provider().delete({ urn, state }), /^Error: exit status 7: running/);
    await provider().delete({ urn, state: { stdout: "", stderr: "" } });
});

void test("an unknown argument and one that is not served are refused", () => {
    const news = { create: "true", crate: "x", assetPaths: ["*"] };
    assert.deepEqual(
        provider()
            .check(urn, news)
            .map((failure) => failure.property),
        ["crate", "assetPaths"],
    );
    const remote = "urn:pulumi:dev::project::command:remote:Command::thing";
    assert.throws(() => provider().check(remote, news), {
        message: /serves command:local:Command only, not command:remote:Command/,
    });
});

void test("run is an invoke that gives back its arguments and the output", async () => {
    const result = await provider().invoke("command:local:run", {
        command: "cat",
        stdin: "abc",
        logging: "none",
    });
    assert.deepEqual(result, { command: "cat", stdin: "abc", logging: "none", stdout: "abc", stderr: "" });
    await assert.rejects(provider().invoke("command:local:run", { command: "false" }), /exit status 1/);
});
