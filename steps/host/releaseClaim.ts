import { rmdir } from "node:fs/promises";
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { stepPath, type Claim } from "../contract";
import { checkHost, claimFolderOf, idOf, isAbandoned, previousOutput, thisHost } from "../lib/claim";
import { containers, daemonFile, ownerLabel, removeContainers } from "../lib/docker";
import { messageOf, StepError } from "../lib/errors";
import { readOptional } from "../lib/files";
import { beginEnd, endRun, entries, finishEnd, markUndone, type JournalEntry } from "../lib/journal";
import { removeClaimed } from "../lib/kube/claimed";
import { keptKubeconfigs, kubeconfigsLeft } from "../lib/kube/kept";
import { ifClusterAnswers } from "../lib/kube/kube";
import { stored, type Of } from "../lib/schema";
import { bodyOf, parseInput, progress, step, stopIfEnding } from "../lib/step";
import { findProgram } from "../lib/programs/programs";
import { removeUnusedImages } from "../node/daemon/image";
import { claimInput } from "./makeClaim";

const needed = stored(claimInput, "owner");

/**
 * The end of a stack: undoes what is written down and not yet undone, for a step or Pulumi was ended before the state knew of it, then
 * removes what else bears the claim.
 */
export async function releaseClaim({ owner }: Of<typeof needed>): Promise<Record<string, never>> {
    const last = previousOutput();
    // The claim itself was never recorded: then nothing was made in its name.
    if (last === undefined) return {};
    const claim = JSON.parse(last) as Claim;
    if (await isAbandoned(claim)) return {};
    checkHost(claim, await thisHost());
    await beginEnd(claim);
    const left: string[] = [];
    for (const entry of await entries(claim)) {
        // What it has not come to is still written down.
        stopIfEnding();
        try {
            await endRun(entry);
            for (const input of await inputsOf(claim, entry)) await undo({ ...entry, input });
            await markUndone(claim, entry);
        } catch (error) {
            left.push(`${entry.resource}: ${messageOf(error)}`);
        }
    }
    for (const file of await keptKubeconfigs(claim)) {
        await ifClusterAnswers(file, (kube) => removeClaimed(kube, claim.id), progress).catch(
            (error: unknown) => left.push(`objects in a cluster: ${messageOf(error)}`),
        );
    }
    const usedDocker = (await readOptional(daemonFile(claim))) !== undefined;
    await sweepContainers(claim).catch((error: unknown) => {
        // Where no daemon was ever needed, none has anything of this stack's.
        if (usedDocker) left.push(`containers: ${messageOf(error)}`);
    });
    if (left.length > 0) {
        throw new StepError(
            `what an ended run of ${owner} left could not be removed; mend it and run \`pulumi destroy\` again:\n` +
                left.map((line) => `- ${line}`).join("\n"),
        );
    }
    await finishEnd(claim);
    // Where it was the last one.
    await rmdir(dirname(claimFolderOf(claim))).catch(() => undefined);
    return {};
}

/** What undoing a step gets: its input, but of a cluster whose kubeconfig went before with that which was kept of it. */
async function inputsOf(claim: Claim, { input }: JournalEntry): Promise<JournalEntry["input"][]> {
    const { kubeconfigFile } = input as { kubeconfigFile?: string };
    if (kubeconfigFile === undefined) return [input];
    const files = await kubeconfigsLeft(claim, kubeconfigFile);
    return files.map((file) => ({ ...input, kubeconfigFile: file }));
}

async function undo({ undo: name, input, resource, done }: JournalEntry): Promise<void> {
    // What came to its end is left to this one by design, or by a run that ended while it deleted.
    if (!done) progress(`${resource} was begun by a run that ended: ${name}`);
    createRequire(__filename)(`../${stepPath(name)}`);
    const { input: rule, body } = bodyOf(name);
    await body(parseInput(JSON.stringify(input), rule));
}

/** Containers that Pulumi's docker plugin had made and never recorded. */
async function sweepContainers({ id }: Claim): Promise<void> {
    if ((await findProgram("docker")) === undefined) return;
    const labelled = await containers(`label=${ownerLabel}`);
    const ours = labelled.filter(({ Config }) => idOf(Config.Labels?.[ownerLabel] ?? "") === id);
    for (const { Name } of ours) progress(`container ${Name.slice(1)} was left by a run that ended: removed`);
    await removeContainers(ours.map(({ Id }) => Id));
    // A node that was moved out of its container has left that of its approver.
    await removeUnusedImages();
}

step(module, "releaseClaim", needed, releaseClaim);
