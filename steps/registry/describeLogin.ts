import type { DescribeLoginInput, DescribeLoginOutput } from "../contract";
import { loginFingerprint, loginsOf } from "./logins/logins";
import { isBuilt } from "../lib/programs/programs";
import { boolean, object, optional, registry, text } from "../lib/schema";
import { step } from "../lib/step";

const input = object<DescribeLoginInput>({
    registry,
    dockerConfigFile: optional(text),
    salt: text,
    mayBuild: boolean,
});

/** Tells whether there is a login for a registry, and whether it is another one than before. */
export async function describeLogin(given: DescribeLoginInput): Promise<DescribeLoginOutput> {
    if (!given.mayBuild && !(await isBuilt("wasm-oci"))) return { known: false, fingerprint: null };
    const logins = await loginsOf(given.registry, given);
    return { known: true, fingerprint: logins === undefined ? null : loginFingerprint(logins, given.salt) };
}

step(module, "describeLogin", input, describeLogin);
