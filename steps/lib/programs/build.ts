import { createHash } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { copyFile, mkdir, readdir, readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { isErrno, StepError } from "../errors";
import { cacheFolder, packageFolder } from "./package";
import { processOf } from "../processes";
import { run, RunError } from "../run";
import { pause, progress } from "../step";

/** The programs that this package has the sources of. */
export const ownPrograms: readonly string[] = [
    "krustlet-wasi",
    "krustlet-approver",
    "krustlet-supervisor",
    "wasm-oci",
];

const workspace = join(packageFolder, "krustlet");

/** Whether the sources are there. */
export function canBuild(): boolean {
    return existsSync(join(workspace, "Cargo.lock"));
}

/** Where the programs of these sources are once they are built. */
export async function builtFolder(): Promise<string> {
    return join(cacheFolder(), "programs", await sourcesKey());
}

/** What a build reads: the crates without their tests. */
async function sourcesKey(): Promise<string> {
    const hash = createHash("sha256").update(`${process.platform}-${process.arch}`);
    const names = canBuild() ? await readdir(workspace, { recursive: true }) : [];
    const read = names.filter((name) => /(^|\/)(Cargo\.(toml|lock)|src\/.*\.\w+)$/.test(name)).sort();
    for (const name of read) hash.update(`\0${name}\0`).update(readFileSync(join(workspace, name)));
    return hash.digest("hex").slice(0, 16);
}

/** Builds the programs with cargo into the user's cache, once for all who ask at the same time; returns their folder. */
export async function buildPrograms(): Promise<string> {
    const folder = await builtFolder();
    const lock = `${folder}.lock`;
    await mkdir(join(cacheFolder(), "programs"), { recursive: true });
    while (!existsSync(folder)) {
        if (await take(lock)) {
            try {
                await buildInto(folder);
            } finally {
                await rm(lock, { force: true });
            }
        } else await pause(500);
    }
    return folder;
}

/** Whether the lock is now this process's. One whose holder has ended is removed. */
async function take(lock: string): Promise<boolean> {
    try {
        await writeFile(lock, String(process.pid), { flag: "wx" });
        return true;
    } catch (error) {
        if (!isErrno(error, "EEXIST")) throw error;
        const holder = Number(await readFile(lock, "utf8").catch(() => ""));
        if (holder > 0 && processOf(holder) === undefined) await rm(lock, { force: true });
        return false;
    }
}

async function buildInto(folder: string): Promise<void> {
    const target = process.env.CARGO_TARGET_DIR ?? `${folder}.target`;
    const partial = `${folder}.partial`;
    progress(`building ${ownPrograms.join(", ")} with cargo, once: this takes minutes`);
    let crates = 0;
    try {
        const programs = ownPrograms.flatMap((program) => ["--bin", program]);
        await run(["cargo", "build", "--release", "--locked", ...programs], {
            cwd: workspace,
            env: { CARGO_TARGET_DIR: target },
            timeoutSeconds: 3600,
            onLine: (line) => {
                const crate = /^ *Compiling (\S+)/.exec(line)?.[1];
                if (crate === undefined) progress(line);
                else if (++crates % 25 === 0) progress(`cargo: ${crates} crates, now ${crate}`);
            },
        });
        await rm(partial, { recursive: true, force: true });
        await mkdir(partial);
        for (const program of ownPrograms)
            await copyFile(join(target, "release", program), join(partial, program));
        await rename(partial, folder);
        if (target !== process.env.CARGO_TARGET_DIR) await rm(target, { recursive: true, force: true });
    } catch (error) {
        if (!(error instanceof RunError)) throw error;
        throw new StepError(
            `cargo could not build ${ownPrograms.join(", ")} from ${workspace} (Rust 1.95 or later is needed); put them on PATH, or mend:\n${error.message}`,
            { cause: error },
        );
    }
}
