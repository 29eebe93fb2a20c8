import type { PullSecretInput } from "../contract";
import { ifClusterAnswers } from "../lib/kube";
import { isOwn, pullSecretInput, secretsPath, type FoundSecret } from "./pullSecret";
import { progress, step } from "../lib/step";

/** Deletes the Secret, if it is this stack's. */
export async function deletePullSecret(input: PullSecretInput): Promise<Record<string, never>> {
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

step(module, "deletePullSecret", pullSecretInput, deletePullSecret);
