// Kubeconfigs of clusters that a stack does not have any more, or that go before its claim: kept until the claim's end, which removes what
// ended runs left in those clusters.
import { createHash } from "node:crypto";
import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { StepClaim } from "../../contract";
import { claimFolderOf, currentClaim } from "../claim";
import { expandHome, readOptional, writePrivate } from "../files";

const folderOf = (claim: Pick<StepClaim, "folder">) => join(claimFolderOf(claim), "kubeconfigs");

const hashOf = (text: string) => createHash("sha256").update(text).digest("hex").slice(0, 16);

/** Keeps what a file (its absolute path) holds; a step that works for no claim keeps nothing. */
export async function keepKubeconfig(file: string, text: string): Promise<void> {
    const claim = currentClaim();
    if (claim === undefined) return;
    await mkdir(folderOf(claim), { recursive: true, mode: 0o700 });
    // One path may have led to one cluster after the other.
    await writePrivate(join(folderOf(claim), `${hashOf(file)}-${hashOf(text)}`), text);
}

/** What was kept of a claim: of one path, or of all. */
export async function keptKubeconfigs(claim: Pick<StepClaim, "folder">, file?: string): Promise<string[]> {
    const names = await readdir(folderOf(claim)).catch(() => []);
    const of = file === undefined ? "" : `${hashOf(expandHome(file))}-`;
    return names.filter((name) => name.startsWith(of)).map((name) => join(folderOf(claim), name));
}

/** The file, or where it went before those that were kept of it; it alone, which tells so, where there is none of either. */
export async function kubeconfigsLeft(
    claim: Pick<StepClaim, "folder"> | undefined,
    file: string,
): Promise<string[]> {
    const there = claim === undefined || (await readOptional(expandHome(file))) !== undefined;
    const kept = there ? [] : await keptKubeconfigs(claim, file);
    return kept.length === 0 ? [file] : kept;
}
