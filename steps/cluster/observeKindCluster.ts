import type { ClusterOutput, ObserveClusterOutput, ObserveKindClusterInput } from "../contract";
import { kindFile, kubeconfigOf, writeAdminKubeconfig } from "./adminKubeconfig";
import { isGone, replaced, unanswering } from "./drift";
import { containers, standsStill, type Container } from "../lib/docker";
import { expandHome, readOptional } from "../lib/files";
import { because, lastEntryOf, madeAt, notesWereLost, standing, type JournalEntry } from "../lib/journal";
import * as kind from "./kind/kind";
import { describe } from "./kind/kindFacts";
import { run } from "../lib/run";
import { progress, step } from "../lib/step";

/**
 * Sees whether a cluster is still what its step left, and why that must run again if not. Writes the file of its admin kubeconfig again
 * where that was lost, and changes nothing else.
 */
export async function observeKindCluster(input: ObserveKindClusterInput): Promise<ObserveClusterOutput> {
    const [noted, cluster] = await Promise.all([
        lastEntryOf(input.resource),
        containers(`label=${kind.clusterLabel}=${input.wanted.name}`),
    ]);
    const entry = standing(noted);
    const ours = cluster.length > 0 && kind.isOurs(cluster, input.owner);
    const anew = entry?.output !== undefined && replaced(entry, input.wanted, Object.keys(kind.wantedFields));
    const stays = ours && entry?.done === true && !anew;
    if (ours) await keepFile(input, cluster);
    // Of one that is made anew, under another name perhaps, nothing else is to be said.
    const drift =
        entry?.output === undefined || anew ? undefined : await driftOf(entry, input, ours ? cluster : []);
    const last = stays
        ? (entry.output as ClusterOutput)
        : ours && entry === undefined && notesWereLost()
          ? await factsOf(input, cluster)
          : undefined;
    return { because: because(noted, drift), last };
}

/** What a cluster tells of itself that nothing is written down of; undefined: it does not serve. */
async function factsOf(
    { wanted: { name }, kubeconfigFile }: ObserveKindClusterInput,
    cluster: Container[],
): Promise<ClusterOutput | undefined> {
    if (cluster.some(standsStill)) return undefined;
    return describe(name, expandHome(kubeconfigFile), cluster).catch(() => undefined);
}

/** What is wrong with a cluster that was made; undefined: nothing that its step could mend. */
async function driftOf(
    entry: JournalEntry,
    input: ObserveKindClusterInput,
    cluster: Container[],
): Promise<string | undefined> {
    const { kubeconfigFile, owner } = input;
    const { name } = input.wanted;
    const found = kind.controlPlane(cluster);
    if (found === undefined) {
        const other = await containers(`label=${kind.clusterLabel}=${name}`);
        return isGone(entry, name, other.length > 0 && !kind.isOurs(other, owner));
    }
    const stopped = cluster.find(standsStill);
    if (stopped) {
        const { State } = stopped;
        const how = State.Paused
            ? "is paused"
            : `has stopped (exit code ${State.ExitCode}, ${State.FinishedAt?.replace(/\.\d+Z$/, "Z")})`;
        return `container ${kind.nodeNameOf(stopped)} of cluster "${name}", made ${madeAt(entry)}, ${how}: it is started again`;
    }
    return unanswering(entry, { name, kubeconfigFile }, (why) => writeFile(input, cluster, why));
}

/** Writes the file again where it was lost: nothing else of an unchanged stack would. */
async function keepFile(input: ObserveKindClusterInput, cluster: Container[]): Promise<void> {
    if ((await readOptional(expandHome(input.kubeconfigFile))) === undefined)
        await writeFile(input, cluster, "was lost");
}

async function writeFile(
    { wanted: { name }, kubeconfigFile }: ObserveKindClusterInput,
    cluster: Container[],
    why: string,
): Promise<void> {
    const controlPlane = kind.controlPlane(cluster);
    if (controlPlane === undefined || standsStill(controlPlane)) return;
    const mark = await run(["docker", "exec", controlPlane.Id, "test", "-e", kind.completeMark], {
        timeoutSeconds: 15,
        allowFailure: true,
    });
    if (mark.exitCode !== 0) return;
    const text = await kubeconfigOf(name);
    if ((await readOptional(expandHome(kubeconfigFile)))?.trimEnd() === text.trimEnd()) return;
    const file = await writeAdminKubeconfig(kindFile(name, kubeconfigFile), text);
    progress(`${file} ${why}; it is written again`);
}

step(module, "observeKindCluster", kind.observeKindClusterInput, observeKindCluster);
