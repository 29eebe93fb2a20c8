// The control plane of the cluster, where something happens to it.
import assert from "node:assert/strict";
import { run } from "../../../steps/lib/run";
import { underTest } from "../underTest";
import type { World } from "./world";

const container = () => `${underTest().clusterName}-control-plane`;

/** Does something while nothing in the control plane's container gets a turn: connections to the API server are open, and it is silent. */
export async function whileSilent(act: () => Promise<void>): Promise<void> {
    await run(["docker", "pause", container()], { timeoutSeconds: 30 });
    try {
        await act();
    } finally {
        await run(["docker", "unpause", container()], { timeoutSeconds: 30 });
    }
}

/** A command in the control plane's container: `/proc` is all that it needs there. */
async function inControlPlane(script: string): Promise<string> {
    const { stdout } = await run(["docker", "exec", container(), "/bin/sh", "-c", script], {
        timeoutSeconds: 30,
        allowFailure: true,
    });
    return stdout.trim();
}

/** Process id of the API server in its container; empty while there is none. */
function apiServerPid(): Promise<string> {
    return inControlPlane(
        'for p in /proc/[0-9]*; do [ "$(cat "$p/comm" 2>/dev/null)" = kube-apiserver ] && echo "${p#/proc/}"; done',
    );
}

/** Ends the API server; the control plane's kubelet starts it again. Returns its process id. */
export async function killApiServer(): Promise<string> {
    const pid = await apiServerPid();
    assert.match(pid, /^\d+$/);
    await inControlPlane(`kill -9 ${pid}`);
    return pid;
}

/** Waits for the API server that comes after the one that died. */
export async function untilApiServer(world: World, died: string): Promise<void> {
    await world.until(
        "the API server, anew",
        async () => {
            const answer = await world.api.request("GET", "/readyz", undefined, {}, 2).catch(() => undefined);
            return answer?.status === 200 && (await apiServerPid()) !== died ? true : undefined;
        },
        { seconds: 120 },
    );
}
