import { isDeepStrictEqual } from "node:util";
import type { ObserveInput, ObserveOutput, PullSecretInput, PullSecretOutput } from "../contract";
import { StepError } from "../lib/errors";
import { madeAt, observe, type JournalEntry } from "../lib/journal";
import { lookInto } from "../lib/kube/kube";
import { presentProgram } from "../lib/programs/programs";
import { object, text } from "../lib/schema";
import { step } from "../lib/step";
import { loginsOf, type Logins } from "./logins/logins";
import { isOwn, loginsIn, secretsPath, type FoundSecret } from "./logins/pullSecret";

const input = object<ObserveInput>({ resource: text });

/**
 * Sees whether the Secret that pods pull with is there, with the login that this host has, and why it must be written again if not. Both
 * logins are compared here; that they differ is all that is told.
 */
export function observePullSecret({ resource }: ObserveInput): Promise<ObserveOutput> {
    return observe(resource, driftOf);
}

async function driftOf(entry: JournalEntry): Promise<string | undefined> {
    const made = entry.input as PullSecretInput;
    const { name } = entry.output as PullSecretOutput;
    if (name === null) return undefined;
    const answer = await lookInto(made.kubeconfigFile, (kube) =>
        kube.find<FoundSecret>(`${secretsPath(made)}/${name}`),
    );
    if (answer === undefined) return undefined;
    const what = `Secret ${made.namespace}/${name}, written ${madeAt(entry)},`;
    const { seen } = answer;
    if (seen === undefined) return `${what} is gone: it is made anew`;
    if (!isOwn(seen, made)) return `${what} is gone, and another one of that name is there`;
    const logins = await loginsHere(made);
    return logins === undefined || isDeepStrictEqual(loginsIn(seen), logins)
        ? undefined
        : `${what} has not the login that this host has: it is written again`;
}

/** Undefined where there is none, which describeLogin tells, and where it cannot be read. */
async function loginsHere({ registry, dockerConfigFile }: PullSecretInput): Promise<Logins | undefined> {
    // Where it is yet to be built, a look does not build it.
    if ((await presentProgram("wasm-oci")) === undefined) return undefined;
    return loginsOf(registry, { dockerConfigFile }).catch((error: unknown) => {
        if (error instanceof StepError) return undefined;
        throw error;
    });
}

step(module, "observePullSecret", input, observePullSecret);
