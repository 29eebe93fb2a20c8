import type { ClusterOutput, ObserveClusterOutput, ObserveLocalClusterInput } from "../../contract";
import { expandHome, readOptional } from "../../lib/files";
import { because, lastEntryOf, madeAt, standing, type JournalEntry } from "../../lib/journal";
import { progress, step } from "../../lib/step";
import { isGone, replaced, unanswering } from "../drift";
import { foreign, localTools, observeLocalClusterInput, wantedFields, write } from "./localCluster";
import type { FoundCluster, LocalTool } from "./tool";

/**
 * Sees whether a cluster is still what its step left, and why that must run again if not. Writes the file of its admin kubeconfig again
 * where that was lost, and changes nothing else. A tool that does not tell is an error: what it does not name is not gone.
 */
export async function observeLocalCluster(
    tool: LocalTool,
    input: ObserveLocalClusterInput,
): Promise<ObserveClusterOutput> {
    const { name } = input.wanted;
    const [noted, found] = await Promise.all([lastEntryOf(input.resource), tool.find(name)]);
    const entry = standing(noted);
    const ours = found !== undefined && foreign(tool, name, found, input.owner) === undefined;
    const anew = entry?.output !== undefined && replaced(entry, input.wanted, Object.keys(wantedFields));
    if (ours && found.running && (await readOptional(expandHome(input.kubeconfigFile))) === undefined)
        await mend(tool, input, "was lost");
    // Of one that is made anew, under another name perhaps, nothing else is to be said.
    const drift =
        entry?.output === undefined || anew ? undefined : await driftOf(tool, entry, input, found, ours);
    return {
        because: because(noted, drift),
        last: ours && entry?.done === true && !anew ? (entry.output as ClusterOutput) : undefined,
    };
}

/** What is wrong with a cluster that was made; undefined: nothing that its step could mend. */
async function driftOf(
    tool: LocalTool,
    entry: JournalEntry,
    input: ObserveLocalClusterInput,
    found: FoundCluster | undefined,
    ours: boolean,
): Promise<string | undefined> {
    const { name } = input.wanted;
    if (found === undefined || !ours) return isGone(entry, name, found !== undefined);
    if (!found.running) return `cluster "${name}", made ${madeAt(entry)}, is stopped: it is started again`;
    return unanswering(entry, { name, kubeconfigFile: input.kubeconfigFile }, (why) =>
        mend(tool, input, why),
    );
}

/** Writes the file of the kubeconfig where it is not what the tool has. */
async function mend(
    tool: LocalTool,
    { wanted: { name }, kubeconfigFile }: ObserveLocalClusterInput,
    why: string,
): Promise<void> {
    const file = expandHome(kubeconfigFile);
    const before = await readOptional(file);
    await write(tool, { name, kubeconfigFile });
    if ((await readOptional(file)) !== before) progress(`${file} ${why}; it is written again`);
}

step(module, "observeLocalCluster", observeLocalClusterInput, (input) =>
    observeLocalCluster(localTools[input.wanted.tool], input),
);
