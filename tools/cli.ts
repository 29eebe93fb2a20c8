import * as fs from "node:fs/promises";
import * as path from "node:path";
import { parseArgs } from "node:util";
import { ROOT } from "../common/root";
import { messageOf } from "../steps/lib/errors";
import { checkStackName, projectName, stackFiles, type Home, type StackFiles } from "./stack/home";

/** What can be given to `npm run <command> -- …`. */
export interface Options {
    stack: string;
    cwd: string;
    toolsOnly: boolean;
}

export class UsageError extends Error {
    constructor(message: string) {
        super(message);
        this.name = "UsageError";
    }
}

/** Reads the command line. */
export function readOptions(
    args: readonly string[],
    accepted: readonly (keyof Options)[] = ["stack", "cwd"],
): Options {
    const flags = { stack: "--stack NAME", cwd: "--cwd FOLDER", toolsOnly: "--tools-only" };
    const usage = `Accepted: ${accepted.map((name) => flags[name]).join(", ") || "no arguments"}`;
    let values;
    try {
        ({ values } = parseArgs({
            args: [...args],
            options: {
                stack: { type: "string", default: "dev" },
                cwd: { type: "string", default: ROOT },
                "tools-only": { type: "boolean", default: false },
            },
        }));
    } catch (error) {
        throw new UsageError(`${error instanceof Error ? error.message : String(error)}. ${usage}`);
    }
    const options = { stack: values.stack, cwd: path.resolve(values.cwd), toolsOnly: values["tools-only"] };
    if (options.toolsOnly && !accepted.includes("toolsOnly"))
        throw new UsageError(`--tools-only is for up. ${usage}`);
    checkStackName(options.stack);
    return options;
}

/** The stack that the command line names. */
export async function filesOf(home: Home, options: Options): Promise<StackFiles> {
    const file = path.join(options.cwd, "Pulumi.yaml");
    const text = await fs.readFile(file, "utf8").catch(() => {
        throw new UsageError(`${options.cwd} is no Pulumi project: it has no Pulumi.yaml`);
    });
    return stackFiles(home, projectName(text), options.stack, options.cwd);
}

/** Runs a command's main function; what it throws becomes one message and exit code 1 (2: wrong arguments). */
export function main(work: () => Promise<number>): void {
    work().then(
        (code) => {
            process.exitCode = code;
        },
        (error: unknown) => {
            process.stderr.write(`\nError: ${messageOf(error)}\n`);
            process.exitCode = error instanceof UsageError ? 2 : 1;
        },
    );
}
