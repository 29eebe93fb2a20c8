import type { ClusterOutput, CopyKubeconfigInput } from "../../contract";
import { StepError } from "../../lib/errors";
import { expandHome, readOptional } from "../../lib/files";
import { readKubeconfig } from "../../lib/kube/kubeconfig";
import { progress, step } from "../../lib/step";
import { writeAdminKubeconfig } from "../adminKubeconfig";
import { copyKubeconfigInput, ownFile } from "./existing";
import { digestOfKubeconfig, onlyContext } from "./onlyContext";

/**
 * Copies the context that leads to the cluster, and nothing else of its file, into a file of the stack's own. A copy that is there as
 * it should be is left alone, so that each preview can run this to bring back one that was lost.
 */
export async function copyKubeconfig(input: CopyKubeconfigInput): Promise<ClusterOutput> {
    const source = expandHome(input.source);
    const copy = await onlyContext(await readKubeconfig(source), source, input.context);
    const { kubeconfigDigest, ...found } = input.found;
    if (digestOfKubeconfig(copy) !== kubeconfigDigest) {
        throw new StepError(
            `ExistingCluster "${input.context}": ${source} has changed since it was looked at; run \`pulumi up\` again`,
        );
    }
    const file = expandHome(input.kubeconfigFile);
    if (file === source) {
        throw new StepError(
            `ExistingCluster.copyFile: ${file} is the file that the context is copied from; give the copy a file of its own`,
        );
    }
    if ((await readOptional(file)) !== copy) {
        await writeAdminKubeconfig(ownFile(input), copy);
        progress(`context "${input.context}" of ${source} is in ${file}`);
    }
    return { ...found, name: input.context, context: input.context, kubeconfigFile: file };
}

step(module, "copyKubeconfig", copyKubeconfigInput, copyKubeconfig);
