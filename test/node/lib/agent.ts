// The agent's process: looked at from outside, ended, and started again as `launchNode` does it.
import assert from "node:assert/strict";
import { readdirSync, readFileSync, readlinkSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { agentFiles, endAgents, readRecord, runningAgents } from "../../../steps/node/agent/agent";
import { isAlive, processesThat, type ProcessId } from "../../../steps/lib/processes";
import type { ProcessNodeInput } from "../../../steps/node/contract";
import { residentBytesOf } from "../../memory";
import { pass } from "../../steps/runStep";
import { underTest } from "../underTest";
import { timeOf, type World } from "./world";

const files = () => agentFiles(underTest().node.stateDir);

/** The one agent that runs; its supervisor is another process. */
export function agent(): ProcessId {
    const running = processesThat(
        (argv) =>
            path.basename(argv[0]) === "krustlet-wasi" && argv.includes(`--data-dir=${files().dataDir}`),
    );
    assert.equal(running.length, 1, `${running.length} agents run`);
    return running[0];
}

/** Starts the agent, with other settings perhaps, and waits until its node is Ready. */
export async function launch(settings: Partial<ProcessNodeInput> = {}): Promise<void> {
    const node = { ...underTest().node, ...settings };
    const { pid } = await pass("launchNode", node);
    assert.equal((await readRecord(files()))?.pid, pid);
    await pass("awaitNode", {
        kubeconfigFile: node.kubeconfigFile,
        nodeName: node.nodeName,
        stateDir: node.stateDir,
        timeoutSeconds: 60,
    });
}

/** Ends the agent and its supervisor as a power cut would: they learn nothing of it. */
export async function kill(world: World): Promise<void> {
    const all = runningAgents(files());
    assert.equal(all.length, 2, "the agent and its supervisor");
    for (const { pid } of all) process.kill(pid, "SIGKILL");
    await world.until("their end", () => (all.some(isAlive) ? undefined : true));
}

/** Ends the agent in good order, and starts it again: one that has nothing behind it. */
export async function restart(settings: Partial<ProcessNodeInput> = {}): Promise<void> {
    await endAgents(files(), () => undefined);
    await launch(settings);
}

/** How many connections to this port the agent has open. */
export function connectionsTo(port: number): number {
    const { pid } = agent();
    const sockets = new Set<string>();
    for (const descriptor of readdirSync(`/proc/${pid}/fd`)) {
        try {
            const inode = /^socket:\[(\d+)\]$/.exec(readlinkSync(`/proc/${pid}/fd/${descriptor}`))?.[1];
            if (inode !== undefined) sockets.add(inode);
        } catch {
            // It was closed meanwhile.
        }
    }
    const wanted = port.toString(16).toUpperCase().padStart(4, "0");
    const lines = ["tcp", "tcp6"].flatMap((kind) =>
        readFileSync(`/proc/${pid}/net/${kind}`, "utf8").split("\n"),
    );
    return lines.filter((line) => {
        const [, , remote = "", state, , , , , , inode] = line.trim().split(/ +/);
        return state === "01" && remote.endsWith(`:${wanted}`) && sockets.has(inode);
    }).length;
}

/** Resident memory of the agent in bytes. */
export function residentBytes(): number {
    return residentBytesOf(agent().pid);
}

/** Its resident memory once it has come to rest: the least of a few looks. */
export async function restedBytes(): Promise<number> {
    const seen: number[] = [];
    for (let look = 0; look < 10; look += 1) {
        seen.push(residentBytes());
        await sleep(300);
    }
    return Math.min(...seen);
}

/** When the node's Lease was renewed, in milliseconds since 1970. */
export async function renewedAt(world: World): Promise<number> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${underTest().node.nodeName}`;
    return timeOf((await world.api.get<{ spec: { renewTime: string } }>(path)).spec.renewTime);
}
