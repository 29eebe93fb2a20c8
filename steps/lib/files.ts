import { createHash, randomBytes } from "node:crypto";
import { createReadStream, mkdtempSync, readdirSync, readFileSync, rmSync } from "node:fs";
import * as fs from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { basename, dirname, isAbsolute, join, resolve } from "node:path";
import { pipeline } from "node:stream/promises";
import { isErrno, StepError } from "./errors";

/** The absolute path that `path` means; it may begin with `~/`. */
export function expandHome(path: string): string {
    if (path === "~") return homedir();
    if (path.startsWith("~/")) return join(homedir(), path.slice(2));
    return isAbsolute(path) ? path : resolve(path);
}

/** The content of a text file; undefined when there is no such file. */
export async function readOptional(path: string): Promise<string | undefined> {
    try {
        return await fs.readFile(path, "utf8");
    } catch (error) {
        if (isErrno(error, "ENOENT") || isErrno(error, "ENOTDIR")) return undefined;
        throw error;
    }
}

/** The file that a path leads to through symbolic links, whether that is there or not. */
export async function targetOfLinks(path: string): Promise<string> {
    let target = path;
    // As many as the kernel follows.
    for (let links = 0; links < 40; links += 1) {
        const next = await fs.readlink(target).catch(() => undefined);
        if (next === undefined) return target;
        target = resolve(dirname(target), next);
    }
    throw new StepError(`${path} is a symbolic link that leads to itself`);
}

/**
 * Writes a file of mode 0600 in one step: whoever reads it sees the old content or the new one. A symbolic link stays, and what it
 * leads to is written.
 */
export async function writePrivate(given: string, content: string): Promise<void> {
    const path = await targetOfLinks(given);
    const temporary = join(dirname(path), `.${basename(path)}.${randomBytes(6).toString("hex")}`);
    try {
        await fs.writeFile(temporary, content, { mode: 0o600, flag: "wx" });
        await fs.rename(temporary, path);
    } catch (error) {
        await fs.rm(temporary, { force: true });
        throw error;
    }
}

/** Begins what a step makes for a while, with its process id: what one that was killed left is removed by it. */
export const temporaryPrefix = "krustlet-stack-step-";

/** Whether a path is of a file that `withPrivateFile` gave. */
export function isPrivateFile(path: string): boolean {
    return path.includes(`/${temporaryPrefix}`);
}

/** Removes the private files of steps that were killed (SIGKILL) before they could do it. */
function removeOrphans(): void {
    for (const name of readdirSync(tmpdir())) {
        const pid = name.startsWith(temporaryPrefix) ? parseInt(name.slice(temporaryPrefix.length), 10) : NaN;
        if (!Number.isInteger(pid) || mayRun(pid)) continue;
        try {
            rmSync(join(tmpdir(), name), { recursive: true, force: true });
        } catch {
            // Another user's: theirs to remove.
        }
    }
}

function mayRun(pid: number): boolean {
    try {
        return process.kill(pid, 0);
    } catch (error) {
        return !isErrno(error, "ESRCH");
    }
}

/**
 * Runs `use` with the path of a file of mode 0600 in a new folder of mode 0700, and removes both afterwards, also when this
 * process exits meanwhile. Without content the file is not made: a program may make it.
 */
export async function withPrivateFile<T>(
    content: string | undefined,
    use: (path: string) => Promise<T>,
): Promise<T> {
    removeOrphans();
    const folder = mkdtempSync(join(tmpdir(), `${temporaryPrefix}${process.pid}-`));
    const remove = () => {
        rmSync(folder, { recursive: true, force: true });
    };
    process.on("exit", remove);
    try {
        const path = join(folder, "kubeconfig");
        if (content !== undefined) await fs.writeFile(path, content, { mode: 0o600, flag: "wx" });
        return await use(path);
    } finally {
        process.off("exit", remove);
        remove();
    }
}

/** The last lines of what a log file holds from `offset` on, for an error message. */
export function logTail(path: string, offset = 0, lines = 15): string {
    try {
        const text = readFileSync(path).subarray(offset).toString("utf8").trimEnd();
        return text === "" ? "(nothing was logged)" : text.split("\n").slice(-lines).join("\n");
    } catch {
        return "(no log)";
    }
}

/** SHA-256 (hex) of a file's content. */
export async function sha256OfFile(path: string): Promise<string> {
    const hash = createHash("sha256");
    await pipeline(createReadStream(path, { highWaterMark: 1 << 20 }), hash);
    return hash.digest("hex");
}
