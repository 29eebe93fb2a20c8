import { stored, type Of } from "../../lib/schema";
import { step } from "../../lib/step";
import { removeAdminKubeconfig } from "../adminKubeconfig";
import { copyKubeconfigInput, ownFile } from "./existing";

const needed = stored(copyKubeconfigInput, "context", "kubeconfigFile");

/** Removes the stack's own copy. Neither the cluster nor the file that it came from is touched. */
export async function removeKubeconfig(input: Of<typeof needed>): Promise<Record<string, never>> {
    await removeAdminKubeconfig(ownFile(input));
    return {};
}

step(module, "removeKubeconfig", needed, removeKubeconfig);
