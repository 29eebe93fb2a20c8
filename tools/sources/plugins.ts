import { randomBytes } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { PLUGINS, type PluginName } from "../../common/versions";

/** Where the engine looks for an installed plugin. */
export function pluginFolder(name: PluginName, pulumiHome: string): string {
    return path.join(pulumiHome, "plugins", `resource-${name}-${PLUGINS[name].version}`);
}

/**
 * Lets the engine find a plugin that lies in the cache: a link in PULUMI_HOME, replaced in one step when it points elsewhere.
 * The folder itself must be a real one, for the engine passes over links to folders.
 */
export async function installPlugin(name: PluginName, dir: string, pulumiHome: string): Promise<void> {
    const folder = pluginFolder(name, pulumiHome);
    const program = `pulumi-resource-${name}`;
    const link = path.join(folder, program);
    const target = path.join(dir, program);
    if ((await fs.readlink(link).catch(() => undefined)) === target) return;
    await fs.access(target);
    await fs.mkdir(folder, { recursive: true });
    const temporary = path.join(folder, `.${randomBytes(4).toString("hex")}`);
    await fs.symlink(target, temporary);
    await fs.rename(temporary, link);
}
