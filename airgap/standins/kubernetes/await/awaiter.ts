// Waiting until an object is what its maker meant: the frame that all kinds share.
import type { Severity } from "../../lib/engine";
import type { Props } from "../../lib/values";
import { isProps, listAt, textAt } from "../../lib/values";
import type { KubeClient, WatchEvent } from "../client";
import { namespaceOf, objectName } from "../metadata";

/** The object was made or changed, but did not become ready. */
export class AwaitError extends Error {
    constructor(
        message: string,
        /** What was last seen to be wrong, each a sentence. */
        readonly problems: string[],
        /** The object as it was seen last. */
        readonly object: Props,
    ) {
        super(message);
    }
}

export interface AwaitContext {
    client: KubeClient;
    /** Shows what is being waited for beside the resource. */
    status: (severity: Severity, message: string) => void;
    /** The object as the API server returned it from the create, update or get. */
    object: Props;
    timeoutMs: number;
    /** Aborts when the user cancels. */
    cancelled: AbortSignal;
}

export interface Watch {
    /** Path of the collection. */
    collection: string;
    fieldSelector?: string;
    on: (event: WatchEvent) => void;
}

/** What one kind needs to be ready. */
export interface Awaiter {
    watches: Watch[];
    /** The live object once it is ready. */
    ready: () => Props | undefined;
    /** The live object as last seen. */
    latest: () => Props;
    problems: () => string[];
    /** Whether waiting longer is in vain. */
    failed?: () => boolean;
    /** Called before `ready` when there is but one look, and no waiting. */
    settle?: () => void;
    /** Called every ten seconds, to show problems. */
    tick?: () => void;
}

export type AwaiterFactory = (context: AwaitContext) => Promise<Awaiter>;

/** The watch of one object by name. */
export async function watchSelf(context: AwaitContext, on: (event: WatchEvent) => void): Promise<Watch> {
    const { object, client } = context;
    const collection = await client.path(
        textAt(object, "apiVersion"),
        textAt(object, "kind"),
        namespaceOf(object),
    );
    return { collection, fieldSelector: `metadata.name=${objectName(object)}`, on };
}

/** Waits until the object is ready; throws AwaitError when time is up, the user cancels, or it cannot become ready. */
export async function waitUntilReady(context: AwaitContext, awaiter: Awaiter): Promise<Props> {
    const stop = new AbortController();
    const watches = [...awaiter.watches, await eventWatch(context)];
    return new Promise<Props>((resolve, reject) => {
        const name = objectName(context.object);
        const end = (finish: () => void): void => {
            stop.abort();
            clearTimeout(timer);
            clearInterval(ticker);
            context.cancelled.removeEventListener("abort", cancel);
            finish();
        };
        const fail = (message: string): void =>
            end(() => reject(new AwaitError(message, awaiter.problems(), awaiter.latest())));
        const look = (): void => {
            if (stop.signal.aborted) {
                return;
            }
            const ready = awaiter.ready();
            if (ready !== undefined) {
                end(() => resolve(ready));
            } else if (awaiter.failed?.()) {
                fail(`Resource '${name}' was created but failed to initialize`);
            }
        };
        const cancel = (): void => fail(`Resource operation was cancelled for "${name}"`);
        const timer = setTimeout(() => {
            look();
            if (!stop.signal.aborted) {
                fail(`'${name}' timed out waiting to be Ready`);
            }
        }, context.timeoutMs);
        let seconds = 0;
        const ticker = setInterval(() => {
            if (++seconds % 10 === 0) {
                awaiter.tick?.();
            }
            look(); // some are ready once enough time has passed
        }, 1000);
        context.cancelled.addEventListener("abort", cancel);
        if (context.cancelled.aborted) {
            cancel();
            return;
        }
        for (const watch of watches) {
            void keepWatching(context, watch, look, stop.signal);
        }
        look();
    });
}

/** Watches until told to stop; what breaks is shown and tried again, for an API server may be restarting. */
async function keepWatching(
    context: AwaitContext,
    watch: Watch,
    look: () => void,
    signal: AbortSignal,
): Promise<void> {
    while (!signal.aborted) {
        try {
            await context.client.watch(
                watch.collection,
                watch.fieldSelector,
                (event) => {
                    watch.on(event);
                    look();
                },
                signal,
            );
        } catch (err) {
            if (!signal.aborted) {
                context.status("warning", `cannot watch ${watch.collection}: ${(err as Error).message}`);
                await new Promise((resolve) => setTimeout(resolve, 1000));
            }
        }
    }
}

/** Warnings that Kubernetes records about the object, shown as they come. */
async function eventWatch(context: AwaitContext): Promise<Watch> {
    const { object, client } = context;
    return {
        collection: await client.path("v1", "Event", namespaceOf(object)),
        fieldSelector: `involvedObject.uid=${textAt(object, "metadata", "uid")}`,
        on: ({ type, object: event }) => {
            if (type !== "DELETED" && event.type === "Warning") {
                context.status("warning", `${textAt(event, "reason")}: ${textAt(event, "message")}`);
            }
        },
    };
}

/** Whether the object is ready right now; throws AwaitError with what is wrong when it is not. */
export async function checkReady(context: AwaitContext, awaiter: Awaiter): Promise<void> {
    for (const { collection, fieldSelector, on } of awaiter.watches) {
        const list = await context.client.request("GET", collection, { fieldSelector });
        const [kind, apiVersion] = [textAt(list, "kind").replace(/List$/, ""), textAt(list, "apiVersion")];
        for (const object of listAt(list, "items").filter(isProps)) {
            on({ type: "ADDED", object: { apiVersion, kind, ...object } });
        }
    }
    awaiter.settle?.();
    if (awaiter.ready() === undefined) {
        const name = objectName(context.object);
        throw new AwaitError(
            `Resource '${name}' was created but failed to initialize`,
            awaiter.problems(),
            awaiter.latest(),
        );
    }
}
