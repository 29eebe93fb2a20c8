import { access, constants } from "node:fs/promises";
import { createRequire } from "node:module";
import { delimiter, dirname, isAbsolute, join } from "node:path";
import { buildPrograms, builtFolder, canBuild, ownPrograms } from "./build";
import { StepError } from "../errors";
import { expandHome } from "../files";
import { howToGet, packageFolder } from "./package";

/** The npm package with this package's own programs for the platform that this runs on. */
export const platformPackage = `krustlet-stack-${process.platform}-${process.arch}`;

/** The file that a program's name or path means, as a shell would find it. */
export async function findProgram(
    program: string,
    path = process.env.PATH ?? "",
): Promise<string | undefined> {
    return firstThatRuns(
        program.includes("/")
            ? [expandHome(program)]
            : path
                  .split(delimiter)
                  .filter(isAbsolute)
                  .map((folder) => join(folder, program)),
    );
}

async function firstThatRuns(candidates: string[]): Promise<string | undefined> {
    for (const candidate of candidates) {
        const found = await access(candidate, constants.X_OK).then(
            () => true,
            () => false,
        );
        if (found) return candidate;
    }
    return undefined;
}

/**
 * The file of a program, which may be one of this package's own (krustlet-wasi, wasm-oci): on PATH or in the place that is given,
 * else in the platform's package, else as it was built from the crates of this package. Undefined: it is in none of them.
 */
export async function presentProgram(program: string): Promise<string | undefined> {
    const found = await findProgram(program);
    if (found !== undefined || !ownPrograms.includes(program)) return found;
    return firstThatRuns([
        ...platformFolders().map((folder) => join(folder, "bin", program)),
        join(await builtFolder(), program),
    ]);
}

/** The platform's package, if it is installed. */
function platformFolders(): string[] {
    try {
        const from = createRequire(join(packageFolder, "package.json"));
        return [dirname(from.resolve(`${platformPackage}/package.json`))];
    } catch {
        return [];
    }
}

/** Whether a program is there already, so that nothing has to be built before it can run. */
export async function isBuilt(program: string): Promise<boolean> {
    return (await presentProgram(program)) !== undefined;
}

/** Why a program cannot be had; undefined when it is there, or is this package's own and can be built. */
export async function programFault(program: string): Promise<string | undefined> {
    if ((await presentProgram(program)) !== undefined) return undefined;
    if (!ownPrograms.includes(program))
        return `program "${program}" is not on PATH or in that place; ${howToGet([program])}`;
    if (canBuild() && (await findProgram("cargo")) !== undefined) return undefined;
    return (
        `program "${program}" is not on PATH, the npm package ${platformPackage} is not installed, and cargo is not on PATH to ` +
        `build it; ${howToGet(["cargo"])}`
    );
}

/** The file of a program; one of this package's own is built when it is nowhere. `user` begins the error. */
export async function needProgram(program: string, user: string): Promise<string> {
    const found = await presentProgram(program);
    if (found !== undefined) return found;
    const fault = await programFault(program);
    if (fault !== undefined) throw new StepError(`${user}: ${fault}`);
    return join(await buildPrograms(), program);
}

/** Fails when a tool is not on PATH, before anything is begun that needs it. */
export async function needTools(...tools: string[]): Promise<void> {
    const found = await Promise.all(tools.map((tool) => findProgram(tool)));
    const [fault] = missingTools(tools.filter((_, index) => found[index] === undefined));
    if (fault !== undefined) throw new StepError(fault);
}

/** The one message of what is missing. */
export function missingTools(missing: string[], help = howToGet(missing)): string[] {
    if (missing.length === 0) return [];
    const what = missing.length === 1 ? `${missing[0]} is` : `${missing.join(", ")} are`;
    return [`Tools: ${what} not on PATH; ${help}`];
}
