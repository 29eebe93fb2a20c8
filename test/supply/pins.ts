import { releaseOf, type ReleasedTool } from "../../tools/sources/releases";
import type { Platform } from "../../common/versions";

const isRecord = (value: unknown): value is Record<string, unknown> =>
    typeof value === "object" && value !== null && !Array.isArray(value);

/** Images (anything exported with a name and a tag) that no digest pins, or by a tag that moves. */
export function imageFindings(exported: Readonly<Record<string, unknown>>): string[] {
    return Object.entries(exported).flatMap(([key, value]) => {
        if (!isRecord(value) || typeof value.name !== "string" || typeof value.tag !== "string") return [];
        const digest = typeof value.digest === "string" ? value.digest : "";
        return [
            ...(/^sha256:[0-9a-f]{64}$/.test(digest)
                ? []
                : [`versions.ts: ${key} (${value.name}:${value.tag}) has no digest`]),
            ...(/\d+\.\d+\.\d+/.test(value.tag)
                ? []
                : [`versions.ts: ${key} has the tag ${value.tag}, which moves`]),
        ];
    });
}

/** Versions among the exports that are not exact. */
export function versionFindings(exported: Readonly<Record<string, unknown>>): string[] {
    return Object.entries(exported)
        .filter(([key, value]) => key.endsWith("_VERSION") && !/^v\d+\.\d+\.\d+$/.test(String(value)))
        .map(([key, value]) => `versions.ts: ${key} is ${String(value)}, not one exact version`);
}

/** Official releases without a checksum that are not listed, and listed ones that have one. */
export function releaseFindings(
    tools: readonly ReleasedTool[],
    platforms: readonly Platform[],
    unpinned: readonly string[],
    sha256: (tool: ReleasedTool, platform: Platform) => string | undefined = (tool, platform) =>
        releaseOf(tool, platform).sha256,
): string[] {
    const used = new Set<string>();
    const findings: string[] = [];
    for (const tool of tools) {
        for (const platform of platforms) {
            if (/^[0-9a-f]{64}$/.test(sha256(tool, platform) ?? "")) continue;
            const entry = [`${tool} *`, `${tool} ${platform}`].find((name) => unpinned.includes(name));
            if (entry === undefined) findings.push(`versions.ts: ${tool} for ${platform} has no checksum`);
            else used.add(entry);
        }
    }
    for (const entry of unpinned) if (!used.has(entry)) findings.push(`policy.ts: ${entry} is pinned by now`);
    return findings;
}
