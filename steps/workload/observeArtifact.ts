import type { ObserveArtifactOutput, ObserveInput, PushArtifactInput, PushArtifactOutput } from "../contract";
import { StepError } from "../lib/errors";
import { madeAt, observe } from "../lib/journal";
import { presentProgram } from "../lib/programs/programs";
import { object, text } from "../lib/schema";
import { step } from "../lib/step";
import { wasmOci, WasmOciError } from "../lib/wasmOci";

const input = object<ObserveInput>({ resource: text });

/** How long a registry may take for a look, in seconds. */
const lookSeconds = 5;

/** Sees whether a registry still has what was pushed, and why it must be pushed again if not. */
export async function observeArtifact({ resource }: ObserveInput): Promise<ObserveArtifactOutput> {
    let last: ObserveArtifactOutput["last"];
    const { because } = await observe(resource, async (entry) => {
        const { sha256, reference: pushedTo, format } = entry.input as PushArtifactInput;
        // Of a run that did not come to its end this is what the one before told.
        if (entry.done)
            last = { ...(entry.output as PushArtifactOutput), of: { sha256, reference: pushedTo, format } };
        // Where it is yet to be built, a look does not build it.
        if ((await presentProgram("wasm-oci")) === undefined) return undefined;
        const { insecureRegistries, trustedCaFile, dockerConfigFile } = entry.input as PushArtifactInput;
        const { reference } = entry.output as PushArtifactOutput;
        try {
            const access = { insecureRegistries, trustedCaFile, dockerConfigFile };
            await wasmOci(
                ["resolve", reference],
                access,
                `WasmArtifact: could not find ${reference}`,
                lookSeconds,
            );
            return undefined;
        } catch (error) {
            if (!(error instanceof StepError)) throw error;
            // A registry that does not answer, or not to this user, says nothing of what it has.
            return error instanceof WasmOciError && error.notThere
                ? `${reference}, pushed ${madeAt(entry)}, is not in the registry any more: it is pushed again`
                : undefined;
        }
    });
    return { because, last };
}

step(module, "observeArtifact", input, observeArtifact);
