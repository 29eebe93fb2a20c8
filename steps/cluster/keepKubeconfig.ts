import type { KeepKubeconfigInput, KeepKubeconfigOutput } from "../contract";
import { kindFile, kubeconfigOf, writeAdminKubeconfig } from "./adminKubeconfig";
import { containers } from "../lib/docker";
import { expandHome, readOptional } from "../lib/files";
import { clusterLabel, completeMark, controlPlane, isOurs, keepKubeconfigInput } from "./kind";
import { run } from "../lib/run";
import { progress, step } from "../lib/step";

/**
 * Writes the file of a cluster's admin kubeconfig again where it was lost: nothing else of an unchanged stack would. A file that
 * is there is left as it is, and so is everything while there is no whole cluster of this owner's: createKindCluster's work.
 */
export async function keepKubeconfig(input: KeepKubeconfigInput): Promise<KeepKubeconfigOutput> {
    if ((await readOptional(expandHome(input.kubeconfigFile))) !== undefined) return { kept: true };
    const cluster = await containers(`label=${clusterLabel}=${input.clusterName}`);
    const found = controlPlane(cluster);
    if (!found?.State.Running || !isOurs(cluster, input.owner)) return { kept: false };
    const mark = await run(["docker", "exec", found.Id, "test", "-e", completeMark], {
        timeoutSeconds: 15,
        allowFailure: true,
    });
    if (mark.exitCode !== 0) return { kept: false };
    const file = await writeAdminKubeconfig(
        kindFile(input.clusterName, input.kubeconfigFile),
        await kubeconfigOf(input.clusterName),
    );
    progress(`${file} was lost; it is written again`);
    return { kept: true };
}

step(module, "keepKubeconfig", keepKubeconfigInput, keepKubeconfig);
