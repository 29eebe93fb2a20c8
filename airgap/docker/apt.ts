// Installing Debian packages on this host.
import { existsSync } from "node:fs";
import * as path from "node:path";
import type { Build } from "../../common/building";

/** Is there a program of that name on PATH? */
export function onPath(program: string, searchPath: string = process.env.PATH ?? ""): boolean {
    return searchPath
        .split(path.delimiter)
        .some((folder) => folder !== "" && existsSync(path.join(folder, program)));
}

async function apt(build: Build, ...args: string[]): Promise<void> {
    // Another apt may be at work: wait for it.
    await build.run(["apt-get", "-o", "DPkg::Lock::Timeout=300", "-q", ...args], {
        env: { DEBIAN_FRONTEND: "noninteractive" },
        onLine: (line) => build.progress.update(line),
    });
}

/** Reads the package lists anew. */
export async function aptUpdate(build: Build): Promise<void> {
    await apt(build, "update");
}

/** Installs packages; says which ones where only root could. */
export async function aptInstall(build: Build, packages: readonly string[]): Promise<void> {
    if (process.geteuid?.() !== 0) {
        throw new Error(
            `missing: ${packages.join(", ")}. Install them (sudo apt-get install ${packages.join(" ")}) or run this as root.`,
        );
    }
    await aptUpdate(build);
    await apt(build, "install", "-y", "--no-install-recommends", ...packages);
}
