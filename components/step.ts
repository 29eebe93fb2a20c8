import * as path from "node:path";
import * as pulumi from "@pulumi/pulumi";
import { local, types } from "@pulumi/command";
import { stepPath, type LookAnswer, type LookInput, type LookingStep, type Steps } from "../steps/contract";

/** A step's input, each property of it possibly still to come. */
export type StepInput<S extends keyof Steps> = {
    [K in keyof Steps[S]["input"]]: pulumi.Input<Steps[S]["input"][K]>;
};

/** A step that is a resource, and the one that undoes it. */
export interface StepArgs<S extends keyof Steps> {
    /** Runs when the resource is made, and again when its input changes: each step adopts what it finds done. */
    create: S;
    /** Undoes `create`; gets the input that `create` had last. Unset: there is nothing to undo. */
    delete?: keyof Steps;
    input: StepInput<S>;
    /** A change of any of these replaces the resource: `delete` with the old input, then `create`. */
    triggers?: pulumi.Input<unknown>[];
}

/** A step's resource and what the step printed. */
export interface StepResource<S extends keyof Steps> {
    command: local.Command;
    output: pulumi.Output<Steps[S]["output"]>;
}

/**
 * Makes the `local.Command` that runs a step. Where a step is undone by another one, that comes before the create of a
 * replacement: what these steps make has fixed names. Others are replaced the usual way, or a module that is merely
 * pushed again would take the pods that run it down first.
 */
export function stepResource<S extends keyof Steps>(
    name: string,
    args: StepArgs<S>,
    opts: pulumi.CustomResourceOptions,
): StepResource<S> {
    const command = new local.Command(
        name,
        {
            ...stepCommand(args.create).how,
            create: stepCommand(args.create).program,
            delete: args.delete && stepCommand(args.delete).program,
            stdin: pulumi.jsonStringify(args.input),
            triggers: args.triggers,
            // Progress is on standard error; standard output is data.
            logging: "stderr",
        },
        pulumi.mergeOptions(opts, {
            deleteBeforeReplace: args.delete !== undefined,
        }),
    );
    type Result = pulumi.Output<Steps[S]["output"]>;
    const output: pulumi.Output<unknown> = command.stdout.apply((text) => parseOutput(args.create, text));
    // The plugin takes every output of a Command with a secret input for a secret. No step prints one: see its contract.
    return { command, output: pulumi.unsecret(output) as Result };
}

/** Runs a step that only looks, at each preview and each update, together with the others that are asked for meanwhile. */
export function stepInvoke<S extends LookingStep>(
    step: S,
    input: StepInput<S>,
    opts: pulumi.InvokeOptions,
): pulumi.Output<Steps[S]["output"]> {
    const known: pulumi.Output<unknown> = pulumi.output(input);
    return known.apply(async (input) => {
        const { error, notes, output } = await ask({ step, input: input as object }, opts);
        if (error !== undefined) throw new StepFailure(error);
        for (const note of notes) await pulumi.log.info(note, opts.parent);
        return output as Steps[S]["output"];
    });
}

/** A look that is still to be made, and who waits for what it sees. */
interface Question {
    look: LookInput["looks"][number];
    answer: (answer: LookAnswer) => void;
    fail: (error: Error) => void;
}

/** The questions of each stack: a process may run the programs of several at once. */
const questions = new WeakMap<object, Question[]>();
const noStack = {};

/** Has a look made by the next process for such. */
function ask(look: Question["look"], opts: pulumi.InvokeOptions): Promise<LookAnswer> {
    const stack = pulumi.runtime.getStackResource() ?? noStack;
    return new Promise((answer, fail) => {
        const asked = questions.get(stack) ?? [];
        asked.push({ look, answer, fail });
        if (asked.length > 1) return;
        questions.set(stack, asked);
        // Whatever is known by now is asked by then: inputs that wait for nothing else take no turn of the event loop.
        setImmediate(() => {
            questions.delete(stack);
            void lookNow(asked, opts);
        });
    });
}

/** Makes looks in one process. */
async function lookNow(asked: Question[], opts: pulumi.InvokeOptions): Promise<void> {
    try {
        const args = {
            ...stepCommand("look").how,
            command: stepCommand("look").program,
            stdin: JSON.stringify({ looks: asked.map(({ look }) => look) } satisfies LookInput),
            logging: types.enums.local.Logging.None,
        };
        const { stdout } = await local.run(args, opts);
        const { answers } = parseOutput("look", stdout);
        asked.forEach(({ answer }, index) => answer(answers[index]));
    } catch (error) {
        for (const { fail } of asked) fail(new StepFailure((error as Error).message));
    }
}

/** What a failed step said, and nothing else: neither the call that ran it nor its stack would tell the user anything. */
export class StepFailure extends pulumi.RunError {
    constructor(message: string) {
        // `invocation of command:local:run returned an error: exit status 1: running "host/look":` and a line break go before it.
        const said = /running "[^"]*":\n([^]*)$/.exec(message)?.[1] ?? message;
        super(said.trim());
        // The SDK would put the name of every property that it was on its way to in front of it.
        Object.defineProperty(this, "message", { get: () => said.trim(), set: () => undefined });
        // It would lay out all that hangs on the stack for a trace, too, though it never shows one for this kind of error: half
        // a minute's work. Without a stack it takes the message.
        Object.defineProperty(this, "stack", { get: () => undefined, set: () => undefined });
    }
}

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
            addPreviousOutputInEnv: false,
        },
    };
}

/** The folder with this package's package.json, above this file: one level up in the sources, two in dist/. */
function packageFolder(): string {
    const parent = path.dirname(__dirname);
    return path.basename(parent) === "dist" ? path.dirname(parent) : parent;
}
