// All that this project needs and official releases would bring, made from package registries alone.
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { cached, cachePath, isCached } from "../common/cache";
import type { MakeContext } from "../common/building";
import { onPath } from "./docker/apt";
import { forgetImage, imageId, imageInDocker, imageKey, nodeImageKey } from "./image/key";
import { makeNodeImage } from "./image/nodeImage";
import { makeRegistryImage } from "./image/registryImage";
import { ROOTFS_TOOL } from "./image/rootfs";
import { buildStandIns, standInSources } from "./standins/build";
import { sourcesKey } from "./standins/sourcesKey";
import { hostGoFault } from "../common/go";
import { built, cacheName, RECIPES, recipeKey, type RecipeName } from "./go/recipes";

export { ensureDocker } from "./docker/engine";

/**
 * What can be made, and the programs in the folder of each:
 * `pulumi`: pulumi, and beside it pulumi-language-nodejs, a stand-in; `pulumi-resource-command`: a stand-in; the others: the program
 * of that name.
 */
export type AirgapTool =
    "pulumi" | `pulumi-resource-${"command" | "docker" | "kubernetes"}` | "kind" | "kubectl";

/** The images that can be made: the kind node and the OCI registry. */
export type AirgapImage = "node" | "registry";

interface Entry {
    /** Name and key in the cache. */
    name: string;
    key: string;
    make(ctx: MakeContext): Promise<string>;
}

function goEntry(name: RecipeName, key: string): Entry {
    return { name: cacheName(RECIPES[name]), key, make: (ctx) => built(name, ctx) };
}

async function standIns(): Promise<Entry> {
    const name = "stand-ins";
    const key = await sourcesKey(standInSources);
    const make = (ctx: MakeContext) =>
        cached(name, key, async (dir) => {
            const progress = ctx.report.start(
                "stand-ins for the Node.js language host and the plugin command",
            );
            try {
                await buildStandIns(dir);
                progress.done();
            } catch (error) {
                progress.fail("the bundler failed");
                throw error;
            }
        });
    return { name, key, make };
}

/** The engine looks for the language host in the folder of the CLI itself. */
async function pulumi(): Promise<Entry> {
    const host = await standIns();
    const name = "pulumi";
    const key = `${await recipeKey(RECIPES.pulumi)}-${host.key}`;
    const make = (ctx: MakeContext) =>
        cached(name, key, async (dir) => {
            await fs.link(path.join(await built("pulumi", ctx), "pulumi"), path.join(dir, "pulumi"));
            const program = "pulumi-language-nodejs";
            await fs.copyFile(path.join(await host.make(ctx), program), path.join(dir, program));
        });
    return { name, key, make };
}

async function entry(tool: AirgapTool): Promise<Entry> {
    switch (tool) {
        case "pulumi":
            return pulumi();
        case "pulumi-resource-command":
            return standIns();
        case "pulumi-resource-docker":
        case "pulumi-resource-kubernetes":
        case "kind":
        case "kubectl":
            return goEntry(tool, await recipeKey(RECIPES[tool]));
    }
}

/** Folder with the program(s) of a tool, from the cache or made now. Says that it is no official release. */
export async function makeTool(tool: AirgapTool, ctx: MakeContext): Promise<string> {
    const found = await entry(tool);
    ctx.report.note(`air-gapped: ${tool} is made from packages, it is no official release`);
    return found.make(ctx);
}

/**
 * Folder that a tool has or would have in the cache, and whether it is there, whole and of today's recipe. Makes nothing;
 * `remember: false` does not even note in the cache that it was verified.
 */
export async function toolState(
    tool: AirgapTool,
    options = { remember: true },
): Promise<{ cached: boolean; dir: string }> {
    const { name, key } = await entry(tool);
    return { cached: await isCached(name, key, options), dir: cachePath(name, key) };
}

function keyOf(image: AirgapImage, tag: string): Promise<string> {
    return image === "node" ? nodeImageKey(tag) : imageKey(["registry", tag], ["registry"]);
}

/**
 * What Docker has under a tag (`name:tag`): "current", made by today's recipe; "outdated", made by another one; "foreign", not made
 * here (an official image). Changes nothing; throws when no daemon answers.
 */
export async function imageState(
    image: AirgapImage,
    tag: string,
): Promise<"absent" | "current" | "outdated" | "foreign"> {
    const found = await imageInDocker(tag);
    if (found === "absent" || found === "foreign") return found;
    return found === (await keyOf(image, tag)) ? "current" : "outdated";
}

/** Brings an image into Docker under a tag, made now when Docker has none or an outdated one. A foreign image is left alone. */
export async function ensureImage(image: AirgapImage, tag: string, ctx: MakeContext): Promise<void> {
    const state = await imageState(image, tag);
    if (state === "foreign") return;
    ctx.report.note(`air-gapped: image ${tag} is made from packages, it is no official one`);
    if (state === "current") return;
    const former = state === "outdated" ? await imageId(tag) : undefined;
    const make = image === "node" ? makeNodeImage : makeRegistryImage;
    await make(tag, await keyOf(image, tag), ctx);
    if (former !== undefined) await forgetImage(former);
}

/** What this machine lacks for making things here, a sentence each with what to do; empty when nothing is missing. */
export async function airgapPrerequisites(): Promise<string[]> {
    const missing: string[] = [];
    if (process.platform !== "linux")
        missing.push(`Air-gapped builds are for Linux; this is ${process.platform}.`);
    const go = await hostGoFault();
    if (go !== undefined) missing.push(`${go}.`);
    if (!onPath(ROOTFS_TOOL) && !(onPath("apt-get") && process.geteuid?.() === 0)) {
        missing.push(
            `${ROOTFS_TOOL} is not on PATH: install it (sudo apt-get install ${ROOTFS_TOOL}) or run this as root on Debian.`,
        );
    }
    return missing;
}
