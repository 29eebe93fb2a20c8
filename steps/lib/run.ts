import { spawn, type ChildProcess } from "node:child_process";

/** How a child process is run. Only argv arrays: nothing is ever parsed by a shell. */
export interface RunOptions {
    /** Working directory; default: this process's. */
    cwd?: string;
    /** Environment on top of this process's own. */
    env?: Record<string, string | undefined>;
    /** Text for its standard input; default: an empty standard input. */
    input?: string;
    /** Ends the process (SIGTERM, then SIGKILL 5 s later) after so many seconds. Default: 600. */
    timeoutSeconds?: number;
    /** Called with each line of standard error (and of standard output with `mergeOutput`) as it comes. */
    onLine?: (line: string) => void;
    /** Give standard output's lines to `onLine` too. */
    mergeOutput?: boolean;
    /** Return instead of throwing when the exit code is not 0. */
    allowFailure?: boolean;
    /** Ends the process (SIGTERM) when its result is no longer wanted. */
    signal?: AbortSignal;
}

/** What a finished process left. */
export interface RunResult {
    stdout: string;
    stderr: string;
    exitCode: number;
}

/** A process that could not be started, failed, or ran out of time. Holds argv, output and cause. */
export class RunError extends Error {
    constructor(
        readonly argv: readonly string[],
        readonly result: RunResult,
        readonly reason: string,
        options?: ErrorOptions,
    ) {
        const output = (result.stderr.trim() || result.stdout.trim()).split("\n").slice(-20).join("\n");
        super(`${argv.join(" ")}: ${reason}${output ? `\n${output}` : ""}`, options);
        this.name = "RunError";
    }
}

const running = new Set<ChildProcess>();

/** Ends (SIGTERM) every process that `run` has under way: whoever waits for one of them gets its error. */
export function endRunning(): void {
    for (const child of running) child.kill("SIGTERM");
}

/** Runs a program to its end and returns what it printed. */
export function run(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
    const [program, ...args] = argv;
    const timeoutSeconds = options.timeoutSeconds ?? 600;
    return new Promise((resolve, reject) => {
        const child = spawn(program, args, {
            cwd: options.cwd,
            env: options.env ? { ...process.env, ...options.env } : process.env,
            stdio: "pipe",
        });
        running.add(child);
        const stop = () => child.kill("SIGTERM");
        options.signal?.addEventListener("abort", stop);
        const output = { stdout: "", stderr: "" };
        let timedOut = false;
        let killTimer: NodeJS.Timeout | undefined;
        const timer = setTimeout(() => {
            timedOut = true;
            child.kill("SIGTERM");
            killTimer = setTimeout(() => child.kill("SIGKILL"), 5000);
        }, timeoutSeconds * 1000);
        for (const name of ["stdout", "stderr"] as const) {
            let rest = "";
            const toLines = options.onLine && (name === "stderr" || options.mergeOutput);
            child[name].setEncoding("utf8").on("data", (text: string) => {
                output[name] += text;
                if (!toLines) return;
                const lines = (rest + text).split(/\r?\n|\r/);
                rest = lines.pop() ?? "";
                lines.forEach((line) => options.onLine?.(line));
            });
            child[name].on("end", () => {
                if (toLines && rest) options.onLine?.(rest);
            });
        }
        // A program that exits without reading its input closes the pipe: its exit code says what happened.
        child.stdin.on("error", () => undefined);
        child.stdin.end(options.input ?? "");
        const finish = (exitCode: number, reason: string | undefined, cause?: unknown) => {
            clearTimeout(timer);
            clearTimeout(killTimer);
            running.delete(child);
            options.signal?.removeEventListener("abort", stop);
            const result = { ...output, exitCode };
            if (reason === undefined || (options.allowFailure && !timedOut && cause === undefined))
                resolve(result);
            else reject(new RunError(argv, result, reason, cause === undefined ? undefined : { cause }));
        };
        child.on("error", (error: NodeJS.ErrnoException) =>
            finish(127, error.code === "ENOENT" ? `${program} is not on PATH` : error.message, error),
        );
        child.on("close", (code, signal) => {
            if (timedOut) finish(code ?? 1, `still running after ${timeoutSeconds} s`);
            else if (code === 0) finish(0, undefined);
            else finish(code ?? 1, signal ? `ended by ${signal}` : `exit code ${code}`);
        });
    });
}
