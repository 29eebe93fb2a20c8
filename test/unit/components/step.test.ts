import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { cpSync, mkdirSync, mkdtempSync, realpathSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, beforeEach, describe, it, test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { StepFailure, stepResource } from "../../../components/step";
import { packageVariable, parseOutput, stepCommand } from "../../../components/stepCommand";
import { steps } from "./fixtures";
import { areSecret, record } from "./mocks";

const root = path.resolve(__dirname, "../../..");

describe("the command of a step", () => {
    let parent: string;
    let project: string;
    /** The package, as an archive of it has it. */
    let installed: string;
    before(() => {
        parent = realpathSync(mkdtempSync(path.join(tmpdir(), "krustlet-stack-")));
        installed = path.join(parent, "store/krustlet-stack");
        mkdirSync(installed, { recursive: true });
        for (const part of ["package.json", "step.cjs", "dist/steps"])
            cpSync(path.join(root, part), path.join(installed, part), { recursive: true });
    });
    beforeEach(() => {
        project = path.join(parent, "work/project");
        rmSync(path.join(parent, "work"), { recursive: true, force: true });
        mkdirSync(project, { recursive: true });
    });
    after(() => rmSync(parent, { recursive: true }));

    /** Runs a step as the command plugin does, in the project's folder, and returns what it says of an empty input. */
    function said(env: Record<string, string | undefined> = {}, folder = project): string {
        const { program, how } = stepCommand("awaitNode");
        const [interpreter, ...args] = how.interpreter;
        const { stdout, stderr, status } = spawnSync(interpreter, [...args, program], {
            cwd: folder,
            input: "",
            encoding: "utf8",
            env: { ...process.env, [packageVariable]: undefined, ...env, ...how.environment },
        });
        assert.deepEqual([stdout, status], ["", 1]);
        return stderr;
    }
    const ran = /^awaitNode: standard input is empty; it must be one JSON object:\n/;
    const modules = (folder: string) => {
        mkdirSync(path.join(folder, "node_modules"), { recursive: true });
        return path.join(folder, "node_modules/krustlet-stack");
    };

    it("holds no path and no version", () => {
        const text = JSON.stringify(stepCommand("awaitNode"));
        assert.doesNotMatch(text, /\/work|\/home|node_modules|\d+\.\d+/);
        assert.equal(text.includes(root), false);
    });
    it("finds the package in node_modules", () => {
        cpSync(installed, modules(project), { recursive: true });
        assert.match(said(), ran);
    });
    it("finds it by a link, as pnpm makes them", () => {
        symlinkSync(installed, modules(project));
        assert.match(said(), ran);
    });
    it("finds it in a folder above, as in a workspace", () => {
        symlinkSync(installed, modules(path.dirname(project)));
        assert.match(said(), ran);
    });
    it("finds it in a checkout of its source, and from a folder of it", () => {
        assert.match(said({}, root), ran);
        assert.match(said({}, path.join(root, "examples/job")), ran);
    });
    it("finds that of the process that started Pulumi, wherever the project is", () => {
        assert.match(said({ [packageVariable]: installed }), ran);
        assert.equal(process.env[packageVariable], root);
    });
    it("is not disturbed by what NODE_OPTIONS loads, nor is its result", () => {
        symlinkSync(installed, modules(project));
        const noisy = path.join(project, "noisy.cjs");
        writeFileSync(noisy, 'console.log("hello"); console.error("hello");');
        assert.match(said({ NODE_OPTIONS: `--require ${noisy}` }), ran);
    });
    it("says in one line what to do where there is none", () => {
        assert.equal(
            said(),
            `krustlet-stack: the package is not found from ${project}: install it there (npm install krustlet-stack), ` +
                `or name its folder in the variable ${packageVariable}\n`,
        );
    });
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
        'invocation of command:local:run returned an error: exit status 1: running "host/preflight":';
    const failure = new StepFailure(`${call}\n${said}\n`);
    failure.message = `error serializing property "name": ${failure.message}`;
    assert.equal(failure.message, said);
    assert.equal(pulumi.RunError.isInstance(failure), true);
    assert.equal(new StepFailure("no plugin").message, "no plugin");
});
