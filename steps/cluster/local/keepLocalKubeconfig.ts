import { expandHome, readOptional } from "../../lib/files";
import { progress, step } from "../../lib/step";
import { keep, localClusterInput, localTools } from "./localCluster";

/** Writes the file of a cluster's admin kubeconfig again where it was lost. One that is there is left as it is. */
step(module, "keepLocalKubeconfig", localClusterInput, async (input) => {
    const file = expandHome(input.kubeconfigFile);
    if ((await readOptional(file)) !== undefined) return { kept: true };
    const kept = await keep(localTools[input.tool], input);
    if (kept) progress(`${file} was lost; it is written again`);
    return { kept };
});
