import type { ObserveApproverInput, ObserveOutput } from "../../contract";
import { madeAt, observe } from "../../lib/journal";
import { nodeName, object, text } from "../../lib/schema";
import { step } from "../../lib/step";
import { driftOfProgram, readRecordOf, type ProgramRecord } from "../daemon/daemon";
import { approverFiles } from "./approverFiles";
import { approverProgram } from "./deciding";

const input = object<ObserveApproverInput>({ resource: text, nodeName, stateDir: text });

/** Sees whether a node's approver still runs as its step left it, and why that must run again if not. */
export function observeApprover(given: ObserveApproverInput): Promise<ObserveOutput> {
    return observe(given.resource, async (entry) => {
        const who = `the approver of node "${given.nodeName}", started ${madeAt(entry)},`;
        const record = await readRecordOf<ProgramRecord>(approverFiles(given.stateDir).pidFile);
        return driftOfProgram(who, record, approverProgram);
    });
}

step(module, "observeApprover", input, observeApprover);
