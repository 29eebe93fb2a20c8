import { spawn } from "node:child_process";
import { createWriteStream } from "node:fs";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { run } from "../../steps/lib/run";
import { exists, refreshConfigCopy, type StackFiles } from "./home";
import { outputsIn } from "./outputs";
import type { Reporter } from "../../common/report";

/** Environment for pulumi; undefined: must not be set. */
export type Env = Record<string, string | undefined>;

/** A lock that Pulumi's local backend left: whose it is. */
export interface Lock {
    file: string;
    pid: number;
    hostname: string;
    username: string;
    timestamp: string;
}

/** What a lock means for a new run. */
export function judgeLock(lock: Lock, hostname: string, isAlive: (pid: number) => boolean): "stale" | "held" {
    return lock.hostname === hostname && !isAlive(lock.pid) ? "stale" : "held";
}

/** Is the process there, and is it Pulumi? Another program may have got the number of one that is gone. */
export async function pulumiIsAlive(pid: number): Promise<boolean> {
    try {
        process.kill(pid, 0);
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM";
    }
    const name = await fs.readFile(`/proc/${pid}/comm`, "utf8").catch(() => undefined);
    return name === undefined || name.startsWith("pulumi");
}

async function locksOf(files: StackFiles): Promise<Lock[]> {
    // Each lock is a file <id>.json, with the backend's own notes on it in <id>.json.attrs.
    const names = (await fs.readdir(files.locks).catch(() => [])).filter((name) => name.endsWith(".json"));
    return Promise.all(
        names.map(async (name) => {
            const file = path.join(files.locks, name);
            const found = JSON.parse(await fs.readFile(file, "utf8")) as Omit<Lock, "file">;
            return { ...found, file };
        }),
    );
}

/**
 * Pulumi's local backend stays locked when a run was killed. A lock whose process is gone from this host is removed, as
 * `pulumi cancel` would; one that somebody holds is an error. Tells whether there was any.
 */
export async function clearStaleLocks(files: StackFiles, report: Reporter): Promise<boolean> {
    const locks = await locksOf(files);
    for (const lock of locks) {
        const alive = await pulumiIsAlive(lock.pid);
        const whose = `process ${lock.pid} of ${lock.username}@${lock.hostname}, since ${lock.timestamp}`;
        if (judgeLock(lock, os.hostname(), () => alive) === "held") {
            throw new Error(
                `Another run is at work on stack ${files.stack} (${whose}). Wait until it has ended. If it is not there any ` +
                    `more: \`eval "$(npm run -s env)" && pulumi cancel --stack ${files.stack}\``,
            );
        }
        report.warn(`The last run on stack ${files.stack} was killed (${whose}): its lock is removed.`);
        for (const file of [lock.file, `${lock.file}.attrs`]) await fs.rm(file, { force: true });
    }
    if (locks.length > 0) await removeCutShort(files, report);
    return locks.length > 0;
}

/**
 * Beside each file of the local backend lies one with its content type. Pulumi writes that in place, and refuses to read a state ("failed to
 * load checkpoint: EOF") where it was killed before the first byte; without it, it reads it.
 */
async function removeCutShort(files: StackFiles, report: Reporter): Promise<void> {
    const folder = path.dirname(files.state);
    for (const name of await fs.readdir(folder).catch(() => [])) {
        const file = path.join(folder, name);
        if (!name.endsWith(".attrs") || (await fs.stat(file)).size > 0) continue;
        report.warn(`That run was killed while it wrote ${file}: removed, nothing is lost.`);
        await fs.rm(file);
    }
}

/** Runs `pulumi` quietly and returns what it printed. */
export async function pulumi(
    args: readonly string[],
    cwd: string,
    env: Env,
    timeoutSeconds = 120,
): Promise<string> {
    const { stdout } = await run(["pulumi", ...args, "--non-interactive"], { cwd, env, timeoutSeconds });
    return stdout;
}

/** Creates the stack unless it is there. The project's own configuration file is not written to. */
export async function ensureStack(files: StackFiles, env: Env): Promise<void> {
    await refreshConfigCopy(files);
    if (await exists(files.state)) return;
    // In the folder of the copies: Pulumi writes the encryption salt into the configuration that it finds beside Pulumi.yaml.
    await pulumi(["stack", "init", files.stack, "--no-select"], files.configDir, env);
}

/** Lets plain `pulumi` in the project's folder work on this stack. */
export async function selectStack(files: StackFiles, env: Env): Promise<void> {
    await pulumi(["stack", "select", files.stack], files.cwd, env);
}

/** The stack's outputs, secrets in the clear. */
export async function stackOutputs(files: StackFiles, env: Env): Promise<Record<string, unknown>> {
    const { outputs, secrets } = outputsIn(await fs.readFile(files.state, "utf8"));
    // Secrets are the engine's to read; it takes half a second of processor time to say what stands in its file.
    if (!secrets) return outputs;
    const text = await pulumi(
        ["stack", "output", "--json", "--show-secrets", "--stack", files.stack],
        files.cwd,
        env,
    );
    return JSON.parse(text) as Record<string, unknown>;
}

/**
 * Runs an update and shows what Pulumi prints as it comes; all of it goes into the log file too. Ctrl-C reaches Pulumi by the
 * terminal, which then ends the update in good order: this process waits for it.
 */
export async function pulumiLive(
    args: readonly string[],
    cwd: string,
    env: Env,
    logFile: string,
): Promise<number> {
    const colour = process.stdout.isTTY ? "always" : "never";
    const log = createWriteStream(logFile, { mode: 0o600 });
    const child = spawn("pulumi", [...args, "--non-interactive", "--color", colour], {
        cwd,
        env: { ...process.env, ...env },
        stdio: ["ignore", "pipe", "pipe"],
    });
    const ignore = () => undefined;
    // To Pulumi an interrupt means: begin nothing more, save the state, unlock the stack.
    const interrupt = () => child.kill("SIGINT");
    process.on("SIGINT", ignore);
    for (const signal of ["SIGTERM", "SIGHUP"] as const) process.on(signal, interrupt);
    try {
        return await new Promise<number>((resolve, reject) => {
            child.stdout.on("data", (data: Buffer) => {
                process.stdout.write(data);
                log.write(data);
            });
            child.stderr.on("data", (data: Buffer) => {
                process.stderr.write(data);
                log.write(data);
            });
            child.on("error", reject);
            child.on("close", (code) => resolve(code ?? 1));
        });
    } finally {
        process.off("SIGINT", ignore);
        for (const signal of ["SIGTERM", "SIGHUP"] as const) process.off(signal, interrupt);
        await new Promise((resolve) => log.end(resolve));
    }
}
