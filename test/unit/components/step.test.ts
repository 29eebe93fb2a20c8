import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { parseOutput, StepFailure, stepResource } from "../../../components/step";
import { steps } from "./fixtures";
import { areSecret, record } from "./mocks";

const root = path.resolve(__dirname, "../../..");

/** The command that a program in `folder` gives for a step, when it loads the library from there. */
function commandIn(folder: string, library: string): unknown {
    const program = `
        const { stepCommand } = require(${JSON.stringify(`${library}/components/step`)});
        console.log(JSON.stringify(stepCommand("awaitNode")));`;
    const argv = ["--preserve-symlinks", "--require", path.join(root, "typescript.cjs"), "-e", program];
    const { stdout, stderr } = spawnSync(process.execPath, argv, { cwd: folder, encoding: "utf8" });
    assert.notEqual(stdout, "", stderr);
    return JSON.parse(stdout);
}

test("commands are relative to the program's folder, wherever the library is", () => {
    const folder = realpathSync(mkdtempSync(path.join(tmpdir(), "krustlet-stack-")));
    try {
        assert.deepEqual(commandIn(root, root), {
            interpreter: ["node", "--require", "./typescript.cjs"],
            program: "steps/node/awaitNode.ts",
        });
        // A program with the library among its packages.
        mkdirSync(path.join(folder, "node_modules"));
        symlinkSync(root, path.join(folder, "node_modules/krustlet-stack"));
        const library = "node_modules/krustlet-stack";
        assert.deepEqual(commandIn(folder, path.join(folder, library)), {
            interpreter: ["node", "--require", `./${library}/typescript.cjs`],
            program: `${library}/steps/node/awaitNode.ts`,
        });
    } finally {
        rmSync(folder, { recursive: true });
    }
});

test("an output is no secret, whatever the input", async () => {
    const { result } = await record({ steps }, () => {
        const input = { address: pulumi.secret("localhost:5001"), plainHttp: true, timeoutSeconds: 1 };
        return areSecret({ output: stepResource("open", { create: "awaitRegistry", input }, {}).output });
    });
    assert.deepEqual(result, { output: false });
});

test("a step that prints no JSON fails, and what it printed is not shown", () => {
    assert.deepEqual(parseOutput("describeModule", '{"sha256":"x"}'), { sha256: "x" });
    assert.throws(() => parseOutput("describeModule", "password"), {
        message: "step describeModule: its standard output is not JSON (8 characters)",
    });
});

test("a step that fails says what it said, whatever the SDK puts in front of it", () => {
    const said = "preflight: 2 problems:\n- one\n- two";
    const call =
        'invocation of command:local:run returned an error: exit status 1: running "steps/host/preflight.ts":';
    const failure = new StepFailure(`${call}\n${said}\n`);
    failure.message = `error serializing property "name": ${failure.message}`;
    assert.equal(failure.message, said);
    assert.equal(pulumi.RunError.isInstance(failure), true);
    assert.equal(new StepFailure("no plugin").message, "no plugin");
});
