import { realpath, stat } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import type { BuildModuleInput, BuildModuleOutput } from "../contract";
import { hashOf } from "../node/agent/agent";
import { isMissing, StepError } from "../lib/errors";
import { expandHome, sha256OfFile } from "../lib/files";
import { checkModule, checkSource } from "./modules";
import { run, RunError } from "../lib/run";
import { object, text } from "../lib/schema";
import { progress, step } from "../lib/step";
import { targetOf, type WasiTarget } from "./target";

const input = object<BuildModuleInput>({ source: text });

/**
 * Builds a cargo project's one binary: a WASI preview 1 module, or a WASI 0.2 component where the project's cargo settings say
 * `build.target = "wasm32-wasip2"`. Without a binary it is its one library of the kind `cdylib`, as a server is. Cargo's output lies in the cache, never among the sources.
 */
export async function buildModule({ source }: BuildModuleInput): Promise<BuildModuleOutput> {
    const folder = expandHome(source);
    checkSource(folder);
    const target = targetOf(folder);
    const argv = [
        "cargo",
        "build",
        "--release",
        `--target=${target}`,
        "--locked",
        "--message-format=json-render-diagnostics",
        "--config",
        withoutHome(),
    ];
    let stdout: string;
    try {
        ({ stdout } = await run(argv, {
            cwd: folder,
            env: { CARGO_TARGET_DIR: targetFolder(folder), CARGO_TERM_COLOR: "never" },
            timeoutSeconds: 1800,
            onLine: progress,
        }));
    } catch (error) {
        throw isMissing(error) || !(error instanceof RunError) ? error : buildFailed(folder, target, error);
    }
    const modules = modulesIn(stdout, join(await realpath(folder), "Cargo.toml"), target);
    if (modules.length !== 1) {
        const what =
            modules.length === 0
                ? target === "wasm32-wasip2"
                    ? "no binary and no library of the kind cdylib"
                    : 'no binary (a server is a library of the kind cdylib, with build.target = "wasm32-wasip2" in its .cargo/config.toml)'
                : `several programs (${modules.join(", ")})`;
        throw new StepError(
            `WasmArtifact.source: the project in ${folder} makes ${what}; it must make exactly one`,
        );
    }
    const [file] = modules;
    await checkModule(file);
    return { file, sha256: await sha256OfFile(file), sizeBytes: (await stat(file)).size };
}

/** Cargo's output folder for a project: one for each place of a source, so that two clones do not undo each other's builds. */
export function targetFolder(folder: string, environment: NodeJS.ProcessEnv = process.env): string {
    const cache = environment.XDG_CACHE_HOME || join(homedir(), ".cache");
    return join(cache, "krustlet-stack", "workloads", hashOf(folder).slice(0, 16));
}

/**
 * Keeps the user's folder of crates out of the module, where it would be in the messages of panics: the same source has the same
 * bytes, and so the same digest, on every machine. A project that has flags of its own for its target goes without.
 */
export function withoutHome(environment: NodeJS.ProcessEnv = process.env): string {
    const home = environment.CARGO_HOME || join(homedir(), ".cargo");
    return `build.rustflags=[${JSON.stringify(`--remap-path-prefix=${home}=/cargo`)}]`;
}

/** A message of cargo's. */
interface Message {
    reason?: string;
    executable?: string | null;
    manifest_path?: string;
    target?: { crate_types: string[] };
    filenames?: string[];
}

/**
 * The binaries that cargo's messages (one JSON object a line) tell of; where there is none, the library of the project itself that stands
 * for itself, as that of a server does, which is always a component. Those of its dependencies may be made so too.
 */
export function modulesIn(messages: string, manifest: string, target: WasiTarget): string[] {
    const lines = messages.split("\n").filter((line) => line.startsWith("{"));
    const artifacts = lines
        .map((line) => JSON.parse(line) as Message)
        .filter(({ reason }) => reason === "compiler-artifact");
    const binaries = artifacts.flatMap(({ executable }) => executable ?? []);
    if (binaries.length > 0 || target !== "wasm32-wasip2") return binaries;
    return artifacts
        .filter(({ target, manifest_path: of }) => of === manifest && target?.crate_types.includes("cdylib"))
        .flatMap(({ filenames = [] }) => filenames.filter((file) => file.endsWith(".wasm")));
}

/** Why a build failed; cargo's own words were shown as they came, and its errors are repeated. */
export function buildFailed(folder: string, target: WasiTarget, { result }: RunError): StepError {
    const output = result.stderr.trim();
    if (/target may not be installed|can't find crate for `(core|std)`/.test(output)) {
        return new StepError(
            `WasmArtifact.source: Rust's target ${target} is missing; run \`rustup target add ${target}\``,
        );
    }
    if (/lock file .* (needs to be updated|cannot)|--locked was passed/.test(output)) {
        return new StepError(
            `WasmArtifact.source: the Cargo.lock of ${folder} is missing or does not fit its Cargo.toml; run \`cargo generate-lockfile\` there and keep the file`,
        );
    }
    const from = output.search(/^error/m);
    const words = (from >= 0 ? output.slice(from) : output).split("\n").slice(0, 30).join("\n");
    return new StepError(`WasmArtifact.source: cargo could not build ${folder}:\n${words}`);
}

step(module, "buildModule", input, buildModule);
