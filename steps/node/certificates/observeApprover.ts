import type { ObserveApproverInput, ObserveOutput } from "../../contract";
import { because, entryOf, madeAt } from "../../lib/journal";
import { isAlive } from "../../lib/processes";
import { nodeName, object, text } from "../../lib/schema";
import { step } from "../../lib/step";
import { readRecordOf } from "../daemon";
import { approverFiles } from "./approverFiles";

const input = object<ObserveApproverInput>({ resource: text, nodeName, stateDir: text });

/** Sees whether a node's approver still runs, and why its step must run again if not. */
export async function observeApprover(given: ObserveApproverInput): Promise<ObserveOutput> {
    const entry = await entryOf(given.resource);
    if (entry?.output === undefined) return { because: because(entry, undefined) };
    const record = await readRecordOf(approverFiles(given.stateDir).pidFile);
    if (record && isAlive(record)) return { because: because(entry, undefined) };
    const gone = `the approver of node "${given.nodeName}", started ${madeAt(entry)}, is not running any more: it is started again`;
    return { because: because(entry, gone) };
}

step(module, "observeApprover", input, observeApprover);
