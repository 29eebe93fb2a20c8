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
export async function cacheKey(values: readonly string[], base: string, files: readonly string[]): Promise<string> {
    const hash = createHash("sha256").update(JSON.stringify(values));
    for (const file of [...files].sort()) {
        hash.update(`\0${file}\0${await sha256File(path.join(base, file))}`);
    }
    return hash.digest("hex").slice(0, 16);
}

const MANIFEST = "manifest.json";

interface Manifest {
    /** SHA-256 (hex) of every file of the entry by its path in it. */
    files: Record<string, string>;
}

async function filesBelow(dir: string): Promise<string[]> {
    const entries = await fs.readdir(dir, { withFileTypes: true, recursive: true });
    return entries
        .filter((entry) => entry.isFile())
        .map((entry) => path.relative(dir, path.join(entry.parentPath, entry.name)))
        .filter((name) => name !== MANIFEST)
        .sort();
}

/** What is wrong with an entry, or undefined when every file is there as it was made. */
async function fault(dir: string): Promise<string | undefined> {
    let manifest: Manifest;
    try {
        manifest = JSON.parse(await fs.readFile(path.join(dir, MANIFEST), "utf8")) as Manifest;
    } catch {
        return "no manifest";
    }
    for (const [name, sha256] of Object.entries(manifest.files)) {
        const found = await sha256File(path.join(dir, name)).catch(() => "absent");
        if (found !== sha256) return `${name}: expected sha256 ${sha256}, found ${found}`;
    }
    return undefined;
}

/** The folder of a cached thing, whether it is there or not. */
export function cachePath(name: string, key: string): string {
    return path.join(cacheRoot(), name, key);
}

/** Is there an entry of that key, whole and unchanged? Every file is read and compared with its checksum. */
export async function isCached(name: string, key: string): Promise<boolean> {
    return (await fault(cachePath(name, key))) === undefined;
}

/**
 * Returns the folder of a cached thing, made by `make` when it is absent or does not pass its check.
 *
 * `make` fills an empty folder, which takes its final name only when it is complete: an interrupted run leaves nothing
 * that a later one would trust. Two runs at once both make it; the first to finish wins and both are right.
 */
export async function cached(name: string, key: string, make: (dir: string) => Promise<void>): Promise<string> {
    const final = cachePath(name, key);
    if (await isCached(name, key)) return final;
    await fs.mkdir(path.dirname(final), { recursive: true });
    const work = `${final}.making-${process.pid}-${randomBytes(4).toString("hex")}`;
    await fs.mkdir(work);
    try {
        await make(work);
        const manifest: Manifest = { files: {} };
        for (const file of await filesBelow(work)) manifest.files[file] = await sha256File(path.join(work, file));
        await fs.writeFile(path.join(work, MANIFEST), JSON.stringify(manifest, null, 4));
        if (await isCached(name, key)) return final;
        await fs.rm(final, { recursive: true, force: true });
        await fs.rename(work, final);
        return final;
    } finally {
        await fs.rm(work, { recursive: true, force: true });
    }
}
