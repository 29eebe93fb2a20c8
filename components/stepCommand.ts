import * as path from "node:path";
import { stepPath, type Steps } from "../steps/contract";

/** What a step printed. */
export function parseOutput<S extends keyof Steps>(step: S, stdout: string): Steps[S]["output"] {
    try {
        return JSON.parse(stdout) as Steps[S]["output"];
    } catch {
        // Not the text itself: nobody knows what it holds.
        throw new Error(`step ${step}: its standard output is not JSON (${stdout.length} characters)`);
    }
}

/** Name of the variable with this package's folder: what Pulumi is started from this process finds the steps by it. */
export const packageVariable = "KRUSTLET_STACK_PACKAGE";
process.env[packageVariable] = packageFolder();

/**
 * The program that finds a step and runs it. It is stored in the state, and is the same for every folder, version and package
 * manager: it looks for the package from the folder that the variable names, then from the plugin's own, which is the project's.
 */
const runStep = `
let step;
for (const folder of [process.env.${packageVariable}, process.cwd()]) {
    try { step ??= require("module").createRequire(folder + "/").resolve("krustlet-stack/step"); } catch {}
}
if (!step) {
    console.error("krustlet-stack: the package is not found from " + process.cwd() + ": install it there (npm install krustlet-stack), " +
        "or name its folder in the variable ${packageVariable}");
    process.exit(1);
}
process.argv.splice(1, 0, step);
require(step);
`;

/** How a step is run: the arguments that Command and `local.run` share, and the step's name as the text to run. */
export function stepCommand(step: keyof Steps): {
    program: string;
    how: { interpreter: string[]; environment: Record<string, string>; addPreviousOutputInEnv: boolean };
} {
    return {
        program: stepPath(step),
        how: {
            interpreter: ["node", "--eval", runStep],
            // What is meant for the user's own programs may print, and standard output is the step's result.
            environment: { NODE_OPTIONS: "" },
            addPreviousOutputInEnv: true,
        },
    };
}

/** The folder with this package's package.json, above this file: one level up in the sources, two in dist/. */
function packageFolder(): string {
    const parent = path.dirname(__dirname);
    return path.basename(parent) === "dist" ? path.dirname(parent) : parent;
}
