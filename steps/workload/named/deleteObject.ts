import type { ClaimObjectInput } from "../../contract";
import { currentClaim } from "../../lib/claim";
import { StepError } from "../../lib/errors";
import { entryOf, isUndone } from "../../lib/journal";
import { kubeconfigsLeft } from "../../lib/kube/kept";
import { ifClusterAnswers, KubeError, lookInto, type Kube } from "../../lib/kube/kube";
import { stored, type Of } from "../../lib/schema";
import { progress, step } from "../../lib/step";
import { claimObjectInput, collectionOf, findNamed, isThisOne, titleOf } from "./named";

const needed = stored(claimObjectInput, "owner", "kubeconfigFile", "kind", "namespace", "name", "label");

type Needed = Of<typeof needed>;

/** Deletes the object of a name, if it is this stack's still. */
export async function deleteObject(input: Needed): Promise<Record<string, never>> {
    for (const file of await kubeconfigsLeft(currentClaim(), input.kubeconfigFile))
        await ifClusterAnswers(file, (kube) => deleteOwn(kube, input), progress);
    return {};
}

async function deleteOwn(kube: Kube, input: Needed): Promise<void> {
    const found = await findNamed(kube, input);
    if (found === undefined) return;
    const { uid } = found.metadata;
    if (isThisOne(found, input)) {
        if (uid === (await successor(input))) return;
        try {
            await kube.delete(`${collectionOf(input)}/${input.name}`, { preconditions: { uid } });
            return;
        } catch (error) {
            if (!(error instanceof KubeError && error.reason === "Conflict")) throw error;
        }
    }
    progress(`${titleOf(input)} is not this stack's any more: left alone`);
}

/**
 * UID of the object that has come in the place of this one; the same, where the cluster has only got another kubeconfig file, or the name was
 * taken again.
 */
async function successor(input: Needed): Promise<string | undefined> {
    const { resource } = currentClaim() ?? {};
    const entry = resource === undefined ? undefined : await entryOf(resource);
    if (entry === undefined || isUndone(entry, input)) return undefined;
    const heir = entry.input as ClaimObjectInput;
    const answer = await lookInto(heir.kubeconfigFile, (kube) => findNamed(kube, heir));
    if (answer !== undefined) return answer.seen?.metadata.uid;
    throw new StepError(
        `${titleOf(input)} may be what ${titleOf(heir)} is by now, and no cluster answers by ${heir.kubeconfigFile}: see that it does, and try again`,
    );
}

step(module, "deleteObject", needed, deleteObject);
