import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import * as path from "node:path";
import { stepPath, type Steps } from "../../steps/contract";

const root = path.join(__dirname, "..", "..");

/** How a step ended. */
export interface StepResult {
    exitCode: number | null;
    stdout: string;
    stderr: string;
    seconds: number;
}

export interface StepOptions {
    env?: Record<string, string>;
    /** Gets the process and each piece of its standard error, to end it in the middle. */
    onProgress?: (child: ChildProcess, text: string) => void;
}

/** Runs a step as anybody would from a shell: its own process, text in, text out. */
export function start(name: keyof Steps, stdin: string, options: StepOptions = {}): Promise<StepResult> {
    const begun = Date.now();
    const child = spawn(process.execPath, ["step.cjs", stepPath(name)], {
        cwd: root,
        env: { ...process.env, ...options.env },
    });
    const result = { stdout: "", stderr: "" };
    child.stdout.on("data", (text: Buffer) => (result.stdout += text.toString()));
    child.stderr.on("data", (text: Buffer) => {
        result.stderr += text.toString();
        options.onProgress?.(child, text.toString());
    });
    child.stdin.on("error", () => undefined);
    child.stdin.end(stdin);
    return new Promise((resolve) => {
        child.on("close", (exitCode) => {
            resolve({ ...result, exitCode, seconds: (Date.now() - begun) / 1000 });
        });
    });
}

/** Runs a step that must succeed; returns its output. */
export async function pass<N extends keyof Steps>(
    name: N,
    input: Steps[N]["input"],
): Promise<Steps[N]["output"]> {
    const result = await start(name, JSON.stringify(input));
    assert.equal(result.exitCode, 0, `${name} failed:\n${result.stderr}`);
    return JSON.parse(result.stdout) as Steps[N]["output"];
}

/** Runs a step that must succeed, and again with the same input: what is done already is fine. */
export async function passTwice<N extends keyof Steps>(name: N, input: Steps[N]["input"]): Promise<void> {
    await pass(name, input);
    await pass(name, input);
}

/** Runs a step that must fail; returns what it said: a message without a stack trace, and nothing on standard output. */
export async function fail<N extends keyof Steps>(
    name: N,
    input: Steps[N]["input"],
    options: StepOptions = {},
): Promise<string> {
    const result = await start(name, JSON.stringify(input), options);
    assert.equal(result.exitCode, 1, `${name} did not fail as it should:\n${result.stdout}${result.stderr}`);
    assert.equal(result.stdout, "");
    assert.doesNotMatch(result.stderr, /^\s+at .*:\d+:\d+/m);
    return result.stderr;
}
