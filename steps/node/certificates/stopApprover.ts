import { describeOwner, isOf } from "../../lib/claim";
import * as own from "./approverFiles";
import { removeIfOnlyClaimed } from "../bootstrap";
import { ownerOf } from "../folder";
import { stored, type Of } from "../../lib/schema";
import { progress, step } from "../../lib/step";

const needed = stored(own.approverInput, "owner", "nodeName", "stateDir");

/** Ends the node's approver and removes its files. Its token ends with its ServiceAccount, or by itself. */
export async function stopApprover(input: Of<typeof needed>): Promise<Record<string, never>> {
    const files = own.approverFiles(input.stateDir);
    const whose = await ownerOf(files.stateDir);
    if (whose === undefined) return {};
    if (!isOf(whose.owner, input.owner) || whose.nodeName !== input.nodeName) {
        progress(
            `${files.stateDir} is of node "${whose.nodeName}" of ${describeOwner(whose.owner)}: left alone`,
        );
        return {};
    }
    await own.endApprovers(files, progress);
    await own.removeApproverFiles(files);
    await removeIfOnlyClaimed(files.stateDir);
    return {};
}

step(module, "stopApprover", needed, stopApprover);
