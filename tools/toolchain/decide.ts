import { atLeast, compatible, formatVersion, parseVersion, withinOneMinor } from "../../common/semver";
import { KIND_VERSION, KUBERNETES_VERSION, PULUMI_VERSION } from "../../common/versions";

/** Where a tool that is not here yet is got from. */
export type Source = "official" | "airgap";

/** A program found on PATH. */
export interface Found {
    file: string;
    /** What its version command printed. */
    versionText: string;
    /** pulumi only: is the Node.js language host beside it or on PATH too? */
    hasLanguageHost?: boolean;
}

/** All that is known of a tool before the decision. */
export interface ToolFacts {
    onPath?: Found;
    /** Folders in the cache, whole and verified, by the source that they came from. */
    cached: Partial<Record<Source, string>>;
    /** What the user asked for by KRUSTLET_STACK_SOURCE. */
    forced?: Source;
}

/** Where a tool comes from. */
export type Decision =
    | { from: "path"; file: string; version: string; passedOver?: undefined }
    | { from: "cache"; source: Source; dir: string; passedOver?: string }
    | { from: "get"; passedOver?: string };

/** The programs that PATH may supply. */
export type PathTool = "pulumi" | "kind" | "kubectl";

/** Why a program on PATH does not serve, or undefined when it does. */
export function misfit(tool: PathTool, found: Found): string | undefined {
    const version = parseVersion(found.versionText);
    if (!version) return `${found.file} does not tell its version`;
    const is = `${found.file} is ${formatVersion(version)}`;
    switch (tool) {
        case "pulumi":
            if (!compatible(version, PULUMI_VERSION)) return `${is}; needed: ${PULUMI_VERSION} or a later v3`;
            return found.hasLanguageHost
                ? undefined
                : `${found.file} has no pulumi-language-nodejs beside it`;
        case "kind":
            return atLeast(version, KIND_VERSION) ? undefined : `${is}; needed: ${KIND_VERSION} or later`;
        case "kubectl":
            return withinOneMinor(version, KUBERNETES_VERSION)
                ? undefined
                : `${is}; needed: within one minor version of ${KUBERNETES_VERSION}`;
    }
}

/**
 * The order: PATH at a fitting version; the cache (an official release before an air-gapped build, and only the asked-for
 * source if one was asked for); else it must be got.
 */
export function decide(tool: PathTool | undefined, facts: ToolFacts): Decision {
    let passedOver: string | undefined;
    if (tool && facts.onPath) {
        passedOver = misfit(tool, facts.onPath);
        if (passedOver === undefined) {
            const version = parseVersion(facts.onPath.versionText);
            return {
                from: "path",
                file: facts.onPath.file,
                version: version ? `v${formatVersion(version)}` : "",
            };
        }
    }
    for (const source of ["official", "airgap"] as const) {
        const dir = facts.cached[source];
        if (dir !== undefined && (facts.forced ?? source) === source) {
            return { from: "cache", source, dir, passedOver };
        }
    }
    return { from: "get", passedOver };
}

/** Reads KRUSTLET_STACK_SOURCE. */
export function forcedSource(env: NodeJS.ProcessEnv): Source | undefined {
    const value = env.KRUSTLET_STACK_SOURCE;
    if (value === undefined || value === "") return undefined;
    if (value === "official" || value === "airgap") return value;
    throw new Error(
        `KRUSTLET_STACK_SOURCE is "${value}"; it can be official or airgap, or unset to let the network decide`,
    );
}
