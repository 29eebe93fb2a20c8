import { createHash } from "node:crypto";
import { existsSync, type Stats } from "node:fs";
import { open, readdir, readFile, readlink, realpath, stat } from "node:fs/promises";
import { basename, dirname, join, relative, resolve } from "node:path";
import type { DescribeModuleInput, DescribeModuleOutput } from "../contract";
import { isErrno, StepError } from "../lib/errors";
import { expandHome, sha256OfFile } from "../lib/files";
import { object, optional, text } from "../lib/schema";
import { targetOf } from "./target";
import { parseToml, tableAt, type TomlTable } from "./toml";

/** Input of describeModule, and of each module in preflight. */
export const describeModuleInput = object<DescribeModuleInput>({
    file: optional(text),
    source: optional(text),
});

/** Describes the file, or the sources, that a module comes from. */
export async function describe({ file, source }: DescribeModuleInput): Promise<DescribeModuleOutput> {
    if ((file === undefined) === (source === undefined)) {
        const given = file === undefined ? "neither" : "both";
        throw new StepError(
            `WasmArtifact: give exactly one of file (a .wasm) and source (a cargo project); ${given} was given`,
        );
    }
    if (file !== undefined) {
        await checkModule(expandHome(file));
        return { sha256: await sha256OfFile(expandHome(file)) };
    }
    return { sha256: await hashOfSources(expandHome(source ?? "")) };
}

/** Fails unless a file is a WebAssembly module or component, by its first eight bytes. */
export async function checkModule(file: string): Promise<void> {
    const head = await firstBytes(file);
    const fault = moduleFault(head);
    if (fault) throw new StepError(`WasmArtifact.file: ${file} ${fault}`);
}

/** What keeps a file of these first bytes from being a module or component; undefined: nothing. */
export function moduleFault(head: Buffer): string | undefined {
    if (head.length === 0) return "is empty; it must be a WebAssembly module";
    if (head.subarray(0, 4).toString("latin1") !== "\0asm") {
        const what =
            head.subarray(0, 5).toString("latin1") === "(modu"
                ? " (it is in text form: `wat2wasm` translates it)"
                : "";
        return `is no WebAssembly: it does not begin with \\0asm${what}; build one with \`cargo build --target wasm32-wasip1\` or wasm32-wasip2`;
    }
    // Version and layer, 16 bits each: layer 0 is a module (version 1), layer 1 a component, whose version the node reads.
    const isComponent = head.length >= 8 && head.readUInt16LE(6) === 1;
    if (!isComponent && (head.length < 8 || head.readUInt32LE(4) !== 1))
        return "is no WebAssembly module of version 1, or is cut off";
    return undefined;
}

async function firstBytes(file: string): Promise<Buffer> {
    try {
        const found = await stat(file);
        if (!found.isFile() && !found.isDirectory())
            throw new StepError(`WasmArtifact.file: ${file} is ${kindOf(found)}; it must be a .wasm file`);
        const handle = await open(file);
        try {
            const { buffer, bytesRead } = await handle.read(Buffer.alloc(8), 0, 8, 0);
            return buffer.subarray(0, bytesRead);
        } finally {
            await handle.close();
        }
    } catch (error) {
        if (isErrno(error, "ENOENT")) throw new StepError(`WasmArtifact.file: ${file} does not exist`);
        if (isErrno(error, "EISDIR"))
            throw new StepError(`WasmArtifact.file: ${file} is a folder; for a cargo project give source`);
        throw error;
    }
}

/** Fails unless the folder is a cargo project. */
export function checkSource(folder: string): void {
    if (!existsSync(join(folder, "Cargo.toml"))) {
        throw new StepError(
            `WasmArtifact.source: ${folder} has no Cargo.toml; it must be the folder of a cargo project`,
        );
    }
}

/**
 * Hash of everything that a build of the project reads: its files and those of its path dependencies, and the lock file and
 * settings of the workspace around them. Names are relative to the project: another place of the same clone has the same hash.
 */
export async function hashOfSources(folder: string): Promise<string> {
    checkSource(folder);
    const around = surroundings(folder);
    const files = new Set(around);
    // What a workspace lends its members (`name.workspace = true`) is named in its own manifest: all of it counts.
    const lent = around.filter((file) => basename(file) === "Cargo.toml").map(dirname);
    const folders = [folder];
    for (const workspace of lent) folders.push(...(await dependencyFolders(workspace)));
    // Grows while it is walked: a dependency has dependencies.
    for (const one of folders) {
        for (const file of await filesIn(one)) files.add(file);
        for (const dependency of await dependencyFolders(one))
            if (!folders.includes(dependency)) folders.push(dependency);
    }

    const hash = createHash("sha256").update(`${targetOf(folder)}\n`);
    const named = [...files].map((file) => ({ file, name: relative(folder, file) }));
    for (const { file, name } of named.sort((a, b) => (a.name < b.name ? -1 : 1))) {
        hash.update(`${name}\0${await contentHash(file)}\n`);
    }
    return hash.digest("hex");
}

/** Folders of the path dependencies that the manifest in a folder names. */
async function dependencyFolders(folder: string): Promise<string[]> {
    const file = join(folder, "Cargo.toml");
    return pathDependencies(await readFile(file, "utf8"), file)
        .map((path) => resolve(folder, path))
        .filter((path) => existsSync(join(path, "Cargo.toml")));
}

async function contentHash(file: string): Promise<string> {
    try {
        return await sha256OfFile(file);
    } catch (error) {
        // A link that leads nowhere: where it points is what there is to know of it.
        if (isErrno(error, "ENOENT")) return `-> ${await readlink(file)}`;
        throw error;
    }
}

/**
 * Files below a folder, without what cargo and git keep there for themselves. Links are followed as cargo follows them; `above` are
 * the real paths of the folders around this one, which a link may lead back to. What is neither file nor folder is refused: whoever
 * reads a pipe waits for ever.
 */
async function filesIn(folder: string, above: string[] = []): Promise<string[]> {
    const real = await realpath(folder);
    if (above.includes(real)) return [];
    const entries = await readdir(folder);
    // Cargo and other tools mark their output with this file: https://bford.info/cachedir/
    if (entries.includes("CACHEDIR.TAG")) return [];
    const below = await Promise.all(
        entries.map(async (name) => {
            const path = join(folder, name);
            const found = await stat(path).catch(() => undefined);
            if (found === undefined || found.isFile()) return [path];
            if (found.isDirectory()) return name === ".git" ? [] : filesIn(path, [...above, real]);
            throw new StepError(
                `WasmArtifact.source: ${path} is ${kindOf(found)}, and only files and folders can be built from; move it out of the project`,
            );
        }),
    );
    return below.flat();
}

/** What a thing is that is neither file nor folder. */
function kindOf(found: Stats): string {
    if (found.isFIFO()) return "a named pipe (FIFO)";
    return found.isSocket() ? "a socket" : "a device";
}

/** Folders of the path dependencies in the text of a Cargo.toml: of the build, for any target, and what a workspace lends. */
export function pathDependencies(manifest: string, file = "Cargo.toml"): string[] {
    const whole = parseToml(manifest, file);
    const of = (table: TomlTable, keys: string[]) => keys.map((key) => tableAt(table, key));
    const below = (table: TomlTable) => of(table, Object.keys(table));
    const kinds = ["dependencies", "build-dependencies"];
    const tables = [
        ...of(whole, kinds),
        ...below(tableAt(whole, "target")).flatMap((target) => of(target, kinds)),
        tableAt(tableAt(whole, "workspace"), "dependencies"),
        ...below(tableAt(whole, "patch")),
    ];
    return tables
        .flatMap(below)
        .map(({ path }) => path)
        .filter((path) => typeof path === "string");
}

/** Files above a project that its build reads too: the workspace's manifest and lock, toolchain and cargo settings. */
function surroundings(folder: string): string[] {
    const found: string[] = [];
    let above = dirname(folder);
    for (let below = folder; above !== below; below = above, above = dirname(above)) {
        // A manifest above matters to a project that is of its workspace; one without a lock of its own is.
        const workspace = existsSync(join(folder, "Cargo.lock")) ? [] : ["Cargo.toml", "Cargo.lock"];
        const names = [
            ...workspace,
            "rust-toolchain.toml",
            "rust-toolchain",
            ".cargo/config.toml",
            ".cargo/config",
        ];
        found.push(...names.map((name) => join(above, name)).filter((path) => existsSync(path)));
        if (existsSync(join(above, ".git"))) break;
    }
    return found;
}
