import { access, constants } from "node:fs/promises";
import { delimiter, isAbsolute, join } from "node:path";
import { StepError } from "./errors";
import { expandHome } from "./files";

/** The file that a program's name or path means, as a shell would find it. */
export async function findProgram(
    program: string,
    path = process.env.PATH ?? "",
): Promise<string | undefined> {
    const candidates = program.includes("/")
        ? [expandHome(program)]
        : path
              .split(delimiter)
              .filter(isAbsolute)
              .map((folder) => join(folder, program));
    for (const candidate of candidates) {
        const found = await access(candidate, constants.X_OK).then(
            () => true,
            () => false,
        );
        if (found) return candidate;
    }
    return undefined;
}

/** Fails when a tool is not on PATH, before anything is begun that needs it. */
export async function needTools(...tools: string[]): Promise<void> {
    const found = await Promise.all(tools.map((tool) => findProgram(tool)));
    const [fault] = missingTools(tools.filter((_, index) => found[index] === undefined));
    if (fault !== undefined) throw new StepError(fault);
}

/** The one message of what is missing. */
export function missingTools(missing: string[]): string[] {
    if (missing.length === 0) return [];
    const what = missing.length === 1 ? `${missing[0]} is` : `${missing.join(", ")} are`;
    return [`Tools: ${what} not on PATH; \`npm run doctor\` shows what to do`];
}
