// What a cargo project is built for. Cargo's own way of saying it is used: `build.target` of a .cargo/config.toml, in the
// project's folder or above it.
import { existsSync, readFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { StepError } from "../lib/errors";

/** The targets of programs that a Wasm node runs: modules of WASI preview 1, components of WASI 0.2. */
export const WASI_TARGETS = ["wasm32-wasip1", "wasm32-wasip2"] as const;
export type WasiTarget = (typeof WASI_TARGETS)[number];

const isWasi = (target: string): target is WasiTarget => (WASI_TARGETS as readonly string[]).includes(target);

/** Cargo reads them in this order, and the older name first where both are there. */
const NAMES = [".cargo/config", ".cargo/config.toml"];

/** The target that the project in a folder is built for; wasm32-wasip1 where it says nothing. */
export function targetOf(folder: string): WasiTarget {
    for (const file of configFiles(folder)) {
        const target = targetIn(readFileSync(file, "utf8"));
        if (target === undefined) continue;
        if (isWasi(target)) return target;
        throw new StepError(
            `WasmArtifact.source: ${file} says build.target = ${JSON.stringify(target)}; a Wasm node runs ${WASI_TARGETS.join(" and ")}`,
        );
    }
    return "wasm32-wasip1";
}

/** `build.target` in the text of a .cargo/config.toml, if it is there as one string. */
export function targetIn(config: string): string | undefined {
    let section = "";
    for (const line of config.split("\n")) {
        section = /^\s*\[+\s*([^\]]+?)\s*\]+/.exec(line)?.[1] ?? section;
        const key = section === "build" ? "target" : section === "" ? "build\\s*\\.\\s*target" : undefined;
        const found = key && new RegExp(`^\\s*${key}\\s*=\\s*\\[?\\s*(?:"([^"]*)"|'([^']*)')`).exec(line);
        if (found) return found[1] ?? found[2];
    }
    return undefined;
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
