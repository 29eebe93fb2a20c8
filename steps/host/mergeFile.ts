// Whether kind can add a cluster to a kubeconfig file of the user's.
import { access, constants, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { expandHome } from "../lib/files";

/** How long kind and kubectl may hold their lock, in milliseconds: they read and write a small file. */
const lockedMilliseconds = 1000;

/** What keeps kind from writing the file: it would try for minutes, with the cluster made already. */
export async function mergeFileFaults(given: string | undefined): Promise<string[]> {
    if (given === undefined) return [];
    const file = expandHome(given);
    const fault = (what: string) => [`KindCluster.mergeKubeconfigFile: ${what}`];
    const lock = `${file}.lock`;
    if (await isThere(lock)) {
        await sleep(lockedMilliseconds);
        if (await isThere(lock))
            return fault(
                `${lock} is there, by which kind and kubectl keep others from writing ${file}; end what holds it, or remove it if ` +
                    "an earlier run was killed",
            );
    }
    const found = await stat(file).catch(() => undefined);
    if (found !== undefined && !found.isFile()) return fault(`${file} is no file`);
    if (found !== undefined && !(await mayWrite(file)))
        return fault(`${file} may not be written; run \`chmod u+w\` on it`);
    let folder = dirname(file);
    while (!(await isThere(folder)) && dirname(folder) !== folder) folder = dirname(folder);
    if (!(await mayWrite(folder))) return fault(`nothing may be made in ${folder}, where its lock would be`);
    return [];
}

function isThere(path: string): Promise<boolean> {
    return stat(path).then(
        () => true,
        () => false,
    );
}

function mayWrite(path: string): Promise<boolean> {
    return access(path, constants.W_OK).then(
        () => true,
        () => false,
    );
}
