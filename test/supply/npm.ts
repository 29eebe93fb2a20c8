import { licenceFits } from "./spdx";

/** The parts of a package.json that name other packages. */
export interface NpmManifest {
    dependencies?: Record<string, string>;
    devDependencies?: Record<string, string>;
    optionalDependencies?: Record<string, string>;
    peerDependencies?: Record<string, string>;
}

const KINDS = ["dependencies", "devDependencies", "optionalDependencies", "peerDependencies"] as const;

/** One exact version: no range, no tag, no address. */
const EXACT = /^\d+\.\d+\.\d+(-[0-9A-Za-z.-]+)?(\+[0-9A-Za-z.-]+)?$/;

/** What package.json names without one exact version. What a user of the package brings along is tested in one such version. */
export function manifestFindings(manifest: NpmManifest): string[] {
    const pinned = KINDS.filter((kind) => kind !== "peerDependencies").flatMap((kind) =>
        Object.entries(manifest[kind] ?? {})
            .filter(([, version]) => !EXACT.test(version))
            .map(([name, version]) => `package.json: ${kind}.${name} is "${version}", not one exact version`),
    );
    const peers = Object.entries(manifest.peerDependencies ?? {})
        .filter(([name, range]) => !inRange(manifest.devDependencies?.[name] ?? "", range))
        .map(
            ([name, range]) =>
                `package.json: peerDependencies.${name} is "${range}"; it must be ^ and a version up to that of devDependencies`,
        );
    return [...pinned, ...peers];
}

/** Whether a version is in a range of the form `^1.2.3`. */
function inRange(version: string, range: string): boolean {
    const [lowest, tested] = [range.replace(/^\^/, ""), version].map((text) => text.split(".").map(Number));
    if (!range.startsWith("^") || !EXACT.test(version) || tested[0] !== lowest[0]) return false;
    return tested[1] > lowest[1] || (tested[1] === lowest[1] && tested[2] >= lowest[2]);
}

/** A package of package-lock.json, by its folder. */
export interface NpmLocked extends NpmManifest {
    version?: string;
    resolved?: string;
    integrity?: string;
    license?: string;
    link?: boolean;
    hasInstallScript?: boolean;
    deprecated?: string;
}

export interface NpmLock {
    lockfileVersion: number;
    packages: Record<string, NpmLocked>;
}

/** What is let in. */
export interface NpmPolicy {
    licences: readonly string[];
    licencesRead: Readonly<Record<string, string>>;
    scripts: readonly string[];
    deprecated: readonly string[];
}

const REGISTRY = "https://registry.npmjs.org/";

/** `@a/b` of `node_modules/x/node_modules/@a/b`. */
export function packageName(folder: string): string {
    return folder.slice(folder.lastIndexOf("node_modules/") + "node_modules/".length);
}

/** Packages of a lock file by name and version, each once. */
export function lockedPackages(lock: NpmLock): { name: string; version: string }[] {
    const found = new Map<string, { name: string; version: string }>();
    for (const [folder, { version }] of Object.entries(lock.packages)) {
        if (folder === "" || version === undefined) continue;
        const name = packageName(folder);
        found.set(`${name}@${version}`, { name, version });
    }
    return [...found.values()];
}

/** What is wrong with package-lock.json: content that is not pinned, other sources, licences, scripts, deprecations. */
export function npmLockFindings(lock: NpmLock, manifest: NpmManifest, policy: NpmPolicy): string[] {
    const findings: string[] = [];
    if (lock.lockfileVersion !== 3)
        findings.push(`package-lock.json: version ${lock.lockfileVersion}, not 3`);
    for (const kind of KINDS) {
        const [asked, locked] = [manifest[kind] ?? {}, lock.packages[""]?.[kind] ?? {}];
        for (const name of new Set([...Object.keys(asked), ...Object.keys(locked)])) {
            if (asked[name] !== locked[name])
                findings.push(
                    `package-lock.json: ${kind}.${name} is ${locked[name] ?? "absent"}; package.json says ${asked[name] ?? "nothing of it"}`,
                );
        }
    }
    const allowed = new Set(policy.licences);
    const scripts = new Set<string>();
    const deprecated = new Set<string>();
    for (const [folder, entry] of Object.entries(lock.packages)) {
        if (folder === "") continue;
        const name = packageName(folder);
        const say = (what: string) => findings.push(`npm package ${name} ${entry.version ?? ""}: ${what}`);
        if (!EXACT.test(entry.version ?? "")) say("no exact version");
        if (entry.link === true) say("a link to a folder");
        // Without an address it comes from the registry that npm is set to, and the hash decides all the same.
        if (entry.resolved !== undefined && !entry.resolved.startsWith(REGISTRY))
            say(`comes from ${entry.resolved}; allowed: ${REGISTRY}`);
        // sha512 alone: npm takes the strongest of several, and sha1 is none.
        if (!/^sha512-[A-Za-z0-9+/]{86}==$/.test(entry.integrity ?? "")) say("no sha512 integrity hash");
        const licence = policy.licencesRead[name] ?? entry.license;
        if (licence === undefined || !licenceFits(licence, allowed))
            say(`licence ${licence ?? "unknown"} is not allowed`);
        if (entry.hasInstallScript === true) scripts.add(name);
        if (entry.deprecated !== undefined) deprecated.add(name);
    }
    const compare = (what: string, found: Set<string>, listed: readonly string[]) => {
        for (const name of found)
            if (!listed.includes(name))
                findings.push(`npm package ${name}: ${what}, which policy.ts does not list`);
        for (const name of listed)
            if (!found.has(name))
                findings.push(`npm package ${name}: policy.ts lists it as one that ${what}; it is none`);
    };
    compare("has an install script", scripts, policy.scripts);
    compare("is deprecated", deprecated, policy.deprecated);
    return findings;
}

/** Whether a program's text installs npm packages in any other way than from the lock file and without their scripts. */
export function installFindings(file: string, text: string): string[] {
    const calls = [...text.matchAll(/["'`]npm["'`],\s*\[([^\]]*)\]/g)].map((match) => match[1]);
    const installs = calls.filter((call) => /["'`](ci|install|i|add|update)["'`]/.test(call));
    return installs.flatMap((call) => [
        ...(/["'`]ci["'`]/.test(call) ? [] : [`${file}: npm without \`ci\`: the lock file does not decide`]),
        ...(call.includes("--ignore-scripts") ? [] : [`${file}: npm without --ignore-scripts`]),
    ]);
}
