/** A version of three numbers; what follows them (a pre-release, a build) does not count. */
export interface Version {
    major: number;
    minor: number;
    patch: number;
}

/** The first version in a text (`kind v0.33.0 go1.26.8 linux/amd64`, `v1.36.4`, `rustc 1.95.0 (…)`), or undefined. */
export function parseVersion(text: string): Version | undefined {
    const match = /(?<![\d.])v?(\d+)\.(\d+)(?:\.(\d+))?/.exec(text);
    if (!match) return undefined;
    return { major: Number(match[1]), minor: Number(match[2]), patch: Number(match[3] ?? 0) };
}

/** As `parseVersion`, for text that is known to hold one. */
export function version(text: string): Version {
    const parsed = parseVersion(text);
    if (!parsed) throw new Error(`no version in "${text}"`);
    return parsed;
}

/** Negative, 0 or positive, as `a` is older than, equal to or newer than `b`. */
export function compareVersions(a: Version, b: Version): number {
    return a.major - b.major || a.minor - b.minor || a.patch - b.patch;
}

export function atLeast(found: Version, minimum: string): boolean {
    return compareVersions(found, version(minimum)) >= 0;
}

/** The same major version, and as new or newer. */
export function compatible(found: Version, wanted: string): boolean {
    return found.major === version(wanted).major && atLeast(found, wanted);
}

/** The same major version and at most one minor version away, as Kubernetes asks of kubectl and the API server. */
export function withinOneMinor(found: Version, wanted: string): boolean {
    const other = version(wanted);
    return found.major === other.major && Math.abs(found.minor - other.minor) <= 1;
}

/** `1.36.4` */
export function formatVersion(value: Version): string {
    return `${value.major}.${value.minor}.${value.patch}`;
}
