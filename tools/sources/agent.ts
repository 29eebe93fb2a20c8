import { closeSync, openSync, writeSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { ownPrograms } from "../../steps/lib/programs/build";
import { run, RunError } from "../../steps/lib/run";
import { buildingIn } from "./cargoTarget";
import { cached, cacheKey } from "../../common/cache";
import type { Progress, Reporter } from "../../common/report";
import { ROOT } from "../../common/root";

/** The Rust workspace of this clone. */
export const WORKSPACE = path.join(ROOT, "krustlet");

/** Names of the files that a build of the workspace reads, relative to it. */
async function sources(): Promise<string[]> {
    const found: string[] = [];
    const walk = async (dir: string) => {
        for (const entry of await fs.readdir(path.join(WORKSPACE, dir), { withFileTypes: true })) {
            const name = path.join(dir, entry.name);
            if (entry.isDirectory()) {
                if (entry.name !== "target" && entry.name !== "tests") await walk(name);
            } else if (/\.(rs|toml|lock|proto|json|wat|wasm)$/.test(entry.name)) {
                found.push(name);
            }
        }
    };
    await walk("");
    return found;
}

/** Where the built programs are kept: the same sources, lock file, compiler and flags give the same entry. */
export async function agentCacheEntry(rustcText: string): Promise<{ name: string; key: string }> {
    const values = [rustcText, process.platform, process.arch, process.env.RUSTFLAGS ?? ""];
    return { name: "krustlet", key: await cacheKey(values, WORKSPACE, await sources()) };
}

/** `123 of 456 crates: tokio`, from a line of cargo's progress bar; undefined for any other line. */
export function cargoProgress(line: string): string | undefined {
    // eslint-disable-next-line no-control-regex -- the bar comes with terminal colours
    const match = /(\d+)\/(\d+)(?::\s*(.*))?$/.exec(line.replace(/\x1b\[[0-9;]*[A-Za-z]/g, "").trim());
    if (!match || !line.includes("Building")) return undefined;
    const crates = match[3] ? `: ${match[3].replace(/\.{3}$/, "")}` : "";
    return `${match[1]} of ${match[2]} crates${crates}`;
}

/**
 * Builds the programs, and returns the folder in the cache that holds them.
 */
export async function buildAgent(rustcText: string, logDir: string, report: Reporter): Promise<string> {
    const { name, key } = await agentCacheEntry(rustcText);
    return cached(name, key, async (dir) => {
        const progress = report.start(`${ownPrograms.join(", ")}, built with cargo`);
        const logFile = path.join(logDir, "cargo.log");
        const log = openSync(logFile, "w", 0o600);
        try {
            await buildingIn(WORKSPACE, async (targetDir) => {
                await cargoBuild(targetDir, progress, (line) => writeSync(log, `${line}\n`));
                for (const program of ownPrograms) {
                    await fs.copyFile(path.join(targetDir, "release", program), path.join(dir, program));
                }
            });
            progress.done();
        } catch (error) {
            progress.fail(`see ${logFile}`);
            const why = error instanceof RunError ? error.reason : String(error);
            throw new Error(`The build of krustlet/ with cargo failed (${why}). Its output: ${logFile}`, {
                cause: error,
            });
        } finally {
            closeSync(log);
        }
    });
}

async function cargoBuild(
    targetDir: string,
    progress: Progress,
    log: (line: string) => unknown,
): Promise<void> {
    // The whole workspace, as the tests do: another selection would unify features in another way and compile Wasmtime twice.
    const programs = ownPrograms.flatMap((program) => ["--bin", program]);
    await run(["cargo", "build", "--release", "--locked", "--workspace", ...programs], {
        cwd: WORKSPACE,
        env: {
            CARGO_TARGET_DIR: targetDir,
            CARGO_TERM_PROGRESS_WHEN: "always",
            CARGO_TERM_PROGRESS_WIDTH: "200",
            CARGO_TERM_COLOR: "never",
        },
        timeoutSeconds: 3600,
        onLine: (line) => {
            const state = cargoProgress(line);
            if (state !== undefined) progress.update(state);
            else if (line.includes("Blocking waiting"))
                progress.update("another cargo is at work, waiting for it");
            else if (line.trim() !== "") log(line);
        },
    });
}
