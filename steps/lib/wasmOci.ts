import { existsSync } from "node:fs";
import { mkdtemp, rm, symlink } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import type { RegistryAccess } from "../contract";
import { isMissing, StepError } from "./errors";
import { expandHome } from "./files";
import { noDockerConfig } from "../registry/logins";
import { needProgram } from "./programs";
import { exceptingLoopback } from "./proxy";
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
        options?: ErrorOptions,
    ) {
        super(message, options);
    }
}

/** The options of wasm-oci that say how to speak to registries. */
export function accessOptions({ insecureRegistries, trustedCaFile }: RegistryAccess): string[] {
    return [
        ...insecureRegistries.map((host) => `--plain-http=${host}`),
        ...(trustedCaFile === undefined ? [] : [`--ca-file=${expandHome(trustedCaFile)}`]),
    ];
}

/** Runs a command of wasm-oci and returns what it printed as JSON. `what` begins the error: `could not push …`. */
export async function wasmOci(
    command: string[],
    access: RegistryAccess,
    what: string,
): Promise<Record<string, unknown>> {
    return withDockerConfig(access.dockerConfigFile, async (env) => {
        const program = await needProgram("wasm-oci", "WasmArtifact");
        const argv = [program, ...command, "--json", ...accessOptions(access)];
        try {
            const { stdout } = await run(argv, {
                env: { ...env, ...exceptingLoopback() },
                timeoutSeconds: 300,
                onLine: progress,
            });
            return JSON.parse(stdout) as Record<string, unknown>;
        } catch (error) {
            if (isMissing(error) || !(error instanceof RunError)) throw error;
            const words = error.result.stderr.trim() || error.reason;
            throw new WasmOciError(`WasmArtifact: ${what}: ${words}`, error.result.exitCode === NOT_THERE, {
                cause: error,
            });
        }
    });
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

/**
 * Runs `use` with the environment in which docker's tools find their config in `file`. They know it by its folder alone, so a
 * file of another name is shown to them under the name that they look for.
 */
export async function withDockerConfig<T>(
    file: string | undefined,
    use: (env: Record<string, string>) => Promise<T>,
): Promise<T> {
    if (file === undefined) return use({});
    const path = expandHome(file);
    if (!existsSync(path)) throw noDockerConfig(file);
    if (basename(path) === "config.json") return use({ DOCKER_CONFIG: dirname(path) });
    const folder = await mkdtemp(join(tmpdir(), "krustlet-stack-docker-"));
    try {
        await symlink(path, join(folder, "config.json"));
        return await use({ DOCKER_CONFIG: folder });
    } finally {
        await rm(folder, { recursive: true, force: true });
    }
}
