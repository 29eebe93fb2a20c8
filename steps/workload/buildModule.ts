import { stat } from "node:fs/promises";
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
 * `build.target = "wasm32-wasip2"`. Cargo's output lies in the cache, never among the sources.
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
    const modules = modulesIn(stdout);
    if (modules.length !== 1) {
        const what =
            modules.length === 0 ? "no binary" : `${modules.length} binaries (${modules.join(", ")})`;
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

/** The binaries that cargo's messages (one JSON object a line) tell of. */
export function modulesIn(messages: string): string[] {
    return messages.split("\n").flatMap((line) => {
        if (!line.startsWith("{")) return [];
        const message = JSON.parse(line) as { reason?: string; executable?: string | null };
        return message.reason === "compiler-artifact" && message.executable ? [message.executable] : [];
    });
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
