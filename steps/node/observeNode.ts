import type { NodeInput, ObserveNodeInput, ObserveOutput } from "../contract";
import { agentFiles, changedVariables, readRecord } from "./agent/agent";
import { nameOfAgent } from "./agent/launch";
import { running } from "./daemon/container";
import { driftOfProgram } from "./daemon/daemon";
import { faultOf } from "./agent/health";
import { madeAt, observe, type JournalEntry } from "../lib/journal";
import { kubeconfigPath, nodeName, object, text } from "../lib/schema";
import { step } from "../lib/step";

const input = object<ObserveNodeInput>({
    resource: text,
    program: text,
    nodeName,
    stateDir: kubeconfigPath,
});

/** Sees whether a node's agent is still what its step left, and why that must run again if not. */
export function observeNode(given: ObserveNodeInput): Promise<ObserveOutput> {
    return observe(given.resource, (entry) => driftOf(given, entry));
}

async function driftOf(given: ObserveNodeInput, entry: JournalEntry): Promise<string | undefined> {
    const files = agentFiles(given.stateDir);
    const name = `node "${given.nodeName}"`;
    const record = await readRecord(files);
    if (record === undefined)
        return `${name}, started ${madeAt(entry)}: what ran it is gone from ${files.stateDir}; it is started anew`;
    const agent = `${nameOfAgent(record)} of ${name}, started ${new Date(record.launchedAt).toISOString()},`;
    const drift = await driftOfProgram(agent, record, given.program);
    if (drift !== undefined) return drift;
    const address = record.container && (await running(record.container))?.address;
    if (address !== undefined && address !== record.container?.address)
        return `${agent} has another address than before (${record.container?.address} → ${address}): its certificates are looked at again`;
    const changed = changedVariables(record, process.env).join(", ");
    if (changed !== "")
        return `${agent} asks registries by another ${changed} than this environment has: it is replaced`;
    const fault = await faultOf(entry.input as NodeInput, files, record);
    return fault && `${agent} ${fault}: it is started again`;
}

step(module, "observeNode", input, observeNode);
