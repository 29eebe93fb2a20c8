// What a program depends on: the plugins that its npm packages name, its direct and transitive packages, and the package
// manager that installs them.
import * as fs from "node:fs";
import * as path from "node:path";
import type { PackageManager } from "./options";

interface PackageJson {
    name?: string;
    version?: string;
    dependencies?: Record<string, string>;
    devDependencies?: Record<string, string>;
    pulumi?: {
        resource?: boolean;
        name?: string;
        version?: string;
        server?: string;
        parameterization?: { name: string; version: string; value: string };
    };
}

export interface RequiredPackage {
    name: string;
    /** With the leading `v`. */
    version: string;
    server: string;
    parameterization?: { name: string; version: string; value: string };
}

/** The plugins named by the packages in the program's node_modules, and in those packages' own node_modules. */
export function requiredPackages(programDirectory: string): RequiredPackage[] {
    const found = new Map<string, RequiredPackage>();
    for (const directory of packageDirectories(path.join(programDirectory, "node_modules"), new Set())) {
        const manifest = readJson<PackageJson>(path.join(directory, "package.json"));
        const plugin = manifest && pluginOf(manifest);
        if (plugin) {
            found.set(`${plugin.name}@${plugin.version}@${plugin.parameterization?.name ?? ""}`, plugin);
        }
    }
    return [...found.values()].sort(
        (a, b) => a.name.localeCompare(b.name) || a.version.localeCompare(b.version),
    );
}

/** The plugin that a package.json names, or undefined. A third-party package must say its plugin's name. */
export function pluginOf(manifest: PackageJson): RequiredPackage | undefined {
    const pulumi = manifest.pulumi;
    if (pulumi?.resource !== true) {
        return undefined;
    }
    const name =
        pulumi.name ??
        (manifest.name?.startsWith("@pulumi/") ? manifest.name.slice("@pulumi/".length) : undefined);
    const version = pulumi.version ?? manifest.version;
    if (!name || !version) {
        return undefined;
    }
    return {
        name,
        version: version.startsWith("v") ? version : `v${version}`,
        server: pulumi.server ?? "",
        parameterization: pulumi.parameterization,
    };
}

function packageDirectories(nodeModules: string, visited: Set<string>): string[] {
    let real: string;
    let entries: string[];
    try {
        real = fs.realpathSync(nodeModules);
        entries = fs.readdirSync(real);
    } catch {
        return []; // no such folder: nothing is installed there
    }
    if (visited.has(real)) {
        return [];
    }
    visited.add(real);
    const directories: string[] = [];
    for (const entry of entries) {
        if (entry.startsWith(".")) {
            continue;
        }
        const directory = path.join(real, entry);
        if (entry.startsWith("@")) {
            directories.push(...fs.readdirSync(directory).map((name) => path.join(directory, name)));
        } else {
            directories.push(directory);
        }
    }
    return directories.flatMap((d) => [d, ...packageDirectories(path.join(d, "node_modules"), visited)]);
}

/** The installed packages by package-lock.json: all, or those that package.json itself names. */
export function programDependencies(
    programDirectory: string,
    transitive: boolean,
): { name: string; version: string }[] {
    const lockFile = searchUp(programDirectory, "package-lock.json");
    if (lockFile === undefined) {
        throw new Error(`no package-lock.json found (searching upwards from ${programDirectory})`);
    }
    const lock = readJson<{ packages?: Record<string, { version?: string; link?: boolean }> }>(lockFile);
    const manifest = readJson<PackageJson>(path.join(path.dirname(lockFile), "package.json"));
    const direct = new Set(Object.keys({ ...manifest?.dependencies, ...manifest?.devDependencies }));
    const marker = "node_modules/";
    return Object.entries(lock?.packages ?? {})
        .filter(([location, entry]) => location.includes(marker) && entry.version !== undefined)
        .map(([location, entry]) => ({
            name: location.slice(location.lastIndexOf(marker) + marker.length),
            version: entry.version ?? "",
            top: location.lastIndexOf(marker) === 0,
        }))
        .filter((dependency) => transitive || (dependency.top && direct.has(dependency.name)))
        .map(({ name, version }) => ({ name, version }));
}

/** The package manager that `auto` means: by the lock file that lies in the program's folder, npm without any. */
export function resolvePackageManager(
    choice: PackageManager,
    programDirectory: string,
): Exclude<PackageManager, "auto"> {
    if (choice !== "auto") {
        return choice;
    }
    const has = (file: string): boolean => fs.existsSync(path.join(programDirectory, file));
    if (/^(1|true)$/i.test(process.env.PULUMI_PREFER_YARN ?? "") || has("yarn.lock")) {
        return "yarn";
    }
    if (has("pnpm-lock.yaml")) {
        return "pnpm";
    }
    return has("bun.lock") || has("bun.lockb") ? "bun" : "npm";
}

/** The nearest file of that name in the folder or above it. */
export function searchUp(directory: string, name: string): string | undefined {
    for (let at = path.resolve(directory); ; at = path.dirname(at)) {
        const candidate = path.join(at, name);
        if (fs.existsSync(candidate)) {
            return candidate;
        }
        if (at === path.dirname(at)) {
            return undefined;
        }
    }
}

function readJson<T>(file: string): T | undefined {
    try {
        return JSON.parse(fs.readFileSync(file, "utf8")) as T;
    } catch {
        return undefined; // a folder without a readable package.json is no package
    }
}
