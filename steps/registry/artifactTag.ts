import type { ArtifactTagInput } from "../contract";
import { digest, object, taggedReference } from "../lib/schema";
import { accessFields } from "../lib/wasmOci";

/** Input of claimTag and deleteTag. */
export const artifactTagInput = object<ArtifactTagInput>({
    reference: taggedReference,
    digest,
    ...accessFields,
});
