import { currentClaim } from "../../lib/claim";
import { removeClaimed } from "../../lib/kube/claimed";
import { ifClusterAnswers } from "../../lib/kube/kube";
import { stored, type Of } from "../../lib/schema";
import { progress, step } from "../../lib/step";
import { removeAdminKubeconfig } from "../adminKubeconfig";
import { copyKubeconfigInput, ownFile } from "./existing";

const needed = stored(copyKubeconfigInput, "context", "kubeconfigFile");

/**
 * Removes the stack's own copy, and with it what ended runs left of the stack in the cluster. Neither the cluster nor the file that the
 * copy came from is touched.
 */
export async function removeKubeconfig(input: Of<typeof needed>): Promise<Record<string, never>> {
    const claim = currentClaim();
    if (claim !== undefined) {
        await ifClusterAnswers(input.kubeconfigFile, (kube) => removeClaimed(kube, claim.id), progress);
    }
    await removeAdminKubeconfig(ownFile(input));
    return {};
}

step(module, "removeKubeconfig", needed, removeKubeconfig);
