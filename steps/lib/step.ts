import { undoneLast, type StepClaim, type Steps } from "../contract";
import { enterClaim, isAbandoned } from "./claim";
import { StepError, messageOf } from "./errors";
import {
    endRun,
    entryOf,
    forgetEntry,
    isUndone,
    lookForNotes,
    markUndone,
    setEarlierRun,
    stopEnd,
    writeEntry,
} from "./journal";
import { processOf } from "./processes";
import { progress } from "./progress";
import { endRunning } from "./run";
import { describe, isObject, type Input, type Problem } from "./schema";

export { notesOf, progress } from "./progress";

/** Set once this step was told to end (SIGINT, SIGTERM). Waiting stops and what was begun is undone. */
const ending = new AbortController();

/** Comes when this step is told to end. */
export const endingSignal: AbortSignal = ending.signal;

/** A step's input and what it does. */
interface Body {
    input: Input<object>;
    body: (input: object) => Promise<unknown>;
}

const bodies = new Map<string, Body>();

/** The step of that name; its file has been loaded. */
export function bodyOf(name: string): Body {
    const found = bodies.get(name);
    if (!found) throw new Error(`step ${name} is not loaded`);
    return found;
}

/** Waits; a step that is told to end stops waiting at once. */
export function pause(milliseconds: number): Promise<void> {
    return new Promise((resolve, reject) => {
        stopIfEnding();
        const stop = () => {
            clearTimeout(timer);
            reject(new StepError("ended by a signal"));
        };
        const timer = setTimeout(() => {
            ending.signal.removeEventListener("abort", stop);
            resolve();
        }, milliseconds);
        ending.signal.addEventListener("abort", stop, { once: true });
    });
}

/** Throws when this step was told to end. */
export function stopIfEnding(): void {
    if (ending.signal.aborted) throw new StepError("ended by a signal");
}

/** Does something that needs undoing when it fails half-way, or when this step is told to end meanwhile. */
export async function orUndo<T>(act: () => Promise<T>, undo: () => Promise<void>): Promise<T> {
    try {
        const result = await act();
        stopIfEnding();
        return result;
    } catch (error) {
        await undo().catch((second: unknown) => {
            progress(`while cleaning up: ${messageOf(second)}`);
        });
        // A signal ends the commands that are under way: their failures are not the cause.
        throw ending.signal.aborted ? new StepError("ended by a signal; what it had begun is undone") : error;
    }
}

/**
 * A step's program: reads the input from standard input, checks it, runs, and prints the output. Where the file was imported
 * rather than started, it is only known by its name.
 */
export function step<N extends keyof Steps, I extends object>(
    module: NodeJS.Module,
    name: N,
    // What the contract says, or of what is stored the part that undoing it needs.
    input: Steps[N]["input"] extends I ? Input<I> : never,
    body: (input: I) => Promise<Steps[N]["output"]>,
): void {
    bodies.set(name, { input, body } as unknown as Body);
    if (require.main !== module) return;
    const end = (signal: NodeJS.Signals) => {
        // A second signal changes nothing: undoing has begun, and its commands must not be cut off.
        if (ending.signal.aborted) return;
        progress(`${name}: ${signal}, cleaning up`);
        ending.abort();
        endRunning();
    };
    process.on("SIGINT", end);
    process.on("SIGTERM", end);
    // Whoever started this step may have gone; it ends its work all the same.
    process.stderr.on("error", () => undefined);
    process.stdout.on("error", () => undefined);

    main(name, input, body).then(
        () => undefined,
        (error: unknown) => {
            process.exitCode = 1;
            process.stderr.write(`${name}: ${messageOf(error)}\n`);
        },
    );
}

async function main<I extends object>(
    name: keyof Steps,
    input: Input<I>,
    body: (input: I) => Promise<unknown>,
): Promise<void> {
    if (process.stdin.isTTY || process.argv.includes("--help")) {
        throw new StepError(`reads one JSON object from standard input:\n${describe(input)}`);
    }
    const chunks: Buffer[] = [];
    for await (const chunk of process.stdin) chunks.push(chunk as Buffer);
    const given = parseJson(Buffer.concat(chunks).toString("utf8"), input);
    const { claim, ...source } = isObject(given) ? given : { claim: undefined };
    const result = await inClaim(name, claim as StepClaim | undefined, source, () =>
        body(checkInput(isObject(given) ? source : given, input)),
    );
    process.stdout.write(`${JSON.stringify(result)}\n`);
}

/** Runs a step for a claim: on its host alone, and with what it makes written down from before it does until it is undone. */
async function inClaim(
    name: keyof Steps,
    claim: StepClaim | undefined,
    input: object,
    act: () => Promise<unknown>,
): Promise<unknown> {
    const undoes = claim?.undo === name;
    if (undoes && (await isAbandoned(claim))) return {};
    await enterClaim(claim);
    // A preview ends nothing: a `destroy` may be at it rightly.
    if (claim !== undefined && (claim.looks !== true || claim.updates === true)) await stopEnd(claim);
    const entry = claim?.resource !== undefined &&
        claim.undo && { resource: claim.resource, undo: claim.undo };
    if (!entry) return act();
    const before = await entryOf(entry.resource);
    if (before !== undefined) await endRun(before);
    const by = processOf(process.pid);
    if (undoes) {
        if (undoneLast.includes(name)) {
            const result = await act();
            // The note may be of what has come in its place.
            const note = await entryOf(entry.resource);
            if (note !== undefined && isUndone(note, input)) await forgetEntry(claim, entry.resource);
            return result;
        }
        if (before !== undefined) await writeEntry(claim, { ...before, done: false, by });
        // That what is written down was lost is not to be hidden by what is written now.
        else await lookForNotes(claim);
        const result = await act();
        await markUndone(claim, before ?? { ...entry, at: Date.now() });
        return result;
    }
    setEarlierRun(before);
    const begun = { ...entry, input, output: before?.output, done: false, at: Date.now(), by };
    await writeEntry(claim, begun);
    const output = await act();
    await writeEntry(claim, { ...begun, output, done: true });
    return output;
}

/** The input that a text holds; an error names every fault of it. Never shows the text: it may hold secrets. */
export function parseInput<T extends object>(source: string, input: Input<T>): T {
    return checkInput(parseJson(source, input), input);
}

function parseJson(source: string, input: { fields: object }): unknown {
    try {
        return JSON.parse(source) as unknown;
    } catch {
        const what = source.trim() === "" ? "is empty" : "is no JSON";
        throw new StepError(`standard input ${what}; it must be one JSON object:\n${describe(input)}`);
    }
}

function checkInput<T extends object>(value: unknown, input: Input<T>): T {
    const line = ({ path, message }: Problem) => `${path}: ${message}`;
    const wrong = input(value, "input");
    if (wrong.length > 0) throw new StepError(wrong.map(line).join("\n"));
    return value as T;
}
