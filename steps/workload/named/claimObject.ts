import { randomUUID } from "node:crypto";
import type { ClaimObjectInput, ClaimObjectOutput } from "../../contract";
import { withKube } from "../../lib/kube/kube";
import { step } from "../../lib/step";
import { claimObjectInput, findNamed, refuseOthers } from "./named";

/**
 * Sees that a name is free, or this stack's, before the provider applies what is to have it. It makes nothing: what it stands for is that the
 * object goes by deleteObject, and not by its name alone. Where a name is given up and taken again before that, the one claim of it is not to
 * be ended as the other.
 */
export async function claimObject(given: ClaimObjectInput): Promise<ClaimObjectOutput> {
    await refuseOthers(given, await withKube(given.kubeconfigFile, (kube) => findNamed(kube, given)));
    return { made: randomUUID() };
}

step(module, "claimObject", claimObjectInput, claimObject);
