import { constants } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";

/** The first executable file of that name on PATH, or undefined. */
export async function findOnPath(
    program: string,
    pathValue = process.env.PATH ?? "",
): Promise<string | undefined> {
    for (const dir of pathValue.split(path.delimiter)) {
        if (dir === "") continue;
        const file = path.join(dir, program);
        try {
            await fs.access(file, constants.X_OK);
            if ((await fs.stat(file)).isFile()) return file;
        } catch {
            // Not here.
        }
    }
    return undefined;
}

/** PATH with folders before it, each once. */
export function prependPath(dirs: readonly string[], pathValue: string): string {
    const before = [...new Set(dirs)];
    const rest = pathValue.split(path.delimiter).filter((dir) => dir !== "" && !before.includes(dir));
    return [...before, ...rest].join(path.delimiter);
}
