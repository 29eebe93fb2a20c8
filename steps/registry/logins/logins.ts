/**
 * The logins that this machine has for a registry, as `wasm-oci` finds them in docker's config file or its credential helper.
 * What is read here goes into a Secret of the cluster or into a fingerprint, and nowhere else.
 */
import { scryptSync } from "node:crypto";
import type { RegistryAccess } from "../../contract";
import { StepError } from "../../lib/errors";
import { wasmOci } from "../../lib/wasmOci";

/** `auths` of a docker config: by key, each in a form that any kubelet can use. */
export type Logins = Record<string, Record<string, string>>;

/** Every login for a registry; undefined: there is none. */
export async function loginsOf(
    registry: string,
    { dockerConfigFile }: Pick<RegistryAccess, "dockerConfigFile">,
): Promise<Logins | undefined> {
    const what = `RegistryPullSecret: could not read the login for ${registry}`;
    const access = { insecureRegistries: [], dockerConfigFile };
    const { auths } = await wasmOci(["login-of", registry, "--secrets"], access, what);
    if (typeof auths !== "object" || auths === null)
        throw new StepError(`${what}: wasm-oci printed no logins; is it of this version?`);
    return Object.keys(auths).length === 0 ? undefined : (auths as Logins);
}

/**
 * A text that changes with the logins. Slow to make on purpose: whoever comes by it can try no more than some ten passwords a
 * second against it. The salt makes it another one in each stack.
 */
export function loginFingerprint(logins: Logins, salt: string): string {
    const sorted = Object.entries(logins)
        .map(([key, entry]) => [key, Object.entries(entry).sort()])
        .sort(([a], [b]) => (a < b ? -1 : 1));
    // 2^15 and 8: 32 MiB of memory.
    return scryptSync(JSON.stringify(sorted), salt, 32, { N: 2 ** 15, r: 8, p: 1, maxmem: 2 ** 26 }).toString(
        "base64",
    );
}
