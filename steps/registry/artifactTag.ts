import type { ArtifactTagInput } from "../contract";
import { matching, object } from "../lib/schema";
import { accessFields, taggedReference } from "../lib/wasmOci";

/** Input of claimTag and deleteTag. */
export const artifactTagInput = object<ArtifactTagInput>({
    reference: taggedReference,
    digest: matching(/^sha256:[0-9a-f]{64}$/, "a digest, sha256: and 64 hex digits"),
    ...accessFields,
});
