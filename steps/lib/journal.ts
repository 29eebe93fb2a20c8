// What a stack has made, or begun to make, outside Pulumi: written down before it is made, so that whatever ends the step or Pulumi,
// the claim's end knows what to undo.
import { mkdir, readdir, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { isDeepStrictEqual } from "node:util";
import type { ObserveLossOutput, ObserveOutput, StepClaim, Steps } from "../contract";
import { claimFolderOf, currentClaim, journalFolder, previousOutput } from "./claim";
import { readOptional, writePrivate } from "./files";
import { endProcess, processOf, type ProcessId } from "./processes";
import { progress } from "./progress";

/** One thing, and how to undo it. */
export interface JournalEntry {
    /** Name of the resource. */
    resource: string;
    /** The step that undoes it, and its input. */
    undo: keyof Steps;
    input: { because?: string; lost?: string };
    /** What the step told when it came to its end last; unset: it never did. */
    output?: unknown;
    /** Whether the run that was begun last, of the step or of the one that undoes it, came to its end. */
    done: boolean;
    /** When it was undone, in milliseconds since 1970; unset: it was not. Pulumi may have been ended before its state knew of it. */
    undone?: number;
    /** When it was begun, in milliseconds since 1970. */
    at: number;
    /** The process of that run; unset: of an earlier version. */
    by?: ProcessId;
}

/** Whether an entry is of what a step undoes, and not of what has come in its place: that had another input, or told another thing. */
export function isUndone({ input, output }: JournalEntry, undone: object): boolean {
    const told = previousOutput();
    if (!isDeepStrictEqual(input, undone)) return false;
    return told === undefined || output === undefined || isDeepStrictEqual(output, JSON.parse(told));
}

/** Writes down what is about to be made. */
export async function writeEntry(claim: Pick<StepClaim, "folder">, entry: JournalEntry): Promise<void> {
    await mkdir(journalFolder(claim), { recursive: true, mode: 0o700 });
    await writePrivate(fileOf(claim, entry.resource), `${JSON.stringify(entry)}\n`);
}

/**
 * Ends what was begun last and is still at it: whoever started it was killed, and it would go on to make what is about to be undone or
 * made anew. It undoes what it had begun.
 */
export async function endRun({ resource, done, by }: JournalEntry): Promise<void> {
    if (done || by === undefined || by.pid === process.pid) return;
    const how = await endProcess(by, undoSeconds);
    if (how !== "gone") progress(`an earlier run of ${resource} (process ${by.pid}) was still at it: ${how}`);
}

/** Holds the process that ends a claim, from before it removes anything until nothing is left. */
const endFile = (claim: Pick<StepClaim, "folder">) => join(claimFolderOf(claim), "end");

/** Writes down that this process ends a claim, once no other does. */
export async function beginEnd(claim: Pick<StepClaim, "folder">): Promise<void> {
    await stopEnd(claim);
    await mkdir(claimFolderOf(claim), { recursive: true, mode: 0o700 });
    await writePrivate(endFile(claim), `${JSON.stringify(processOf(process.pid) ?? null)}\n`);
}

/** Forgets a claim that has ended; last of all who has ended it, for until then that one is to be found. */
export async function finishEnd(claim: Pick<StepClaim, "folder">): Promise<void> {
    const folder = claimFolderOf(claim);
    const rest = (await readdir(folder))
        .map((name) => join(folder, name))
        .filter((file) => file !== endFile(claim));
    for (const file of rest) await rm(file, { recursive: true, force: true });
    await rm(folder, { recursive: true, force: true });
}

/** Ends what is still at the end of a claim: whoever started it was killed, and it would go on to remove what is about to be made. */
export async function stopEnd(claim: Pick<StepClaim, "folder">): Promise<void> {
    const text = await readOptional(endFile(claim));
    if (text === undefined) return;
    const by = processIn(text);
    const how = by === null ? "gone" : await endProcess(by, undoSeconds);
    if (how !== "gone") progress(`an earlier end of this stack (process ${by?.pid}) was still at it: ${how}`);
    // It may have come to its end by then, and is no reason to miss what is written down: all of that has been undone.
    await mkdir(claimFolderOf(claim), { recursive: true, mode: 0o700 });
    await rm(endFile(claim), { force: true });
}

/** A loss of power may leave a file that was being written without its text: then that process has gone too. */
function processIn(text: string): ProcessId | null {
    try {
        return JSON.parse(text) as ProcessId | null;
    } catch {
        return null;
    }
}

/** How long a step may take to undo what it had begun, in seconds. */
const undoSeconds = 60;

/** The run of this process's step before this one; undefined: nothing is known of any. */
let earlier: JournalEntry | undefined;

export const earlierRun = (): JournalEntry | undefined => earlier;

/** Says which run was before the one that begins. */
export function setEarlierRun(entry: JournalEntry | undefined): void {
    earlier = entry;
}

/** Why what is not written down must run, where that was lost; unset: it is new. */
let lostNotes: string | undefined;

/** Whether all that was written down was lost once. */
export const notesWereLost = (): boolean => lostNotes !== undefined;

/**
 * Sees whether what was written down is still there. Where the folder is gone, nothing is known of what was made, though Pulumi's state has
 * it: that is written down instead, so that every part is looked at, by this update or, where it fails, the next one. Returns why, then.
 */
export async function lookForNotes(claim: StepClaim | undefined): Promise<string | undefined> {
    if (claim === undefined) return undefined;
    const folder = claimFolderOf(claim);
    const mark = join(folder, "lost");
    const isLost = !claim.fresh && (await stat(folder).catch(() => undefined)) === undefined;
    if (isLost) {
        const why = `nothing was written down in ${folder} of what this stack has made, seen ${timeOf(Date.now())}: each part is looked at again`;
        await mkdir(folder, { recursive: true, mode: 0o700 });
        await writePrivate(mark, why);
    }
    lostNotes = await readOptional(mark);
    return isLost ? lostNotes : undefined;
}

/** What is written down of a resource of this stack; undefined: it was never begun, or has been undone. */
export async function entryOf(resource: string): Promise<JournalEntry | undefined> {
    return standing(await lastEntryOf(resource));
}

/** As `entryOf`, with what has been undone. */
export async function lastEntryOf(resource: string): Promise<JournalEntry | undefined> {
    const claim = currentClaim();
    const text = claim && (await readOptional(fileOf(claim, resource)));
    return text === undefined ? undefined : (JSON.parse(text) as JournalEntry);
}

/** An entry, unless what it is of has been undone. */
export const standing = (last: JournalEntry | undefined): JournalEntry | undefined =>
    last?.undone === undefined ? last : undefined;

/**
 * Why a step must run again that came to its end before: what was found to be otherwise, and else what it ran for last, so that nothing
 * has changed where all is as it was left. `found` says when what is no more was made, or the same fault could not be told from the last.
 */
export function because(last: JournalEntry | undefined, found: string | undefined): string | undefined {
    if (last === undefined) return lostNotes;
    const why = whyAgain(last, found);
    if (why === undefined) return last.input.because;
    progress(why);
    return why;
}

function whyAgain(entry: JournalEntry, found: string | undefined): string | undefined {
    const { resource, undone, output, done } = entry;
    if (undone !== undefined) return `${resource} was removed, ${timeOf(undone)}: it is made anew`;
    // Pulumi's state has nothing of it, so that it runs anyway.
    if (output === undefined) return undefined;
    if (found !== undefined || done) return found;
    return `the last run of ${resource}, ${madeAt(entry)}, did not come to its end: it runs again`;
}

/** Sees what has become of what a step left. `drift` says why it must run again, and is asked only where it came to its end before. */
export async function observe(
    resource: string,
    drift: (entry: JournalEntry) => Promise<string | undefined>,
): Promise<ObserveOutput> {
    const last = await lastEntryOf(resource);
    const entry = standing(last);
    return { because: because(last, entry?.output === undefined ? undefined : await drift(entry)) };
}

/**
 * As `observe`, for what Pulumi makes itself and a step waits for. `look` is asked whether that step came to its end before or not, and calls
 * `loses` where what it waited for is gone; where nothing is, the reason stays what it was.
 */
export async function observeLoss(
    resource: string,
    look: (entry: JournalEntry | undefined, loses: (why: string) => void) => Promise<string | undefined>,
): Promise<ObserveLossOutput> {
    const last = await lastEntryOf(resource);
    const entry = standing(last);
    let lost = entry?.input.lost;
    const found = await look(entry, (why) => {
        lost = why;
        progress(why);
    });
    return { because: because(last, found), lost };
}

/** When a resource was made last: `2026-11-28T12:00:00Z`. */
export function madeAt({ at }: JournalEntry): string {
    return timeOf(at);
}

function timeOf(at: number): string {
    return new Date(at).toISOString().replace(/\.\d+Z$/, "Z");
}

/** Forgets what is of no use to anybody any more. */
export async function forgetEntry(claim: Pick<StepClaim, "folder">, resource: string): Promise<void> {
    await rm(fileOf(claim, resource), { force: true });
}

/**
 * Writes down that something has been undone, so that it is made anew where Pulumi was ended before its state knew of that: it would take it
 * for unchanged.
 */
export async function markUndone(
    claim: Pick<StepClaim, "folder">,
    { resource, undo, at }: Pick<JournalEntry, "resource" | "undo" | "at">,
): Promise<void> {
    // Without what it was made from, which nobody needs any more.
    await writeEntry(claim, { resource, undo, input: {}, done: true, undone: Date.now(), at });
}

/** All that is written down and not undone, the last one first. */
export async function entries(claim: Pick<StepClaim, "folder">): Promise<JournalEntry[]> {
    const folder = journalFolder(claim);
    const names = await readdir(folder).catch(() => []);
    const texts = await Promise.all(
        names.filter((name) => name.endsWith(".json")).map((name) => readOptional(join(folder, name))),
    );
    const all = texts.flatMap((text) => (text === undefined ? [] : [JSON.parse(text) as JournalEntry]));
    const found = all.filter(standing);
    return found.sort((one, other) => other.at - one.at);
}

function fileOf(claim: Pick<StepClaim, "folder">, resource: string): string {
    return join(journalFolder(claim), `${encodeURIComponent(resource)}.json`);
}
