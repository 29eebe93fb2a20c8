// What a cargo project is built for. Cargo's own way of saying it is used: `build.target` of a .cargo/config.toml, in the
// project's folder or above it.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { StepError } from "../lib/errors";
import { parseToml, tableAt } from "./toml";

/** The targets of programs that a Wasm node runs: modules of WASI preview 1, components of WASI 0.2. */
export const WASI_TARGETS = ["wasm32-wasip1", "wasm32-wasip2"] as const;
export type WasiTarget = (typeof WASI_TARGETS)[number];

const isWasi = (target: string): target is WasiTarget => (WASI_TARGETS as readonly string[]).includes(target);

/** Cargo reads them in this order, and the older name first where both are there. */
const NAMES = [".cargo/config", ".cargo/config.toml"];

/**
 * The target that the project in a folder is built for; wasm32-wasip1 where nothing says it. As with cargo, `CARGO_BUILD_TARGET`
 * comes before its settings.
 */
export function targetOf(folder: string, environment: NodeJS.ProcessEnv = process.env): WasiTarget {
    const set = environment.CARGO_BUILD_TARGET;
    if (set) return wasiTarget([set], "the environment says CARGO_BUILD_TARGET");
    for (const file of configFiles(folder)) {
        const targets = targetsIn(readFileSync(file, "utf8"), file);
        if (targets !== undefined) return wasiTarget(targets, `${file} says build.target`);
    }
    return "wasm32-wasip1";
}

function wasiTarget(targets: string[], where: string): WasiTarget {
    const [target] = targets;
    if (targets.length === 1 && isWasi(target)) return target;
    const given = JSON.stringify(targets.length === 1 ? target : targets);
    throw new StepError(
        `WasmArtifact.source: ${where} = ${given}; a Wasm node runs ${WASI_TARGETS.join(" and ")}, and one of them is built`,
    );
}

/** `build.target` in the text of a .cargo/config.toml, which may be one or several; undefined: it says nothing. */
export function targetsIn(config: string, file = ".cargo/config.toml"): string[] | undefined {
    const { target } = tableAt(parseToml(config, file), "build");
    if (target === undefined) return undefined;
    const targets: unknown[] = Array.isArray(target) ? target : [target];
    return targets.length === 0 ? undefined : targets.map(String);
}

/** The cargo settings that hold for a folder, those that win first. What lies above the repository is the machine's, not the project's. */
function configFiles(folder: string): string[] {
    const found: string[] = [];
    for (let here = folder; ; here = dirname(here)) {
        const name = NAMES.find((one) => existsSync(join(here, one)));
        if (name !== undefined) found.push(join(here, name));
        if (existsSync(join(here, ".git")) || dirname(here) === here) return found;
    }
}
