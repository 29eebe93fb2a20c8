import type { CopyKubeconfigInput } from "../../contract";
import { step } from "../../lib/step";
import { removeAdminKubeconfig } from "../adminKubeconfig";
import { copyKubeconfigInput, ownFile } from "./existing";

/** Removes the stack's own copy. Neither the cluster nor the file that it came from is touched. */
export async function removeKubeconfig(input: CopyKubeconfigInput): Promise<Record<string, never>> {
    await removeAdminKubeconfig(ownFile(input));
    return {};
}

step(module, "removeKubeconfig", copyKubeconfigInput, removeKubeconfig);
