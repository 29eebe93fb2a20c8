import * as pulumi from "@pulumi/pulumi";
import { local, types } from "@pulumi/command";
import {
    undoneLast,
    type LookAnswer,
    type LookInput,
    type LookingStep,
    type StepClaim,
    type Steps,
} from "../steps/contract";
import { claim, claimForLooks, claimResource, isKnown, thisStack } from "./claim";
import { parseOutput, stepCommand } from "./stepCommand";

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
    /**
     * What the step told last, if it is about to tell the same: then a preview of a change that only makes it run again tells as much, and
     * what depends on it is not shown as if it changed too.
     */
    stands?: pulumi.Output<Steps[S]["output"] | undefined>;
}

/** A step's resource and what the step printed. */
export interface StepResource<S extends keyof Steps> {
    command: local.Command;
    output: pulumi.Output<Steps[S]["output"]>;
}

/**
 * Makes the `local.Command` that runs a step. Where a step is undone by another one, that comes before the create of a
 * replacement: what these steps make has fixed names. Others, and those that are undone last (undoneLast), are replaced the usual way,
 * or a module that is merely pushed again would take the pods that run it down first.
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
            // Whose it is, and how to undo what a run began that never came to its end.
            stdin: pulumi.all([pulumi.output<unknown>(args.input), claim()]).apply(([input, known]) =>
                JSON.stringify({
                    ...(input as object),
                    claim: { ...known, resource: name, undo: args.delete },
                }),
            ),
            triggers: args.triggers,
            // Progress is on standard error; standard output is data.
            logging: "stderr",
        },
        pulumi.mergeOptions(opts, {
            // What only forgets a note is forgotten with all notes.
            deletedWith: opts.deletedWith ?? (args.delete === "forget" ? claimResource() : undefined),
            deleteBeforeReplace: args.delete !== undefined && !undoneLast.includes(args.delete),
        }),
    );
    type Result = pulumi.Output<Steps[S]["output"]>;
    const output: pulumi.Output<unknown> = command.stdout.apply((text) => parseOutput(args.create, text));
    const told = args.stands && pulumi.runtime.isDryRun() ? knownOr(output, args.stands) : output;
    // The plugin takes every output of a Command with a secret input for a secret. No step prints one: see its contract.
    return { command, output: pulumi.unsecret(told) as Result };
}

/** What is known of an output in a preview: it, or else what stands. */
function knownOr(output: pulumi.Output<unknown>, stands: pulumi.Output<unknown>): pulumi.Output<unknown> {
    return pulumi.output(
        isKnown(output).then((known) => (known ? output : stands.apply((last) => last ?? output))),
    );
}

/** Runs a step that only looks, at each preview and each update, together with the others that are asked for meanwhile. */
export function stepInvoke<S extends LookingStep>(
    step: S,
    input: StepInput<S>,
    opts: pulumi.InvokeOptions,
): pulumi.Output<Steps[S]["output"]> {
    const known: pulumi.Output<unknown> = pulumi.output(input);
    return pulumi.all([known, claimForLooks()]).apply(async ([input, claim]) => {
        const { error, notes, output } = await ask({ step, input: input }, claim, opts);
        if (error !== undefined) throw new StepFailure(error);
        // Not of the component: the SDK's log is one queue, which would stand still until that is registered, and it may wait for this.
        for (const note of notes) void pulumi.log.info(note);
        return output as Steps[S]["output"];
    });
}

/** A look that is still to be made, and who waits for what it sees. */
interface Question {
    look: LookInput["looks"][number];
    answer: (answer: LookAnswer) => void;
    fail: (error: Error) => void;
}

/** How long a look waits for others. */
const togetherMilliseconds = 10;

/** The questions of each stack. */
const questions = new WeakMap<object, Question[]>();

/** Has a look made by the next process for such. */
function ask(
    look: Question["look"],
    claim: StepClaim | undefined,
    opts: pulumi.InvokeOptions,
): Promise<LookAnswer> {
    const stack = thisStack();
    return new Promise((answer, fail) => {
        const asked = questions.get(stack) ?? [];
        asked.push({ look, answer, fail });
        if (asked.length > 1) return;
        questions.set(stack, asked);
        // What is known by now is asked within a few turns of the event loop, one after the other.
        setTimeout(() => {
            questions.delete(stack);
            void lookNow(asked, claim, opts);
        }, togetherMilliseconds);
    });
}

/** Makes looks in one process. */
async function lookNow(
    asked: Question[],
    claim: StepClaim | undefined,
    opts: pulumi.InvokeOptions,
): Promise<void> {
    try {
        const args = {
            ...stepCommand("look").how,
            command: stepCommand("look").program,
            stdin: JSON.stringify({
                looks: asked.map(({ look }) => look),
                claim,
            } satisfies LookInput & { claim?: StepClaim }),
            logging: types.enums.local.Logging.None,
        };
        const { stdout } = await local.run(args, opts);
        const { answers } = parseOutput("look", stdout);
        // Where the host cannot carry the stack, what else goes wrong there follows from it.
        const refused = answers.find(({ error }, index) => error && asked[index].look.step === "preflight");
        asked.forEach(({ answer }, index) =>
            answer(answers[index].error && refused ? refused : answers[index]),
        );
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
