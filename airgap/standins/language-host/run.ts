// Starts the SDK's own runners in a node process and turns how it ended into the engine's answer.
import { spawn, type ChildProcess } from "node:child_process";
import { createRequire } from "node:module";
import * as path from "node:path";
import { parseOptions, type NodeOptions } from "./options";

/** The runner's exit code for "the user has already been told what is wrong". */
const alreadyReported = 32;

export interface RunRequest {
    engineAddress: string;
    monitorAddress: string;
    organization: string;
    project: string;
    stack: string;
    rootDirectory: string;
    programDirectory: string;
    entryPoint: string;
    dryRun: boolean;
    parallel: number;
    args: string[];
    config: Map<string, string>;
    configSecretKeys: string[];
    options: Record<string, unknown>;
    attachDebugger: boolean;
}

export interface RunResult {
    error: string;
    bail: boolean;
}

/** The runner's command line, without node's own arguments. */
export function runnerArguments(runner: string, request: RunRequest): string[] {
    const flags: [string, string][] = [
        ["monitor", request.monitorAddress],
        ["engine", request.engineAddress],
        ["organization", request.organization],
        ["project", request.project],
        ["root-directory", request.rootDirectory],
        ["stack", request.stack],
        ["pwd", request.programDirectory],
    ];
    return [
        runner,
        ...flags.filter(([, value]) => value !== "").flatMap(([flag, value]) => [`--${flag}`, value]),
        ...(request.dryRun ? ["--dry-run"] : []),
        "--parallel",
        String(request.parallel),
        request.entryPoint || ".",
        ...request.args,
    ];
}

/** What the runner reads from its environment, on top of our own. */
export function runnerEnvironment(request: RunRequest, options: NodeOptions): Record<string, string> {
    const config: Record<string, string> = {};
    for (const [key, value] of request.config) {
        config[configKey(key)] = value;
    }
    return {
        PULUMI_CONFIG: JSON.stringify(config),
        PULUMI_CONFIG_SECRET_KEYS: JSON.stringify(request.configSecretKeys),
        ...optionsEnvironment(options),
    };
}

export function optionsEnvironment(options: NodeOptions): Record<string, string> {
    return {
        ...(options.typescript ? { PULUMI_NODEJS_TYPESCRIPT: "true" } : {}),
        ...(options.tsconfig !== undefined ? { PULUMI_NODEJS_TSCONFIG_PATH: options.tsconfig } : {}),
    };
}

/** `project:name` as `project:config:name`: the form that every version of the SDK reads. */
export function configKey(key: string): string {
    const parts = key.split(":");
    return parts.length === 2 ? `${parts[0]}:config:${parts[1]}` : key;
}

/** The file of a runner in the program's own SDK, e.g. `@pulumi/pulumi/cmd/run`. */
export function locateRunner(module: string, directory: string, installHint: string): string {
    try {
        return createRequire(path.join(directory, "program.js")).resolve(module);
    } catch (err) {
        if ((err as NodeJS.ErrnoException).code === "MODULE_NOT_FOUND") {
            throw new Error(
                `It looks like the Pulumi SDK has not been installed. Have you run ${installHint}?`,
            );
        }
        throw err;
    }
}

const running = new Set<ChildProcess>();

/** Ends every program that is running: SIGINT now, SIGKILL after five seconds. */
export function cancelAll(): void {
    for (const child of running) {
        child.kill("SIGINT");
        setTimeout(() => child.kill("SIGKILL"), 5000).unref();
    }
}

export async function runProgram(request: RunRequest): Promise<RunResult> {
    const options = parseOptions(request.options);
    const runner = locateRunner(
        process.env.PULUMI_LANGUAGE_NODEJS_RUN_PATH || "@pulumi/pulumi/cmd/run",
        request.programDirectory,
        "pulumi install",
    );
    const debug = request.attachDebugger ? ["--inspect-brk", "--inspect-publish-uid=http"] : [];
    const end = await runNode([...options.nodeargs, ...debug, ...runnerArguments(runner, request)], {
        env: { ...process.env, ...runnerEnvironment(request, options) },
        stdout: (chunk) => process.stdout.write(chunk),
        stderr: (chunk) => process.stderr.write(chunk),
    });
    return resultOf(end);
}

export interface NodeEnd {
    code: number | null;
    signal: NodeJS.Signals | null;
    outOfMemory: boolean;
}

/** The engine's answer for how the program's process ended. */
export function resultOf(end: NodeEnd): RunResult {
    if (end.code === 0) {
        return { error: "", bail: false };
    }
    if (end.code === alreadyReported) {
        return { error: "", bail: true };
    }
    const how =
        end.code === null
            ? `Program was ended by signal ${end.signal}`
            : `Program exited with non-zero exit code: ${end.code}`;
    const hint = end.outOfMemory
        ? ". It seems to have run out of memory: raise its limit in Pulumi.yaml, " +
          "runtime option `nodeargs: --max-old-space-size=<megabytes>`"
        : "";
    return { error: how + hint, bail: false };
}

/** Runs node to its end, handing on what it writes. */
export function runNode(
    args: string[],
    options: {
        env: NodeJS.ProcessEnv;
        cwd?: string;
        stdout: (chunk: Buffer) => void;
        stderr: (chunk: Buffer) => void;
    },
): Promise<NodeEnd> {
    return new Promise((resolve, reject) => {
        const child = spawn("node", args, {
            env: options.env,
            cwd: options.cwd,
            stdio: ["ignore", "pipe", "pipe"],
        });
        running.add(child);
        let outOfMemory = false;
        child.stdout.on("data", options.stdout);
        child.stderr.on("data", (chunk: Buffer) => {
            outOfMemory ||= chunk.includes("JavaScript heap out of memory");
            options.stderr(chunk);
        });
        child.on("error", (err) => {
            running.delete(child);
            reject(new Error(`could not run node: ${err.message}`));
        });
        // "close", not "exit": by then all that it wrote has been handed on.
        child.on("close", (code, signal) => {
            running.delete(child);
            resolve({ code, signal, outOfMemory });
        });
    });
}
