import type { ClaimObjectInput } from "../../contract";
import { withKube } from "../../lib/kube/kube";
import { step } from "../../lib/step";
import { claimObjectInput, findNamed, refuseOthers } from "./named";

/**
 * Sees that a name is free, or this stack's, before the provider applies what is to have it. It makes nothing: what it stands for is that the
 * object goes by deleteObject, and not by its name alone.
 */
export async function claimObject(given: ClaimObjectInput): Promise<Record<string, never>> {
    await refuseOthers(given, await withKube(given.kubeconfigFile, (kube) => findNamed(kube, given)));
    return {};
}

step(module, "claimObject", claimObjectInput, claimObject);
