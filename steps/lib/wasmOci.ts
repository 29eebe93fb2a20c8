import type { RegistryAccess } from "../contract";
import { isMissing, StepError } from "./errors";
import { expandHome } from "./files";
import { needProgram } from "./programs/programs";
import { run, RunError } from "./run";
import { optional, registries, text, type Fields } from "./schema";
import { progress } from "./step";

/** The fields of every input that a registry is spoken to with. */
export const accessFields: Fields<RegistryAccess> = {
    insecureRegistries: registries,
    trustedCaFile: optional(text),
    dockerConfigFile: optional(text),
};

/** wasm-oci's exit code for what the registry does not have. */
const NOT_THERE = 3;

/** What wasm-oci could not do. */
export class WasmOciError extends StepError {
    constructor(
        message: string,
        /** Whether the registry answered that it has no such thing. */
        readonly notThere: boolean,
    ) {
        super(message);
    }
}

/** The options of wasm-oci that say how to speak to registries. */
export function accessOptions({
    insecureRegistries,
    trustedCaFile,
    dockerConfigFile,
}: RegistryAccess): string[] {
    return [
        ...insecureRegistries.map((host) => `--plain-http=${host}`),
        ...(trustedCaFile === undefined ? [] : [`--ca-file=${expandHome(trustedCaFile)}`]),
        ...(dockerConfigFile === undefined ? [] : [`--registry-config=${expandHome(dockerConfigFile)}`]),
    ];
}

/**
 * Runs a command of wasm-oci and returns what it printed as JSON. `what` begins the error: `WasmArtifact: could not push …`. No
 * error repeats what was printed, which may be logins.
 */
export async function wasmOci(
    command: string[],
    access: RegistryAccess,
    what: string,
    timeoutSeconds = 300,
): Promise<Record<string, unknown>> {
    const program = await needProgram("wasm-oci", what.split(":")[0]);
    const argv = [program, ...command, "--json", ...accessOptions(access)];
    let stdout: string;
    try {
        const printed = await run(argv, { timeoutSeconds });
        stdout = printed.stdout;
        // What it says when it fails is in the error.
        if (printed.stderr.trim() !== "") progress(printed.stderr.trim());
    } catch (error) {
        if (isMissing(error) || !(error instanceof RunError)) throw error;
        const words = error.result.stderr.trim() || error.reason;
        throw new WasmOciError(`${what}: ${words}`, error.result.exitCode === NOT_THERE);
    }
    try {
        return JSON.parse(stdout) as Record<string, unknown>;
    } catch {
        throw new StepError(`${what}: wasm-oci did not print JSON (${stdout.length} characters)`);
    }
}

/** The digest that wasm-oci printed, made sure of. */
export function digestOf(output: Record<string, unknown>, command: string): string {
    const { digest } = output;
    if (typeof digest === "string" && /^sha256:[0-9a-f]{64}$/.test(digest)) return digest;
    throw new StepError(
        `wasm-oci ${command} did not print a digest: ${JSON.stringify(output).slice(0, 200)}`,
    );
}

/** `registry/repository@sha256:…` of a reference with a tag or a digest. */
export function byDigest(reference: string, digest: string): string {
    const repository = reference.replace(/@.*$/, "").replace(/:[^:/]*$/, "");
    return `${repository}@${digest}`;
}
