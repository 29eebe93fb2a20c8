import * as fs from "node:fs/promises";
import { join } from "node:path";
import { describeOwner, isOf } from "../lib/claim";
import { StepError } from "../lib/errors";
import { readOptional, writePrivate } from "../lib/files";

/** Whose folder it is, as its `owner.json` says. */
export interface FolderOwner {
    owner: string;
    nodeName: string;
}

/**
 * Makes the folder of a node (mode 0700) and marks it as the owner's, or makes sure that it is that already. A folder of
 * somebody else, or one with other things in it, is refused. Tells whether the mark was made now.
 */
export async function claimFolder(folder: string, whose: FolderOwner): Promise<boolean> {
    await fs.mkdir(folder, { recursive: true, mode: 0o700 });
    const found = await ownerOf(folder);
    if (found === undefined) {
        if ((await fs.readdir(folder)).length > 0) {
            throw new StepError(
                `stateDir: ${folder} holds files that are not of a node; give the node a folder of its own`,
            );
        }
        await checkMode(folder);
        await writeOwner(folder, whose);
        return true;
    }
    if (!isOf(found.owner, whose.owner) || found.nodeName !== whose.nodeName) {
        throw new StepError(
            `stateDir: ${folder} is of node "${found.nodeName}" of ${describeOwner(found.owner)}, not of node "${whose.nodeName}" of ` +
                `${describeOwner(whose.owner)}; give each node a folder of its own`,
        );
    }
    await checkMode(folder);
    // The stack may have another name by now, or was made before things bore an id.
    if (found.owner !== whose.owner) await writeOwner(folder, whose);
    return false;
}

function writeOwner(folder: string, { owner, nodeName }: FolderOwner): Promise<void> {
    return writePrivate(join(folder, "owner.json"), `${JSON.stringify({ owner, nodeName })}\n`);
}

async function checkMode(folder: string): Promise<void> {
    const { mode, uid } = await fs.stat(folder);
    if ((mode & 0o077) !== 0 || uid !== process.getuid?.()) {
        const what = `mode ${(mode & 0o777).toString(8).padStart(4, "0")}, user ${uid}`;
        throw new StepError(
            `stateDir: others may reach into ${folder} (${what}), and keys would lie in it; run \`chmod 0700\` on it or give another folder`,
        );
    }
}

/** What the folder's mark says; undefined when it has none. */
export async function ownerOf(folder: string): Promise<FolderOwner | undefined> {
    const text = await readOptional(join(folder, "owner.json"));
    if (text === undefined) return undefined;
    try {
        const { owner, nodeName } = JSON.parse(text) as Partial<FolderOwner>;
        return { owner: String(owner), nodeName: String(nodeName) };
    } catch {
        throw new StepError(
            `stateDir: ${join(folder, "owner.json")} cannot be read as JSON; remove ${folder} if it is not needed`,
        );
    }
}
