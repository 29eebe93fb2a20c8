import type { PushArtifactInput, PushArtifactOutput } from "./contract";
import { isMissing, StepError } from "./lib/errors";
import { expandHome, sha256OfFile } from "./lib/files";
import { checkModule } from "./lib/modules";
import { run, RunError } from "./lib/run";
import { list, matching, object, registry, sha256Hex, text } from "./lib/schema";
import { progress, step } from "./lib/step";

const input = object<PushArtifactInput>({
    file: text,
    sha256: sha256Hex,
    reference: matching(
        /^[A-Za-z0-9][\w.-]*(:\d+)?\/[a-z0-9][a-z0-9._/-]*:\w[\w.-]{0,127}$/,
        "registry/repository:tag, the repository in lower case",
    ),
    insecureRegistries: list(registry),
});

/** Pushes a module as an OCI artifact and tells the digest that workloads pin it by. */
export async function pushArtifact(given: PushArtifactInput): Promise<PushArtifactOutput> {
    const file = expandHome(given.file);
    await checkModule(file);
    const actual = await sha256OfFile(file);
    if (actual !== given.sha256) {
        throw new StepError(
            `WasmArtifact: ${file} has SHA-256 ${actual}, not ${given.sha256} as described; it changed meanwhile: run it again`,
        );
    }
    const argv = ["wasm-oci", "push", file, given.reference, "--json"];
    argv.push(...given.insecureRegistries.map((host) => `--plain-http=${host}`));
    try {
        const { stdout } = await run(argv, { timeoutSeconds: 300, onLine: progress });
        return outputOf(stdout, given.reference);
    } catch (error) {
        if (isMissing(error) || !(error instanceof RunError)) throw error;
        const words = error.result.stderr.trim() || error.reason;
        throw new StepError(`WasmArtifact: could not push ${file} to ${given.reference}: ${words}`);
    }
}

/** What `wasm-oci push --json` printed, made sure of. */
export function outputOf(stdout: string, reference: string): PushArtifactOutput {
    const { digest, size } = JSON.parse(stdout) as { digest?: unknown; size?: unknown };
    if (typeof digest !== "string" || !/^sha256:[0-9a-f]{64}$/.test(digest) || typeof size !== "number") {
        throw new StepError(
            `wasm-oci push did not print a digest and a size: ${stdout.trim().slice(0, 200)}`,
        );
    }
    const repository = reference.slice(0, reference.lastIndexOf(":"));
    return { digest, reference: `${repository}@${digest}`, sizeBytes: size };
}

step(module, "pushArtifact", input, pushArtifact);
