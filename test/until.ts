import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";

/** Waits for what is there sooner or later. */
export async function until<T>(what: string, look: () => Promise<T | undefined>, seconds = 60): Promise<T> {
    const end = Date.now() + seconds * 1000;
    for (;;) {
        const found = await look();
        if (found !== undefined) return found;
        assert.ok(Date.now() < end, `${what} did not come within ${seconds} s`);
        await sleep(200);
    }
}
