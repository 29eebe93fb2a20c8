import { existsSync } from "node:fs";
import type { PushArtifactInput, PushArtifactOutput } from "../contract";
import { StepError } from "../lib/errors";
import { expandHome, sha256OfFile } from "../lib/files";
import { buildModule } from "./buildModule";
import { checkModule } from "./modules";
import { artifactFormat, object, optional, sha256Hex, taggedReference, text } from "../lib/schema";
import { step } from "../lib/step";
import { accessFields, byDigest, digestOf, wasmOci } from "../lib/wasmOci";

const input = object<PushArtifactInput>({
    file: text,
    sha256: sha256Hex,
    source: optional(text),
    reference: taggedReference,
    format: optional(artifactFormat),
    ...accessFields,
    registryInstance: optional(text),
    because: optional(text),
});

/** Pushes a module as an OCI artifact and tells the digest that workloads pin it by. */
export async function pushArtifact({
    file: path,
    sha256,
    source,
    reference,
    format,
    insecureRegistries,
    trustedCaFile,
    dockerConfigFile,
}: PushArtifactInput): Promise<PushArtifactOutput> {
    const given = expandHome(path);
    // Builds are kept in a cache, which may be deleted at any time.
    const file = source !== undefined && !existsSync(given) ? (await buildModule({ source })).file : given;
    await checkModule(file);
    const actual = await sha256OfFile(file);
    if (actual !== sha256) {
        throw new StepError(
            `WasmArtifact: ${file} has SHA-256 ${actual}, not ${sha256} as described; it changed meanwhile: run it again`,
        );
    }
    const command = ["push", file, reference, ...(format === undefined ? [] : [`--format=${format}`])];
    const what = `WasmArtifact: could not push ${file} to ${reference}`;
    return outputOf(
        await wasmOci(command, { insecureRegistries, trustedCaFile, dockerConfigFile }, what),
        reference,
    );
}

/** What `wasm-oci push --json` printed, made sure of. */
export function outputOf(printed: Record<string, unknown>, reference: string): PushArtifactOutput {
    const digest = digestOf(printed, "push");
    const { size } = printed;
    if (typeof size !== "number") throw new StepError("wasm-oci push did not print a size");
    return { digest, reference: byDigest(reference, digest), sizeBytes: size };
}

step(module, "pushArtifact", input, pushArtifact);
