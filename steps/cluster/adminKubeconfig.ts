// The file in which a cluster's admin kubeconfig is kept.
import { mkdir, readFile, rm, rmdir, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { StepError } from "../lib/errors";
import { expandHome, readOptional, targetOfLinks, writePrivate } from "../lib/files";
import { isOnlyOf } from "../lib/kube/kubeconfig";
import { run } from "../lib/run";

/** Whose file, and where. */
export interface AdminKubeconfig {
    /** The argument that says where, for errors: `KindCluster.kubeconfigFile`. */
    argument: string;
    /** Name of its cluster, context and user alike. */
    entryName: string;
    kubeconfigFile: string;
}

/** The file of a kind cluster: kind gives all entries the same name. */
export function kindFile(name: string, kubeconfigFile: string): AdminKubeconfig {
    return { argument: "KindCluster.kubeconfigFile", entryName: `kind-${name}`, kubeconfigFile };
}

/** The stack's containers are Docker's; a user may have told kind to use another runtime for other clusters. */
export const kindEnvironment = { KIND_EXPERIMENTAL_PROVIDER: "docker" };

/** Fails when the file may not be written: it holds something else, or others may write where it is. */
export async function checkAdminKubeconfig({
    argument,
    entryName,
    kubeconfigFile,
}: AdminKubeconfig): Promise<void> {
    const file = expandHome(kubeconfigFile);
    if (!isOnlyOf((await readOptional(file)) ?? "", entryName)) {
        throw new StepError(
            `${argument}: ${file} holds more than, or other than, context "${entryName}"; give the cluster a file of its own`,
        );
    }
    const parent = dirname(await targetOfLinks(file));
    const folder = await stat(parent).catch(() => undefined);
    if (folder && ((folder.mode & 0o022) !== 0 || folder.uid !== process.getuid?.())) {
        throw new StepError(
            `${argument}: others may write in ${parent}; run \`chmod 0700\` on it or give another folder`,
        );
    }
}

/** Writes the file, mode 0600 from its first byte, and its folder, mode 0700, where there is none. Tells its absolute path. */
export async function writeAdminKubeconfig(which: AdminKubeconfig, text: string): Promise<string> {
    await checkAdminKubeconfig(which);
    const file = expandHome(which.kubeconfigFile);
    await mkdir(dirname(await targetOfLinks(file)), { recursive: true, mode: 0o700 });
    // kind ends what it prints with one line break more than what it writes.
    await writePrivate(file, `${text.trimEnd()}\n`);
    return file;
}

/** The kubeconfig of a cluster that stands, as kind tells it. */
export async function kubeconfigOf(clusterName: string): Promise<string> {
    const { stdout } = await run(["kind", "get", "kubeconfig", "--name", clusterName], {
        env: kindEnvironment,
    });
    return stdout;
}

/**
 * Removes the file, and its folder if that is empty then. One that holds something else is left alone; of a symbolic link what it
 * leads to goes, for the link is the user's. `keep` gets what it holds, before it goes.
 */
export async function removeAdminKubeconfig(
    { entryName, kubeconfigFile }: AdminKubeconfig,
    keep?: (file: string, text: string) => Promise<void>,
): Promise<void> {
    const file = expandHome(kubeconfigFile);
    const text = await readFile(file, "utf8").catch(() => undefined);
    if (text === undefined || !isOnlyOf(text, entryName)) return;
    await keep?.(file, text);
    const target = await targetOfLinks(file);
    await rm(target, { force: true });
    if (target === file) await rmdir(dirname(file)).catch(() => undefined);
}
