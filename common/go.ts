// Building Go programs from the module proxy, always the same way.
import * as path from "node:path";
import { run } from "../steps/lib/run";
import { atLeast, parseVersion } from "./semver";
import { GO_MINIMUM } from "./versions";
import type { Build } from "./building";

/** One `go build`. */
export interface GoBuild {
    /** Folder of the go.mod that pins everything. */
    moduleDir: string;
    /** Import paths of the main packages; several share what they have in common. */
    packages: readonly string[];
    /** -X flags: variable to its value. */
    variables?: Readonly<Record<string, string>>;
    tags?: readonly string[];
    /** A go.mod that is used in place of the folder's own, its go.sum beside it. */
    modFile?: string;
}

/** Go that the modules here need: the oldest that the newest of them (Kubernetes) accepts. */
export const GO_NEEDED = "1.26.0";

/**
 * Arguments of `go build`. The same sources give the same bytes anywhere (`-trimpath`, no build id of a work tree), the
 * module files are never rewritten, no profile is applied (it would compile every dependency anew for one program), and
 * no debugger will look at the result (`-s -w`).
 */
export function goBuildArguments(build: GoBuild, output: string): string[] {
    const flags = [
        "-s",
        "-w",
        ...Object.entries(build.variables ?? {}).map(([name, value]) => `-X ${name}=${value}`),
    ];
    return [
        "build",
        "-v",
        "-mod=readonly",
        "-trimpath",
        "-buildvcs=false",
        "-pgo=off",
        ...(build.modFile === undefined ? [] : [`-modfile=${build.modFile}`]),
        ...(build.tags?.length ? [`-tags=${build.tags.join(",")}`] : []),
        `-ldflags=${flags.join(" ")}`,
        "-o",
        output,
        ...build.packages,
    ];
}

/** Static binaries, and no flags from outside. */
export const GO_ENVIRONMENT = { CGO_ENABLED: "0", GOFLAGS: "", GOWORK: "off" } as const;

/**
 * What makes the compiler, a program of Go itself, quicker. Neither changes what runs, so neither is a part of a key.
 *
 * Nothing for debuggers, which the linker leaves out anyway. Less garbage collection: on a machine with other work, and for the one package
 * k8s.io/api/core/v1, three runs took 6 to 9 s with 1000 and 9 to 10 s with 400, in no more memory than 400 took with what is for debuggers.
 */
export const COMPILER_TUNING = { GOGC: "1000", GOFLAGS: "-gcflags=all=-dwarf=false" } as const;

/** Builds the programs into a folder (each named after its package's last element). */
export async function goBuild(build: Build, what: GoBuild, outDir: string): Promise<void> {
    let compiled = 0;
    await build.run(["go", ...goBuildArguments(what, `${outDir}${path.sep}`)], {
        cwd: what.moduleDir,
        env: { ...GO_ENVIRONMENT, ...COMPILER_TUNING },
        onLine: (line) => {
            if (line.startsWith("go: downloading ")) build.progress.update(line.slice("go: ".length));
            else if (/^[a-z][\w.-]*(\/\S+)*$/.test(line))
                build.progress.update(`${++compiled} packages compiled, now ${line}`);
        },
    });
}

/**
 * What is wrong with the Go on PATH, by the two lines that `go env GOVERSION GOTOOLCHAIN` printed (undefined: there is none);
 * undefined when it fits. From 1.21 on Go gets a newer toolchain by itself, unless it is told not to.
 */
export function goFault(printed: string | undefined): string | undefined {
    const install = `install Go ${GO_NEEDED} or newer (https://go.dev/dl) and put it on PATH`;
    if (printed === undefined) return `Go is not on PATH: ${install}`;
    const [goVersion = "", toolchain = ""] = printed.trim().split("\n");
    const found = parseVersion(goVersion.replace(/^go/, ""));
    if (found && atLeast(found, GO_NEEDED)) return undefined;
    if (found && atLeast(found, GO_MINIMUM) && !toolchain.startsWith("local")) return undefined;
    return `Go on PATH is ${goVersion || "of an unknown version"}: ${install}`;
}

/** What is wrong with the Go on PATH. */
export async function hostGoFault(): Promise<string | undefined> {
    try {
        return goFault((await run(["go", "env", "GOVERSION", "GOTOOLCHAIN"], { timeoutSeconds: 60 })).stdout);
    } catch {
        return goFault(undefined);
    }
}
