// Runs one command of a `local.Command` or `local.run` to its end.
import { spawn, type ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import { isProps, type Props, type Value } from "./values";

/** What the last run left in the state; empty before the first one. */
export interface Output {
    stdout: string;
    stderr: string;
}

/** Children that run now: the engine's cancel ends them. */
const running = new Set<ChildProcess>();

export function killAll(): void {
    for (const child of running) child.kill("SIGKILL");
}

function strings(value: Value | undefined): string[] {
    return Array.isArray(value) ? value.map(String) : [];
}

function environment(inputs: Props, previous: Output): NodeJS.ProcessEnv {
    const own = isProps(inputs.environment) ? inputs.environment : {};
    const env: NodeJS.ProcessEnv = { ...process.env };
    for (const [name, value] of Object.entries(own))
        env[name] = typeof value === "string" ? value : JSON.stringify(value);
    if (inputs.addPreviousOutputInEnv !== false) {
        if (previous.stdout) env.PULUMI_COMMAND_STDOUT = previous.stdout;
        if (previous.stderr) env.PULUMI_COMMAND_STDERR = previous.stderr;
    }
    return env;
}

/** Which streams go to the engine's log: both unless `logging` says otherwise. */
function logged(inputs: Props): { stdout: boolean; stderr: boolean } {
    const logging = inputs.logging ?? "stdoutAndStderr";
    return {
        stdout: logging === "stdout" || logging === "stdoutAndStderr",
        stderr: logging === "stderr" || logging === "stdoutAndStderr",
    };
}

/**
 * Runs `command` with the resource's inputs (without secret marks): interpreter, dir, environment, stdin. Resolves with what it
 * printed, less one trailing newline each; rejects with the exit status, the command and all of its output.
 */
export function execute(
    command: string,
    inputs: Props,
    previous: Output,
    onLine: (line: string) => void,
): Promise<Output> {
    const interpreter = strings(inputs.interpreter);
    const [program, ...args] = [...(interpreter.length > 0 ? interpreter : ["/bin/sh", "-c"]), command];
    const toLog = logged(inputs);
    return new Promise((resolve, reject) => {
        const stdin = typeof inputs.stdin === "string" && inputs.stdin !== "" ? inputs.stdin : undefined;
        const child = spawn(program, args, {
            cwd: typeof inputs.dir === "string" ? inputs.dir : process.cwd(),
            env: environment(inputs, previous),
            stdio: [stdin === undefined ? "ignore" : "pipe", "pipe", "pipe"],
        });
        running.add(child);
        const output: Output = { stdout: "", stderr: "" };
        let both = "";
        for (const name of ["stdout", "stderr"] as const) {
            const stream = child[name];
            if (stream === null) continue;
            stream.setEncoding("utf8").on("data", (text: string) => {
                output[name] += text;
                both += text;
            });
            if (toLog[name]) createInterface({ input: stream }).on("line", onLine);
        }
        // A command that ends without reading its input closes the pipe; its exit status says what happened.
        child.stdin?.on("error", () => undefined);
        child.stdin?.end(stdin);
        const fail = (status: string) =>
            reject(new Error(`${status}: running ${JSON.stringify(command)}:\n${both}`));
        child.on("error", (error) => {
            running.delete(child);
            fail(error.message);
        });
        child.on("close", (code, signal) => {
            running.delete(child);
            if (code === 0) {
                resolve({
                    stdout: output.stdout.replace(/\n$/, ""),
                    stderr: output.stderr.replace(/\n$/, ""),
                });
            } else {
                fail(signal ? `signal: ${signal}` : `exit status ${code}`);
            }
        });
    });
}
