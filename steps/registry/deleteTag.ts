import type { ArtifactTagInput } from "../contract";
import { artifactTagInput } from "./artifactTag";
import { askRegistry, isLoopback } from "./registry";
import { stored } from "../lib/schema";
import { progress, step } from "../lib/step";
import { WasmOciError, wasmOci } from "../lib/wasmOci";
import { resolveArtifact } from "../workload/resolveArtifact";

/**
 * Deletes the tag, while it leads to what was pushed. The artifact itself stays, for others may run it by its digest; but where a
 * registry deletes no tags, wasm-oci deletes the artifact if that has no other tag.
 */
export async function deleteTag({
    reference,
    digest,
    ...access
}: ArtifactTagInput): Promise<Record<string, never>> {
    const registry = reference.split("/")[0];
    // A local registry that has gone has taken its tags along.
    if (isLoopback(registry)) {
        const answer = await askRegistry(registry, access.insecureRegistries.includes(registry), 5);
        if (/ECONNREFUSED/.test(answer.what)) {
            progress(`nothing is deleted in registry ${registry}, which is gone: ${answer.what}`);
            return {};
        }
    }
    try {
        const found = await resolveArtifact({ reference, ...access });
        if (found.digest !== digest) {
            progress(
                `tag ${reference} leads to ${found.digest} by now, which is not of this stack: left alone`,
            );
            return {};
        }
        await wasmOci(
            ["delete", `${reference}@${digest}`],
            access,
            `WasmArtifact: could not delete the tag ${reference} (where the registry allows no deletion, set deleteTag to false and run up first)`,
        );
    } catch (error) {
        if (!(error instanceof WasmOciError && error.notThere)) throw error;
    }
    return {};
}

const needed = stored(
    artifactTagInput,
    "reference",
    "digest",
    "insecureRegistries",
    "trustedCaFile",
    "dockerConfigFile",
);

step(module, "deleteTag", needed, deleteTag);
