import type { DescribeLoginInput, DescribeLoginOutput } from "../contract";
import { fingerprintOf, loginsOf } from "./logins";
import { object, optional, registry, text } from "../lib/schema";
import { step } from "../lib/step";

const input = object<DescribeLoginInput>({ registry, dockerConfigFile: optional(text), salt: text });

/** Tells whether there is a login for a registry, and whether it is another one than before. */
export async function describeLogin(given: DescribeLoginInput): Promise<DescribeLoginOutput> {
    const logins = await loginsOf(given.registry, given.dockerConfigFile);
    return { fingerprint: logins === undefined ? null : fingerprintOf(logins, given.salt) };
}

step(module, "describeLogin", input, describeLogin);
