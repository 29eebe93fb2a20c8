import type {
    ObserveArtifactOutput,
    ObserveInput,
    PushArtifactInput,
    PushArtifactOutput,
    RegistryAccess,
} from "../contract";
import { StepError } from "../lib/errors";
import { madeAt, observe } from "../lib/journal";
import { presentProgram } from "../lib/programs/programs";
import { object, text } from "../lib/schema";
import { step } from "../lib/step";
import { digestOf, wasmOci, WasmOciError } from "../lib/wasmOci";

const input = object<ObserveInput>({ resource: text });

/** How long a registry may take for a look, in seconds. */
const lookSeconds = 5;

/** Sees whether a registry still has what was pushed, and the tag, and why it must be pushed again if not. */
export async function observeArtifact({ resource }: ObserveInput): Promise<ObserveArtifactOutput> {
    let last: ObserveArtifactOutput["last"];
    const { because } = await observe(resource, async (entry) => {
        const { sha256, reference: pushedTo, format } = entry.input as PushArtifactInput;
        // Of a run that did not come to its end this is what the one before told.
        if (entry.done)
            last = { ...(entry.output as PushArtifactOutput), of: { sha256, reference: pushedTo, format } };
        // Where it is yet to be built, a look does not build it.
        if ((await presentProgram("wasm-oci")) === undefined) return undefined;
        const { digest, reference } = entry.output as PushArtifactOutput;
        const gone = (what: string) =>
            `${what}, pushed ${madeAt(entry)}, is not in the registry any more: it is pushed again`;
        try {
            const tagged = await digestIn(pushedTo, entry.input as PushArtifactInput);
            // Where somebody else has moved the tag, it is the artifact alone that counts: workloads run by its digest.
            if (tagged === digest) return undefined;
            if ((await digestIn(reference, entry.input as PushArtifactInput)) === undefined)
                return gone(reference);
            return tagged === undefined ? gone(`tag ${pushedTo}`) : undefined;
        } catch (error) {
            // A registry that does not answer, or not to this user, says nothing of what it has.
            if (error instanceof StepError) return undefined;
            throw error;
        }
    });
    return { because, last };
}

/** The digest that a reference leads to; undefined: the registry has none of that name. */
async function digestIn(
    reference: string,
    { insecureRegistries, trustedCaFile, dockerConfigFile }: RegistryAccess,
): Promise<string | undefined> {
    const access = { insecureRegistries, trustedCaFile, dockerConfigFile };
    const what = `WasmArtifact: could not find ${reference}`;
    try {
        return digestOf(await wasmOci(["resolve", reference], access, what, lookSeconds), "resolve");
    } catch (error) {
        if (error instanceof WasmOciError && error.notThere) return undefined;
        throw error;
    }
}

step(module, "observeArtifact", input, observeArtifact);
