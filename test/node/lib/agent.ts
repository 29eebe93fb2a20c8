// The agent's process: looked at from outside, ended, and started again as `launchNode` does it.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { agentFiles, readRecord, runningAgents } from "../../../steps/node/agent";
import { endProcess, isAlive, type ProcessId } from "../../../steps/lib/processes";
import { pass } from "../../steps/runStep";
import { underTest } from "../underTest";
import { timeOf, type World } from "./world";

const files = () => agentFiles(underTest().node.stateDir);

/** The one agent that runs. */
export function agent(): ProcessId {
    const running = runningAgents(files());
    assert.equal(running.length, 1, `${running.length} agents run`);
    return running[0];
}

/** Starts the agent and waits until its node is Ready. */
export async function launch(): Promise<void> {
    const { node } = underTest();
    const { pid } = await pass("launchNode", node);
    assert.equal((await readRecord(files()))?.pid, pid);
    await pass("awaitNode", {
        kubeconfigFile: node.kubeconfigFile,
        nodeName: node.nodeName,
        stateDir: node.stateDir,
        timeoutSeconds: 60,
    });
}

/** Ends the agent as a power cut would: it learns nothing of it. */
export async function kill(world: World): Promise<void> {
    const target = agent();
    process.kill(target.pid, "SIGKILL");
    await world.until("the end of the agent", () => (isAlive(target) ? undefined : true));
}

/** Ends the agent in good order, and starts it again: one that has nothing behind it. */
export async function restart(): Promise<void> {
    await endProcess(agent(), 15);
    await launch();
}

/** Resident memory of the agent in bytes. */
export function residentBytes(): number {
    const status = readFileSync(`/proc/${agent().pid}/status`, "utf8");
    const kibibytes = /^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1];
    assert.ok(kibibytes !== undefined, status);
    return Number(kibibytes) * 1024;
}

/** When the node's Lease was renewed, in milliseconds since 1970. */
export async function renewedAt(world: World): Promise<number> {
    const path = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${underTest().node.nodeName}`;
    return timeOf((await world.api.get<{ spec: { renewTime: string } }>(path)).spec.renewTime);
}
