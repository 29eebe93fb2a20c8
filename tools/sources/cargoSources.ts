import * as fs from "node:fs/promises";
import * as path from "node:path";
import { sha256File } from "../../common/cache";

/** What a target folder was built from: of each file of the workspace its content's SHA-256, and when it was written. */
interface Source {
    sha256: string;
    mtimeMs: number;
}
type Sources = Record<string, Source>;

/** The file of a target folder that holds them. */
export const SOURCES = "sources.json";

/** Paths of the workspace's files, relative to it. */
async function filesOf(workspace: string): Promise<string[]> {
    const entries = await fs.readdir(workspace, { recursive: true, withFileTypes: true });
    return entries
        .filter((entry) => entry.isFile())
        .map(({ parentPath, name }) => path.relative(workspace, path.join(parentPath, name)))
        .filter((file) => !file.startsWith(`target${path.sep}`));
}

async function recorded(target: string): Promise<Sources | undefined> {
    try {
        return JSON.parse(await fs.readFile(path.join(target, SOURCES), "utf8")) as Sources;
    } catch {
        return undefined;
    }
}

/**
 * Notes what the workspace holds, after a build. What cargo has compiled of a file since that was written, it has compiled of that
 * content, whether the build came to its end or not.
 */
export async function recordSources(workspace: string, target: string): Promise<void> {
    const sources: Sources = {};
    for (const file of await filesOf(workspace)) {
        const { mtimeMs } = await fs.stat(path.join(workspace, file));
        sources[file] = { sha256: await sha256File(path.join(workspace, file)), mtimeMs };
    }
    await fs.writeFile(path.join(target, SOURCES), JSON.stringify(sources));
}

/** Forgets it, before a build. */
export async function forgetSources(target: string): Promise<void> {
    await fs.rm(path.join(target, SOURCES), { force: true });
}

/** Whether a file has its clone's folders compiled in, as integration tests do. */
async function namesFolder(file: string): Promise<boolean> {
    return file.endsWith(".rs") && (await fs.readFile(file, "utf8")).includes('env!("CARGO_');
}

/**
 * Lets cargo, which goes by the times of files, see what has changed by content: a file that is as it was gets the time that it had, every
 * other one the present. False: nobody knows what the folder was built from.
 */
export async function restoreTimes(workspace: string, target: string, isOthers: boolean): Promise<boolean> {
    const sources = await recorded(target);
    if (sources === undefined) return false;
    const now = Date.now();
    for (const file of await filesOf(workspace)) {
        const at = path.join(workspace, file);
        const was = sources[file] as Source | undefined;
        const same =
            was !== undefined &&
            was.sha256 === (await sha256File(at)) &&
            !(isOthers && (await namesFolder(at)));
        const seconds = (same ? was.mtimeMs : now) / 1000;
        await fs.utimes(at, seconds, seconds);
    }
    return true;
}
