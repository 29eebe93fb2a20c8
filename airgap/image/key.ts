// Telling whether Docker has an image of today's recipe.
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { run } from "../../steps/lib/run";
import { cacheKey } from "../../common/cache";
import { ROOT } from "../../common/root";
import { DEBIAN_SUITE } from "../../common/versions";
import { RECIPES, recipeKey, type RecipeName } from "../go/recipes";

/** Label with the key of the recipe that an image was made by. */
export const KEY_LABEL = "krustlet-stack.recipe";

/** Key of an image: the programs in it and everything in this folder. */
export async function imageKey(values: readonly string[], programs: readonly RecipeName[]): Promise<string> {
    const dir = path.join(ROOT, "airgap", "image");
    const entries = await fs.readdir(dir, { withFileTypes: true });
    const files = entries.filter((entry) => entry.isFile()).map((entry) => entry.name);
    const node = (await fs.readdir(path.join(dir, "node"))).map((name) => `node/${name}`);
    const keys = await Promise.all(programs.map((name) => recipeKey(RECIPES[name])));
    return cacheKey([...values, ...keys], dir, [...files, ...node]);
}

/** Key of the kind node image, whose root file system is of that release of Debian. */
export function nodeImageKey(tag: string, suite: string = DEBIAN_SUITE): Promise<string> {
    const programs = ["kubernetes", "kubectl", "etcd", "coredns", "pause", "kind"] as const;
    return imageKey(["node", tag, suite], programs);
}

/**
 * What Docker has under a tag: "absent"; "foreign", an image that was not made here; or the key of the recipe that it was
 * made by. Throws when Docker does not answer.
 */
export async function imageInDocker(tag: string): Promise<string> {
    const found = await run(
        ["docker", "image", "inspect", "--format", `{{index .Config.Labels "${KEY_LABEL}"}}`, tag],
        {
            allowFailure: true,
            timeoutSeconds: 60,
        },
    );
    if (found.exitCode === 0) return found.stdout.trim() || "foreign";
    if (/no such image/i.test(found.stderr)) return "absent";
    throw new Error(`docker image inspect ${tag}: ${found.stderr.trim()}`);
}

/** Removes an image that another one has taken the tag of, unless a container still uses it. */
export async function forgetImage(id: string): Promise<void> {
    await run(["docker", "image", "rm", id], { allowFailure: true, timeoutSeconds: 120 });
}

/** Id of the image under a tag. */
export async function imageId(tag: string): Promise<string> {
    return (
        await run(["docker", "image", "inspect", "--format", "{{.Id}}", tag], { timeoutSeconds: 60 })
    ).stdout.trim();
}
