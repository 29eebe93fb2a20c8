import { keepKubeconfig } from "../../lib/kube/kept";
import { stored, type Of } from "../../lib/schema";
import { step } from "../../lib/step";
import { removeAdminKubeconfig } from "../adminKubeconfig";
import { copyKubeconfigInput, ownFile } from "./existing";

const needed = stored(copyKubeconfigInput, "context", "kubeconfigFile");

/**
 * Removes the stack's own copy; until the claim's end it is kept with the claim, for what ended runs left in the cluster. Neither the
 * cluster nor the file that the copy came from is touched.
 */
export async function removeKubeconfig(input: Of<typeof needed>): Promise<Record<string, never>> {
    await removeAdminKubeconfig(ownFile(input), keepKubeconfig);
    return {};
}

step(module, "removeKubeconfig", needed, removeKubeconfig);
