import { createHash, randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { run } from "../../steps/lib/run";
import { cacheRoot } from "../../common/cache";
import { forgetSources, recordSources, restoreTimes, SOURCES } from "./cargoSources";

/** Names the workspace that a target folder is of; written when the folder is ready. */
const MARK = "workspace";
/** Where cargo builds the workspace. */
const BUILT = "release";
/** Where the workspace's tests build programs of their own (CARGO_TARGET_TMPDIR), each in a target folder below. */
const PROGRAMS = "tmp";

interface Target {
    dir: string;
    /** Is its workspace still there? */
    inUse: boolean;
    usedAt: number;
}

/**
 * The folder in the user's cache that cargo builds this clone's workspace in. What another clone has built there is taken over, so
 * that a second clone compiles nothing but what it has of its own.
 *
 * One folder for all clones would not do: cargo tells crates of the same name apart by file times, so that what another
 * clone had built last could pass for this one's.
 */
export async function cargoTargetDir(workspace: string): Promise<string> {
    const parent = path.join(cacheRoot(), "cargo-target");
    const dir = path.join(parent, createHash("sha256").update(workspace).digest("hex").slice(0, 16));
    const mark = path.join(dir, MARK);
    if ((await fs.readFile(mark, "utf8").catch(() => undefined)) === workspace) {
        const now = new Date();
        await fs.utimes(mark, now, now);
        await restoreTimes(workspace, dir, false);
        return dir;
    }
    await fs.rm(dir, { recursive: true, force: true });
    await fs.mkdir(parent, { recursive: true });
    await takeOver(await targetsIn(parent), dir);
    await fs.mkdir(dir, { recursive: true });
    if (!(await restoreTimes(workspace, dir, true))) await forgetCrates(workspace, dir);
    await forgetSources(dir);
    await fs.writeFile(mark, workspace);
    return dir;
}

/** Runs a build in that folder. */
export async function buildingIn<T>(workspace: string, build: (dir: string) => Promise<T>): Promise<T> {
    const dir = await cargoTargetDir(workspace);
    await forgetSources(dir);
    try {
        return await build(dir);
    } finally {
        await recordSources(workspace, dir);
    }
}

/** Removes what was built of the workspace's own crates, and of its tests' programs. */
async function forgetCrates(workspace: string, dir: string): Promise<void> {
    await fs.rm(path.join(dir, PROGRAMS), { recursive: true, force: true });
    await run(["cargo", "clean", "--release", "--locked", "--workspace"], {
        cwd: workspace,
        env: { CARGO_TARGET_DIR: dir },
        timeoutSeconds: 120,
    });
}

/** The folders that are ready, the last used first. */
async function targetsIn(parent: string): Promise<Target[]> {
    const found = await Promise.all(
        (await fs.readdir(parent)).map(async (name): Promise<Target[]> => {
            const dir = path.join(parent, name);
            try {
                const workspace = await fs.readFile(path.join(dir, MARK), "utf8");
                const { mtimeMs } = await fs.stat(path.join(dir, MARK));
                const inUse = await fs.access(workspace).then(
                    () => true,
                    () => false,
                );
                return [{ dir, inUse, usedAt: mtimeMs }];
            } catch {
                return [];
            }
        }),
    );
    return found.flat().sort((a, b) => b.usedAt - a.usedAt);
}

/**
 * Makes `dir` of the folder that was used last, which holds the most of what is needed: one of a clone that is gone is taken, that of another
 * one linked file by file. No other folder of a clone that is gone stays.
 */
async function takeOver([newest, ...others]: Target[], dir: string): Promise<void> {
    for (const { dir: old, inUse } of others) if (!inUse) await fs.rm(old, { recursive: true, force: true });
    if (newest === undefined) return;
    if (newest.inUse) await linkTo(newest.dir, dir);
    else if (await moved(newest.dir, dir)) await keepKnown(dir);
}

/** Removes what is built there of other sources than the workspace's, of which nobody knows whether this clone has the same. */
async function keepKnown(dir: string): Promise<void> {
    const known = [BUILT, PROGRAMS, SOURCES];
    for (const name of await fs.readdir(dir))
        if (!known.includes(name)) await fs.rm(path.join(dir, name), { recursive: true, force: true });
}

async function linkTo(original: string, dir: string): Promise<void> {
    const partial = `${dir}.${process.pid}-${randomBytes(4).toString("hex")}`;
    const copy = ["cp", "--archive", "--link", original, partial];
    // Where cp knows no links, the dependencies are compiled once more.
    const result = await run(copy, { allowFailure: true, timeoutSeconds: 300 }).catch(() => undefined);
    if (result?.exitCode === 0) {
        await keepKnown(partial);
        await unshare(original, partial);
        if (await moved(partial, dir)) return;
    }
    await fs.rm(partial, { recursive: true, force: true });
}

/** Gives the copy files of its own for all that cargo writes in place; libraries it makes anew under their names. */
async function unshare(original: string, copy: string): Promise<void> {
    // A lock is on the file itself, whatever its name: two clones with one file would wait for each other's builds.
    await fs.rm(path.join(copy, BUILT, ".cargo-lock"), { force: true });
    // What was compiled from what: one clone's next build would else pass for the other's. A test's program has one name in all clones.
    const names = [path.join(BUILT, ".fingerprint"), path.join(BUILT, "build"), PROGRAMS];
    for (const name of names) {
        const there = await fs.access(path.join(copy, name)).then(
            () => true,
            () => false,
        );
        if (!there) continue;
        const own = path.join(copy, name);
        await fs.rm(own, { recursive: true, force: true });
        await run(["cp", "--archive", path.join(original, name), own], { timeoutSeconds: 300 });
    }
}

/** False when another run was quicker. */
async function moved(from: string, to: string): Promise<boolean> {
    return fs.rename(from, to).then(
        () => true,
        () => false,
    );
}
