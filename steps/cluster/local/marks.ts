// Whose cluster it is, where its tool keeps no labels: a file in the tool's own folder of that cluster, which goes with it.
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { readOptional, writePrivate } from "../../lib/files";

const markFile = (folder: string) => join(folder, "krustlet-stack-owner");

/** Marks a folder as the owner's, before the tool is started: even a half-made cluster tells. */
export async function mark(folder: string, owner: string): Promise<void> {
    await mkdir(folder, { recursive: true });
    await writePrivate(markFile(folder), `${owner}\n`);
}

/** What the mark says; undefined where there is none. */
export async function markOf(folder: string): Promise<string | undefined> {
    return (await readOptional(markFile(folder)))?.trim();
}

/** Removes the mark, where the tool has left its folder. */
export async function unmark(folder: string): Promise<void> {
    await rm(markFile(folder), { force: true });
}
