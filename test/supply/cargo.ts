import { licenceFits } from "./spdx";

/** A `[[package]]` of a Cargo.lock. */
export interface LockedCrate {
    name: string;
    version: string;
    /** `registry+https://…`, `git+https://…`; unset: a folder of ours. */
    source?: string;
    /** SHA-256 (hex) of the `.crate` file. */
    checksum?: string;
}

/** The crates of a Cargo.lock: cargo writes it, one `key = "value"` a line. */
export function parseCargoLock(text: string): LockedCrate[] {
    return text
        .split(/^\[\[package\]\]$/m)
        .slice(1)
        .map((block) => {
            const value = (key: string) => new RegExp(`^${key} = "(.*)"$`, "m").exec(block)?.[1];
            const [name, version] = [value("name"), value("version")];
            if (name === undefined || version === undefined)
                throw new Error("Cargo.lock: a package without name or version");
            const [source, checksum] = [value("source"), value("checksum")];
            return { name, version, ...(source && { source }), ...(checksum && { checksum }) };
        });
}

/** What krustlet/deny.toml says, as far as it is checked without cargo-deny. */
export interface CratePolicy {
    targets: string[];
    ignore: string[];
    allow: string[];
    deny: string[];
    skip: string[];
    registries: string[];
    git: string[];
}

/** Reads the lists of a deny.toml: sections, and arrays of strings. Throws when a list is not there. */
export function parseDenyToml(text: string): CratePolicy {
    // Comments stand on lines of their own there; a `#` in a string is left alone.
    const plain = text.replace(/^\s*#.*$/gm, "");
    const list = (section: string, key: string): string[] => {
        const body = plain.split(/^(?=\[[a-z]+\]$)/m).find((part) => part.startsWith(`[${section}]`));
        const array = new RegExp(`^${key} = \\[([^\\]]*)\\]$`, "m").exec(body ?? "")?.[1];
        if (array === undefined) throw new Error(`deny.toml: [${section}] has no list ${key}`);
        return [...array.matchAll(/"([^"]*)"/g)].map((match) => match[1]);
    };
    return {
        targets: list("graph", "targets"),
        ignore: list("advisories", "ignore"),
        allow: list("licenses", "allow"),
        deny: list("bans", "deny"),
        skip: list("bans", "skip"),
        registries: list("sources", "allow-registry"),
        git: list("sources", "allow-git"),
    };
}

/** Where each crate comes from, and whether its content is pinned. `ours`: the crates that are folders of the project. */
export function lockFindings(
    crates: readonly LockedCrate[],
    ours: readonly string[],
    policy: CratePolicy,
): string[] {
    const sources = new Set([
        ...policy.registries.map((url) => `registry+${url}`),
        ...policy.git.map((url) => `git+${url}`),
    ]);
    return crates.flatMap(({ name, version, source, checksum }) => {
        const crate = `crate ${name} ${version}`;
        if (policy.deny.includes(name)) return [`${crate}: banned by deny.toml`];
        if (source === undefined) return ours.includes(name) ? [] : [`${crate}: a folder that is not ours`];
        if (!sources.has(source.replace(/[?#].*$/, "")))
            return [`${crate}: comes from ${source}; allowed: ${[...sources].join(", ")}`];
        if (source.startsWith("registry+") && !/^[0-9a-f]{64}$/.test(checksum ?? ""))
            return [`${crate}: has no checksum in Cargo.lock`];
        return [];
    });
}

/** A package as `cargo metadata` tells it. */
export interface CargoPackage {
    name: string;
    version: string;
    /** null: a folder of ours. */
    source: string | null;
    license: string | null;
    dependencies: { name: string; req: string; source: string | null }[];
}

/** Licences, versions of one crate side by side, and requirements that any version meets. */
export function crateFindings(packages: readonly CargoPackage[], policy: CratePolicy): string[] {
    const allowed = new Set(policy.allow);
    const findings: string[] = [];
    const versions = new Map<string, string[]>();
    for (const { name, version, source, license, dependencies } of packages) {
        versions.set(name, [...(versions.get(name) ?? []), version].sort());
        if (license === null || !licenceFits(license, allowed))
            findings.push(`crate ${name} ${version}: licence ${license ?? "unknown"} is not in deny.toml`);
        if (source !== null) continue;
        for (const dependency of dependencies) {
            if (dependency.source !== null && dependency.req === "*")
                findings.push(`crate ${name}: takes any version of ${dependency.name}`);
        }
    }
    for (const [name, found] of versions) {
        if (found.length > 1 && !policy.skip.includes(name))
            findings.push(`crate ${name}: in versions ${found.join(", ")}, which deny.toml does not list`);
    }
    for (const name of policy.skip) {
        if ((versions.get(name)?.length ?? 0) < 2)
            findings.push(`crate ${name}: deny.toml lists it as double, which it is not any more`);
    }
    return findings;
}

/**
 * A Cargo.toml that asks for exactly the crates of a lock file, all of them. Cargo resolves it from the index alone, without
 * a lock file, and then refuses versions that were yanked: the one way of asking it that downloads no crate.
 */
export function exactManifest(crates: readonly LockedCrate[]): string {
    const lines = crates
        .filter(({ source }) => source !== undefined)
        .map(({ name, version }, index) => {
            // Build metadata (`0.1+spec-1.1.0`) is no part of a requirement.
            const exact = `=${version.replace(/\+.*$/, "")}`;
            return `c${index} = { package = "${name}", version = "${exact}", default-features = false }`;
        });
    return [
        '[package]\nname = "yanked"\nversion = "0.0.0"\nedition = "2024"\n',
        '[lib]\npath = "lib.rs"\n',
        `[workspace]\n\n[dependencies]\n${lines.join("\n")}\n`,
    ].join("\n");
}

/** What cargo's failure to resolve such a manifest means: a version is gone, the index cannot be had, or something else. */
export function resolveFailure(stderr: string): "gone" | "unreachable" | "other" {
    if (/is yanked|no matching package named|failed to select a version for the requirement/.test(stderr))
        return "gone";
    const network = /[Cc]ould not resolve host|Could not connect|network failure|Timeout was reached|offline/;
    return network.test(stderr) || /failed to (query replaced source|download|fetch)/.test(stderr)
        ? "unreachable"
        : "other";
}
