import { existsSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { run } from "../../steps/lib/run";
import { WASI_TARGETS, type WasiTarget } from "../../steps/workload/target";
import { decide, type Decision, type Found, type PathTool, type Source } from "./decide";
import { cachePath, isCached } from "../../common/cache";
import { findOnPath } from "../../common/find";
import { parseVersion, type Version } from "../../common/semver";
import { AIRGAP_NAME, imageState, toolState } from "../sources/airgap";
import { releaseCacheName, releaseKey } from "../sources/official";
import { platformOf, releaseOf, type Release } from "../sources/releases";
import { agentCacheEntry } from "../sources/agent";
import { NODE_IMAGE, REGISTRY_IMAGE, type PinnedImage } from "../../common/versions";

/** The tools that are decided one by one: programs, and Pulumi's plugins. */
export const TOOLS = [
    "pulumi",
    "plugin-command",
    "plugin-kubernetes",
    "plugin-docker",
    "kind",
    "kubectl",
] as const;
export type ToolName = (typeof TOOLS)[number];

/** A tool, and the decision about it. */
export interface InspectedTool {
    name: ToolName;
    decision: Decision;
    /** The official release for this machine; undefined where there is none. */
    release?: Release;
}

export type ImageName = "node" | "registry";

/**
 * An image that Docker must have. `official`: there, by its pinned digest. `airgap`: there, made by today's recipe.
 * `outdated`: made by an older recipe. `other`: somebody else's image of that tag, which is used as it is.
 * `absent`: not there, or Docker does not answer.
 */
export interface InspectedImage {
    image: PinnedImage;
    state: "official" | "airgap" | "outdated" | "other" | "absent";
}

/** `kindest/node:v1.36.4` */
export function imageTag(image: PinnedImage): string {
    return `${image.name}:${image.tag}`;
}

export interface InspectedDocker {
    /** The command-line client. */
    client?: string;
    /** Version of the daemon that answers. */
    daemon?: Version;
    /** Why none answers. */
    problem?: string;
}

export interface InspectedRust {
    cargo?: string;
    rustc?: Version;
    /** First line of `rustc --version`. */
    rustcText?: string;
    rustup?: string;
    /** Which targets of the workloads are there? */
    wasiTargets: readonly WasiTarget[];
    /** Folder of the built agent and artifact tool in the cache, and whether it is whole. */
    agent?: { dir: string; cached: boolean };
}

/** All that is found on this machine. Finding it changes nothing. */
export interface Inspection {
    tools: Record<ToolName, InspectedTool>;
    docker: InspectedDocker;
    images: Record<ImageName, InspectedImage>;
    rust: InspectedRust;
}

/** First line that a command prints; undefined when it fails. */
async function says(argv: readonly string[]): Promise<string | undefined> {
    try {
        const { stdout, stderr } = await run(argv, { timeoutSeconds: 20 });
        return (stdout.trim() || stderr.trim()).split("\n")[0];
    } catch {
        return undefined;
    }
}

const VERSION_ARGS: Record<PathTool, string[]> = {
    pulumi: ["version"],
    kind: ["version"],
    kubectl: ["version", "--client"],
};

async function findProgram(tool: PathTool): Promise<Found | undefined> {
    const file = await findOnPath(tool);
    if (file === undefined) return undefined;
    const versionText = (await says([file, ...VERSION_ARGS[tool]])) ?? "";
    if (tool !== "pulumi") return { file, versionText };
    const beside = path.join(path.dirname(await fs.realpath(file)), "pulumi-language-nodejs");
    const host = (await findOnPath("pulumi-language-nodejs")) ?? (await findOnPath(beside, "/"));
    return { file, versionText, hasLanguageHost: host !== undefined };
}

async function inspectTool(
    name: ToolName,
    forced: Source | undefined,
    remember: boolean,
    env: NodeJS.ProcessEnv,
): Promise<InspectedTool> {
    const platform = platformOf(process.platform, process.arch);
    const release = platform && releaseOf(name, platform, env.KRUSTLET_STACK_MIRROR);
    const program = name === "pulumi" || name === "kind" || name === "kubectl" ? name : undefined;
    const cached: Partial<Record<Source, string>> = {};
    const [onPath] = await Promise.all([
        program && findProgram(program),
        (async () => {
            if (release && (await isCached(releaseCacheName(name), releaseKey(release), { remember }))) {
                cached.official = cachePath(releaseCacheName(name), releaseKey(release));
            }
        })(),
        (async () => {
            const state = await toolState(AIRGAP_NAME[name], { remember });
            if (state.cached) cached.airgap = state.dir;
        })(),
    ]);
    return { name, release, decision: decide(program, { onPath, cached, forced }) };
}

/** Asks for the Docker daemon. */
export async function inspectDocker(): Promise<InspectedDocker> {
    const client = await findOnPath("docker");
    if (client === undefined) return { problem: "docker is not on PATH" };
    const result = await run([client, "version", "--format", "{{.Server.Version}}"], {
        allowFailure: true,
        timeoutSeconds: 20,
    }).catch((error: Error) => ({ exitCode: 1, stdout: "", stderr: error.message }));
    const daemon = result.exitCode === 0 ? parseVersion(result.stdout) : undefined;
    if (daemon) return { client, daemon };
    const why = result.stderr.trim().split("\n").pop();
    return { client, problem: why || "no Docker daemon answers" };
}

/** Looks an image up in Docker. */
export async function inspectImage(which: ImageName, image: PinnedImage): Promise<InspectedImage> {
    const argv = ["docker", "image", "inspect", "--format", "{{json .RepoDigests}}", imageTag(image)];
    const result = await run(argv, { allowFailure: true, timeoutSeconds: 20 }).catch(() => undefined);
    if (result === undefined || result.exitCode !== 0) return { image, state: "absent" };
    if (result.stdout.includes(image.digest)) return { image, state: "official" };
    const state = await imageState(which, imageTag(image));
    return {
        image,
        state: ({ absent: "absent", current: "airgap", outdated: "outdated", foreign: "other" } as const)[
            state
        ],
    };
}

async function inspectRust(remember: boolean): Promise<InspectedRust> {
    const [cargo, rustup, text] = await Promise.all([
        findOnPath("cargo"),
        findOnPath("rustup"),
        says(["rustc", "--version", "--verbose"]),
    ]);
    const rustc = text === undefined ? undefined : parseVersion(text);
    if (text === undefined || rustc === undefined) return { cargo, rustup, wasiTargets: [] };
    const [sysroot, agent] = await Promise.all([
        says(["rustc", "--print", "sysroot"]),
        agentCacheEntry(text).then(async (entry) => ({
            dir: cachePath(entry.name, entry.key),
            cached: await isCached(entry.name, entry.key, { remember }),
        })),
    ]);
    const wasiTargets = WASI_TARGETS.filter((target) =>
        existsSync(path.join(sysroot ?? "", "lib", "rustlib", target, "lib")),
    );
    return { cargo, rustup, rustc, rustcText: text, wasiTargets, agent };
}

/** Looks at everything. `remember: false` writes nothing at all, not even that a cached file was verified. */
export async function inspect(
    forced: Source | undefined,
    options: { remember: boolean },
    env: NodeJS.ProcessEnv = process.env,
): Promise<Inspection> {
    const { remember } = options;
    const [docker, node, registry, rust, ...tools] = await Promise.all([
        inspectDocker(),
        inspectImage("node", NODE_IMAGE),
        inspectImage("registry", REGISTRY_IMAGE),
        inspectRust(remember),
        ...TOOLS.map((name) => inspectTool(name, forced, remember, env)),
    ]);
    return {
        docker,
        images: { node, registry },
        rust,
        tools: Object.fromEntries(tools.map((tool) => [tool.name, tool])) as Record<ToolName, InspectedTool>,
    };
}
