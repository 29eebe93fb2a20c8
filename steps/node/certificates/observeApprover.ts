import type { ObserveApproverInput, ObserveOutput } from "../../contract";
import { madeAt, observe } from "../../lib/journal";
import { isAlive } from "../../lib/processes";
import { nodeName, object, text } from "../../lib/schema";
import { step } from "../../lib/step";
import { readRecordOf } from "../daemon";
import { approverFiles } from "./approverFiles";

const input = object<ObserveApproverInput>({ resource: text, nodeName, stateDir: text });

/** Sees whether a node's approver still runs, and why its step must run again if not. */
export function observeApprover(given: ObserveApproverInput): Promise<ObserveOutput> {
    return observe(given.resource, async (entry) => {
        const record = await readRecordOf(approverFiles(given.stateDir).pidFile);
        return record && isAlive(record)
            ? undefined
            : `the approver of node "${given.nodeName}", started ${madeAt(entry)}, is not running any more: it is started again`;
    });
}

step(module, "observeApprover", input, observeApprover);
