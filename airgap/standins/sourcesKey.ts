import * as fs from "node:fs/promises";
import * as path from "node:path";
import { cacheKey } from "../../common/cache";
import { ROOT } from "../../common/root";

/** Files that a path relative to the project's root stands for: itself, or all below it but tests. */
async function filesOf(source: string): Promise<string[]> {
    const stat = await fs.stat(path.join(ROOT, source));
    if (!stat.isDirectory()) return [source];
    const entries = await fs.readdir(path.join(ROOT, source), { withFileTypes: true, recursive: true });
    return entries
        .filter((entry) => entry.isFile() && !entry.name.endsWith(".test.ts"))
        .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)));
}

/** Cache key of what is bundled from sources of this project (`sources`: files and folders relative to its ROOT). */
export async function sourcesKey(
    sources: readonly string[],
    values: readonly string[] = [],
): Promise<string> {
    return cacheKey(values, ROOT, (await Promise.all(sources.map(filesOf))).flat());
}
