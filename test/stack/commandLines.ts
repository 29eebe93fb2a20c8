/** Every command line that is on this machine while it looks. */
import { readdirSync, readFileSync } from "node:fs";
import { isMainThread, parentPort, Worker } from "node:worker_threads";

/** A process may be there for a tenth of a second: none of the test's own work may keep this from looking, so it has a thread of its own. */
const PAUSE_MS = 3;

/** How long a process is looked at. It begins as a copy of the one that started it, and has its own command line once it gets its turn. */
const NEW_MS = 5_000;

/** Looks until the function that this gives is called, which gives what was seen. */
export function commandLines(): () => Promise<string[]> {
    const worker = new Worker(__filename);
    // Whoever fails before the end is not to wait for this.
    worker.unref();
    const seen = new Promise<string[]>((resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
    });
    seen.catch(() => undefined);
    return async () => {
        worker.ref();
        worker.postMessage("end");
        return await seen;
    };
}

function look(seen: Set<string>, since: Map<string, number>): void {
    const there = readdirSync("/proc").filter((name) => /^\d+$/.test(name));
    const known = new Set(there);
    for (const pid of since.keys()) if (!known.has(pid)) since.delete(pid);
    const now = Date.now();
    for (const pid of there) {
        const first = since.get(pid) ?? now;
        since.set(pid, first);
        if (now - first > NEW_MS) continue;
        try {
            seen.add(readFileSync(`/proc/${pid}/cmdline`, "utf8"));
        } catch {
            // It has ended.
        }
    }
}

if (!isMainThread && parentPort !== null) {
    const seen = new Set<string>();
    const since = new Map<string, number>();
    const looking = setInterval(() => look(seen, since), PAUSE_MS);
    const port = parentPort;
    port.once("message", () => {
        clearInterval(looking);
        port.postMessage([...seen]);
    });
}
