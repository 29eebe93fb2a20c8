import { createHash, randomBytes } from "node:crypto";
import { createReadStream } from "node:fs";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { pipeline } from "node:stream/promises";

/** The user's cache folder of this project: `$XDG_CACHE_HOME/krustlet-stack`, by default `~/.cache/krustlet-stack`. */
export function cacheRoot(env: NodeJS.ProcessEnv = process.env): string {
    return path.join(env.XDG_CACHE_HOME || path.join(os.homedir(), ".cache"), "krustlet-stack");
}

/** SHA-256 of a file, in hex. */
export async function sha256File(file: string): Promise<string> {
    const hash = createHash("sha256");
    await pipeline(createReadStream(file), hash);
    return hash.digest("hex");
}

/**
 * A cache key from what a thing is made from: values (versions, flags) and the content of files. The same inputs give
 * the same key on every machine and in every checkout, for file names are taken relative to `base`.
 */
export async function cacheKey(
    values: readonly string[],
    base: string,
    files: readonly string[],
): Promise<string> {
    const hash = createHash("sha256").update(JSON.stringify(values));
    for (const file of [...files].sort()) {
        // Sources are small and many: a stream for each would cost more than to read it.
        const content = await fs.readFile(path.join(base, file));
        hash.update(`\0${file}\0${createHash("sha256").update(content).digest("hex")}`);
    }
    return hash.digest("hex").slice(0, 16);
}

const MANIFEST = "manifest.json";
const VERIFIED = "verified.json";

interface Manifest {
    /** SHA-256 (hex) of every file of the entry by its path in it. */
    files: Record<string, string>;
}

/**
 * What each file looked like when its checksum was last seen to be right: `size:mtime:ctime:inode`. Reading some hundred
 * megabytes at every run would cost more than all else that a run with nothing to do does. A change time cannot be set
 * back by a program, and an entry that was copied or restored elsewhere has new ones, so that it is read once more.
 */
type Verified = Record<string, string>;

async function filesBelow(dir: string): Promise<string[]> {
    const entries = await fs.readdir(dir, { withFileTypes: true, recursive: true });
    return entries
        .filter((entry) => entry.isFile())
        .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)))
        .filter((name) => name !== MANIFEST && name !== VERIFIED)
        .sort();
}

async function readJson<T>(file: string): Promise<T | undefined> {
    try {
        return JSON.parse(await fs.readFile(file, "utf8")) as T;
    } catch {
        return undefined;
    }
}

async function appearance(file: string): Promise<string> {
    const stat = await fs.stat(file, { bigint: true });
    return [stat.size, stat.mtimeNs, stat.ctimeNs, stat.ino].join(":");
}

/** What is wrong with an entry, or undefined when every file is there as it was made. */
async function fault(dir: string, remember: boolean): Promise<string | undefined> {
    const manifest = await readJson<Manifest>(path.join(dir, MANIFEST));
    if (manifest === undefined) return "no manifest";
    const verified = (await readJson<Verified>(path.join(dir, VERIFIED))) ?? {};
    const seen: Verified = {};
    let changed = false;
    for (const [name, sha256] of Object.entries(manifest.files)) {
        const file = path.join(dir, name);
        const looks = await appearance(file).catch(() => "absent");
        if (looks === "absent") return `${name}: absent`;
        if (verified[name] !== looks) {
            changed = true;
            const found = await sha256File(file).catch(() => "unreadable");
            if (found !== sha256) return `${name}: expected sha256 ${sha256}, found ${found}`;
        }
        seen[name] = looks;
    }
    if (changed && remember) await writeVerified(dir, seen);
    return undefined;
}

async function writeVerified(dir: string, seen: Verified): Promise<void> {
    const temporary = path.join(dir, `${VERIFIED}.${process.pid}-${randomBytes(4).toString("hex")}`);
    try {
        await fs.writeFile(temporary, JSON.stringify(seen));
        await fs.rename(temporary, path.join(dir, VERIFIED));
    } catch {
        // A cache that cannot be written is read the slow way each time.
        await fs.rm(temporary, { force: true }).catch(() => undefined);
    }
}

/** The folder of a cached thing, whether it is there or not. */
export function cachePath(name: string, key: string): string {
    return path.join(cacheRoot(), name, key);
}

/**
 * Is there an entry of that key, whole and unchanged? A file is read and compared with its checksum unless it looks just as
 * it did when that was last done. `remember: false` writes nothing.
 */
export async function isCached(name: string, key: string, options = { remember: true }): Promise<boolean> {
    return (await fault(cachePath(name, key), options.remember)) === undefined;
}

function isRunning(pid: number): boolean {
    try {
        process.kill(pid, 0);
        return true;
    } catch (error) {
        return (error as NodeJS.ErrnoException).code === "EPERM";
    }
}

/** Removes what killed runs left of things of this name that they were making. */
async function removeAbandoned(parent: string): Promise<void> {
    for (const name of await fs.readdir(parent)) {
        const pid = /\.making-(\d+)-[0-9a-f]+$/.exec(name)?.[1];
        if (pid !== undefined && !isRunning(Number(pid))) {
            await fs.rm(path.join(parent, name), { recursive: true, force: true });
        }
    }
}

/**
 * Returns the folder of a cached thing, made by `make` when it is absent or does not pass its check.
 *
 * `make` fills an empty folder, which takes its final name only when it is complete: an interrupted run leaves nothing
 * that a later one would trust. Two runs at once both make it; the first to finish wins and both are right.
 */
export async function cached(
    name: string,
    key: string,
    make: (dir: string) => Promise<void>,
): Promise<string> {
    const final = cachePath(name, key);
    if (await isCached(name, key)) return final;
    await fs.mkdir(path.dirname(final), { recursive: true });
    await removeAbandoned(path.dirname(final));
    const work = `${final}.making-${process.pid}-${randomBytes(4).toString("hex")}`;
    await fs.mkdir(work);
    try {
        await make(work);
        const manifest: Manifest = { files: {} };
        for (const file of await filesBelow(work))
            manifest.files[file] = await sha256File(path.join(work, file));
        await fs.writeFile(path.join(work, MANIFEST), JSON.stringify(manifest, null, 4));
        if (await isCached(name, key)) return final;
        await fs.rm(final, { recursive: true, force: true });
        await fs.rename(work, final);
        return final;
    } finally {
        await fs.rm(work, { recursive: true, force: true });
    }
}
