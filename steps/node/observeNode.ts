import type { NodeInput, ObserveNodeInput, ObserveOutput } from "../contract";
import { agentFiles, changedVariables, readRecord } from "./agent";
import { sha256OfFile } from "../lib/files";
import { because, entryOf, madeAt, type JournalEntry } from "../lib/journal";
import { KubeError, NoKubeconfig, withKube } from "../lib/kube/kube";
import { isAlive } from "../lib/processes";
import { presentProgram } from "../lib/programs/programs";
import { kubeconfigPath, nodeName, object, text } from "../lib/schema";
import { step } from "../lib/step";

const input = object<ObserveNodeInput>({
    resource: text,
    program: text,
    nodeName,
    stateDir: kubeconfigPath,
});

/** How long the API server may take for a look, in seconds. */
const lookSeconds = 5;

/** Sees whether a node's agent is still what its step left, and why that must run again if not. */
export async function observeNode(given: ObserveNodeInput): Promise<ObserveOutput> {
    const entry = await entryOf(given.resource);
    if (entry?.output === undefined) return { because: because(entry, undefined) };
    return { because: because(entry, await driftOf(given, entry)) };
}

async function driftOf(given: ObserveNodeInput, entry: JournalEntry): Promise<string | undefined> {
    const files = agentFiles(given.stateDir);
    const name = `node "${given.nodeName}"`;
    const record = await readRecord(files);
    if (record === undefined)
        return `${name}, started ${madeAt(entry)}: what ran it is gone from ${files.stateDir}; it is started anew`;
    const agent = `agent ${record.pid} of ${name}, started ${new Date(record.launchedAt).toISOString()},`;
    if (!isAlive(record)) return `${agent} is not running any more: it is started again`;
    const program = await presentProgram(given.program);
    // One that is yet to be built is seen when its step runs.
    if (program !== undefined && (await sha256OfFile(program)) !== record.programSha256)
        return `${agent} is of another build than ${program}: it is replaced`;
    const changed = changedVariables(record, process.env).join(", ");
    if (changed !== "")
        return `${agent} asks registries by another ${changed} than this environment has: it is replaced`;
    return record.joined && (await hasLeft(entry.input as NodeInput))
        ? `${agent} runs, but its Node is not in the cluster: it is started again`
        : undefined;
}

/** Whether the cluster answers and has no such Node. */
async function hasLeft({ kubeconfigFile, nodeName }: NodeInput): Promise<boolean> {
    try {
        return (
            (await withKube(
                kubeconfigFile,
                (kube) => kube.find(`/api/v1/nodes/${nodeName}`),
                lookSeconds,
            )) === undefined
        );
    } catch (error) {
        // That is about the cluster, which has a look of its own.
        if (error instanceof KubeError || error instanceof NoKubeconfig) return false;
        throw error;
    }
}

step(module, "observeNode", input, observeNode);
