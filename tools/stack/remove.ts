import * as fs from "node:fs/promises";
import * as path from "node:path";
import { readOptional } from "../../steps/lib/files";
import { hasStacks, saltOf, type Home, type StackFiles } from "./home";
import { mayNeed } from "./salt";

/** Removes what Pulumi and this program keep of a stack besides its state, which must be gone already. */
export async function removeStackFiles(home: Home, files: StackFiles): Promise<void> {
    const { project, stack } = files;
    const bookkeeping = path.join(home.backend, ".pulumi");
    const left = [
        files.configCopy,
        files.maybeDeleted,
        files.locks,
        path.join(bookkeeping, "history", project, stack),
        path.join(bookkeeping, "backups", project, stack),
        `${files.state}.bak`,
        `${files.state}.attrs`,
        `${files.state}.bak.attrs`,
    ];
    for (const file of left) await fs.rm(file, { recursive: true, force: true });
}

/** Does the project's own configuration hold secrets that were encrypted with this home's passphrase? */
async function isPassphraseNeeded(home: Home, cwd: string): Promise<boolean> {
    const passphrase = await readOptional(home.passphrase);
    if (passphrase === undefined) return false;
    const configs = (await fs.readdir(cwd)).filter((name) => /^Pulumi\..+\.yaml$/.test(name));
    const texts = await Promise.all(configs.map((name) => readOptional(path.join(cwd, name))));
    const salts = texts.map(saltOf).filter((salt) => salt !== undefined);
    const needs = await Promise.all(salts.map((salt) => mayNeed(salt, passphrase)));
    return needs.includes(true);
}

/**
 * Removes the home folder when no stack is left in it. The passphrase stays when the project's own configuration holds
 * secrets that were encrypted with it.
 */
export async function removeHomeIfEmpty(home: Home, files: StackFiles): Promise<void> {
    if (await hasStacks(home)) return;
    const keepPassphrase = await isPassphraseNeeded(home, files.cwd);
    const ours = [home.pulumi, home.backend, home.logs, home.kubectlCache, path.dirname(files.configDir)];
    for (const file of keepPassphrase ? ours : [...ours, home.passphrase]) {
        await fs.rm(file, { recursive: true, force: true });
    }
    for (const dir of [path.join(home.dir, "kubeconfig"), path.join(home.dir, "nodes"), home.dir]) {
        // Only when nothing is in it: what a cluster or a node still has there is not ours to remove.
        await fs.rmdir(dir).catch(() => undefined);
    }
}
