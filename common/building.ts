import * as fs from "node:fs/promises";
import * as path from "node:path";
import { run, RunError, type RunOptions, type RunResult } from "../steps/lib/run";
import type { Progress, Reporter } from "./report";

/** What everything that is made here needs from its caller. */
export interface MakeContext {
    /** Where progress goes. */
    report: Reporter;
    /** Folder of the log files: each build's full output is in `<name>.log` there, and its errors name that file. */
    logDir: string;
}

/** One build under way: its progress, and its programs' output in its log file. */
export interface Build {
    progress: Progress;
    logFile: string;
    /** Runs a program, its output going to the log. Without `timeoutSeconds` it has an hour: cold builds on few cores are long. */
    run(argv: readonly string[], options?: RunOptions): Promise<RunResult>;
}

/** Does one build with progress. What it throws names the build and the log file. */
export async function building<T>(
    ctx: MakeContext,
    name: string,
    title: string,
    work: (build: Build) => Promise<T>,
): Promise<T> {
    await fs.mkdir(ctx.logDir, { recursive: true });
    const logFile = path.join(ctx.logDir, `${name}.log`);
    const log = await fs.open(logFile, "w");
    const progress = ctx.report.start(title);
    // Lines come faster than they are written: one write after the other, in order.
    let written: Promise<unknown> = Promise.resolve();
    const write = (line: string) => (written = written.then(() => log.write(`${line}\n`)));
    const runLogged = async (argv: readonly string[], options: RunOptions = {}): Promise<RunResult> => {
        void write(`$ ${argv.join(" ")}`);
        return run(argv, {
            timeoutSeconds: 3600,
            mergeOutput: true,
            ...options,
            onLine: (line) => {
                void write(line);
                options.onLine?.(line);
            },
        });
    };
    try {
        const result = await work({ progress, logFile, run: runLogged });
        progress.done();
        return result;
    } catch (error) {
        const message = error instanceof Error ? error.message : String(error);
        progress.fail(error instanceof RunError ? error.reason : message.split("\n")[0]);
        throw new Error(`${title}: ${message}\nThe whole output is in ${logFile}.`, { cause: error });
    } finally {
        await written.catch(() => undefined);
        await log.close();
    }
}
