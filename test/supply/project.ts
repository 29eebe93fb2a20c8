import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { run } from "../../steps/lib/run";
import { ROOT } from "../../common/root";
import { parseCargoLock, parseDenyToml, type CargoPackage } from "./cargo";
import type { NpmLock, NpmManifest, NpmPolicy } from "./npm";
import { NPM_DEPRECATED, NPM_LICENCES, NPM_LICENCES_READ, NPM_SCRIPTS } from "./policy";

/** Text of a file of the project. */
export const read = (...names: string[]) => readFileSync(path.join(ROOT, ...names), "utf8");

export const denyToml = parseDenyToml(read("krustlet/deny.toml"));

export const packageJson = JSON.parse(read("package.json")) as NpmManifest;
export const packageLock = JSON.parse(read("package-lock.json")) as NpmLock;
export const npmPolicy: NpmPolicy = {
    licences: [...denyToml.allow, ...NPM_LICENCES],
    licencesRead: NPM_LICENCES_READ,
    scripts: NPM_SCRIPTS,
    deprecated: NPM_DEPRECATED,
};

const folders = (...names: string[]) =>
    readdirSync(path.join(ROOT, ...names), { withFileTypes: true, recursive: true });

/** Folders that hold a file of this name, relative to the project, below one of its folders. */
function holding(file: string, below: string): string[] {
    return folders(below)
        .filter((entry) => entry.isFile() && entry.name === file)
        .map((entry) => path.relative(ROOT, entry.parentPath))
        .filter((folder) => !/(^|\/)(target|node_modules)(\/|$)/.test(folder))
        .sort();
}

/**
 * Every Cargo workspace, which is what has a lock file: the node agent's, that of its tests' guests, and the workloads', most of
 * them projects of their own.
 */
export const cargoWorkspaces = [
    "krustlet",
    ...holding("Cargo.lock", "krustlet/runtime/tests"),
    ...holding("Cargo.lock", "workloads"),
];

/** Every Go module: those that pin what the air-gapped builds are made from, our own programs, and the tests' tools. */
export const goFolders = [...holding("go.mod", "airgap"), ...holding("go.mod", "test")];

/** The crates of a workspace's lock file. */
export const lockedCrates = (workspace: string) => parseCargoLock(read(workspace, "Cargo.lock"));

/** What cargo knows of a workspace's crates on the platforms of deny.toml. Fails if lock file and manifests differ. */
export async function cargoMetadata(workspace: string): Promise<CargoPackage[]> {
    const platforms = denyToml.targets.flatMap((target) => ["--filter-platform", target]);
    const argv = ["cargo", "metadata", "--locked", "--all-features", "--format-version", "1", ...platforms];
    const { stdout } = await run(argv, { cwd: path.join(ROOT, workspace), timeoutSeconds: 300 });
    return (JSON.parse(stdout) as { packages: CargoPackage[] }).packages;
}
