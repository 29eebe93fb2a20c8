import type { ResolveArtifactInput, ResolveArtifactOutput } from "../contract";
import { artifactReference, object } from "../lib/schema";
import { step } from "../lib/step";
import { accessFields, byDigest, digestOf, wasmOci } from "../lib/wasmOci";

const input = object<ResolveArtifactInput>({
    reference: artifactReference,
    ...accessFields,
});

/** Tells the digest of what a reference leads to at this moment. */
export async function resolveArtifact({
    reference,
    ...access
}: ResolveArtifactInput): Promise<ResolveArtifactOutput> {
    const found = await wasmOci(["resolve", reference], access, `WasmArtifact: could not find ${reference}`);
    const digest = digestOf(found, "resolve");
    return { digest, reference: byDigest(reference, digest) };
}

step(module, "resolveArtifact", input, resolveArtifact);
