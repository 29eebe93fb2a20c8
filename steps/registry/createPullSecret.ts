import type { PullSecretInput, PullSecretOutput } from "../contract";
import { StepError } from "../lib/errors";
import { KubeError, withKube, type Kube } from "../lib/kube/kube";
import { loginsOf, type Logins } from "./logins/logins";
import { isOwn, pullSecret, pullSecretInput, secretsPath, type FoundSecret } from "./logins/pullSecret";
import { progress, step } from "../lib/step";

/**
 * Gives the cluster the login of a registry, for pods to pull with. It goes from docker's config file, or the credential helper,
 * to the API server. Where there is no login there is no Secret, and one of this stack from before is deleted.
 */
export async function createPullSecret(input: PullSecretInput): Promise<PullSecretOutput> {
    const logins = await loginsOf(input.registry, input);
    return withKube(input.kubeconfigFile, (kube) => write(kube, input, logins));
}

async function write(
    kube: Kube,
    input: PullSecretInput,
    logins: Logins | undefined,
): Promise<PullSecretOutput> {
    const path = secretsPath(input);
    const found = await kube.find<FoundSecret>(`${path}/${input.name}`);
    if (found !== undefined && !isOwn(found, input)) {
        throw new StepError(
            `RegistryPullSecret: a Secret "${input.name}" exists in namespace ${input.namespace} and was not made by ` +
                `${input.owner}; choose another name, or delete it if nobody needs it`,
        );
    }
    if (logins === undefined) {
        if (found !== undefined) await kube.delete(`${path}/${input.name}`);
        progress(
            `no login for ${input.registry} was found, so no Secret is made; \`docker login ${input.registry}\` makes one`,
        );
        return { name: null };
    }
    const secret = pullSecret(input, logins);
    try {
        if (found === undefined) await kube.create(path, secret);
        else await kube.replace(`${path}/${input.name}`, secret);
    } catch (error) {
        if (!(error instanceof KubeError && error.reason === "NotFound")) throw error;
        throw new StepError(
            `RegistryPullSecret: there is no namespace ${input.namespace} for the Secret; make it first`,
        );
    }
    return { name: input.name };
}

step(module, "createPullSecret", pullSecretInput, createPullSecret);
