import { ifClusterAnswers } from "../lib/kube/kube";
import { isOwn, pullSecretInput, secretsPath, type FoundSecret } from "./logins/pullSecret";
import { stored, type Of } from "../lib/schema";
import { progress, step } from "../lib/step";

const needed = stored(pullSecretInput, "kubeconfigFile", "owner", "namespace", "name");

/** Deletes the Secret, if it is this stack's. */
export async function deletePullSecret(input: Of<typeof needed>): Promise<Record<string, never>> {
    const path = `${secretsPath(input)}/${input.name}`;
    await ifClusterAnswers(
        input.kubeconfigFile,
        async (kube) => {
            const found = await kube.find<FoundSecret>(path);
            if (found === undefined) return;
            if (isOwn(found, input)) await kube.delete(path);
            else progress(`Secret "${input.name}" is not of ${input.owner}: left alone`);
        },
        progress,
    );
    return {};
}

step(module, "deletePullSecret", needed, deletePullSecret);
