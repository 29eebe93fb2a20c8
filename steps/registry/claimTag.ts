import type { ArtifactTagInput, ResolveArtifactOutput } from "../contract";
import { artifactTagInput } from "./artifactTag";
import { StepError } from "../lib/errors";
import { step } from "../lib/step";
import { resolveArtifact } from "../workload/resolveArtifact";

/** Makes sure that the tag, which goes with the resource, is the one that was pushed. */
export async function claimTag({ digest, ...rest }: ArtifactTagInput): Promise<ResolveArtifactOutput> {
    const found = await resolveArtifact(rest);
    if (found.digest === digest) return found;
    throw new StepError(
        `WasmArtifact: ${rest.reference} leads to ${found.digest}, not to ${digest}, which was pushed to it: somebody else pushes ` +
            "to this tag; give each its own",
    );
}

step(module, "claimTag", artifactTagInput, claimTag);
