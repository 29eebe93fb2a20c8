// Waiting until an object is gone.
import type { Props } from "../../lib/values";
import { listAt, textAt, textOf } from "../../lib/values";
import { isNotFound } from "../client";
import { objectName } from "../metadata";
import type { AwaitContext } from "./awaiter";
import { AwaitError, watchSelf } from "./awaiter";

const pollMs = 2000;

/** Waits until the object does not exist any more, or another one has its name. Throws AwaitError when time is up. */
export async function waitUntilDeleted(context: AwaitContext): Promise<void> {
    const { client, cancelled, timeoutMs } = context;
    const path = await client.pathOf(context.object);
    const uid = textAt(context.object, "metadata", "uid");
    const deadline = Date.now() + timeoutMs;
    const stop = new AbortController();
    let latest: Props = context.object;
    let wake = (): void => undefined;
    const self = await watchSelf(context, ({ type }) => {
        if (type === "DELETED") {
            wake();
        }
    });
    // The watch only makes it faster: the look itself decides, so a watch that breaks does no harm.
    client.watch(self.collection, self.fieldSelector, self.on, stop.signal).catch(() => undefined);
    try {
        for (;;) {
            const waited = new Promise<void>((resolve) => {
                wake = resolve;
                setTimeout(resolve, Math.min(pollMs, Math.max(0, deadline - Date.now())));
            });
            const live = await client.request("GET", path).catch((err: unknown) => {
                if (isNotFound(err)) {
                    return undefined;
                }
                context.status(
                    "warning",
                    `unexpected error while checking cluster state: ${(err as Error).message}`,
                );
                return latest;
            });
            if (live === undefined || (uid !== "" && textAt(live, "metadata", "uid") !== uid)) {
                return;
            }
            latest = live;
            const finalizers = listAt(latest, "metadata", "finalizers").map(textOf).join(", ");
            const why = finalizers === "" ? [] : [`finalizers might be preventing deletion (${finalizers})`];
            if (cancelled.aborted) {
                throw new AwaitError(
                    `Resource operation was cancelled for "${objectName(latest)}"`,
                    why,
                    latest,
                );
            }
            if (Date.now() >= deadline) {
                throw new AwaitError("timed out waiting for the condition", why, latest);
            }
            context.status("info", "Waiting for deletion");
            await waited;
        }
    } finally {
        stop.abort();
    }
}
