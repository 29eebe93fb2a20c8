import { StepError } from "../errors";
import { createHash } from "node:crypto";
import type { IncomingMessage } from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { accessOf, type AccessSource } from "./access";
import { NoKubeconfig } from "./kubeconfig";
import { KubeError, textOf, Transport, type ApiRequest } from "./transport";
import { endingSignal, stopIfEnding } from "../step";

export { clusterOf, type ClusterEntry } from "./access";
export { NoKubeconfig } from "./kubeconfig";
export { KubeError } from "./transport";

/** One change that a watch tells of. */
export interface WatchEvent<T> {
    type: "ADDED" | "MODIFIED" | "DELETED" | "BOOKMARK" | "ERROR";
    object: T;
}

/** The API server, over HTTPS: the one client of the steps. */
export class Kube {
    private readonly transport = new Transport();

    constructor(
        private readonly access: AccessSource,
        /** How long one answer may take, in seconds. */
        private readonly requestTimeoutSeconds = 10,
    ) {}

    async get<T>(path: string): Promise<T> {
        return jsonOf<T>(await this.getText(path));
    }

    /** As `get`, for what is no JSON: a container's log. */
    getText(path: string): Promise<string> {
        return this.send("GET", path);
    }

    /** As `get`; undefined when there is no such object. */
    async find<T>(path: string): Promise<T | undefined> {
        try {
            return await this.get<T>(path);
        } catch (error) {
            if (error instanceof KubeError && error.reason === "NotFound") return undefined;
            throw error;
        }
    }

    async create(path: string, body: object): Promise<void> {
        await this.send("POST", path, body);
    }

    /** As `create`, for what answers with more than what was sent: `serviceaccounts/<name>/token`, say. */
    async post<T>(path: string, body: object): Promise<T> {
        return jsonOf<T>(await this.send("POST", path, body));
    }

    async replace(path: string, body: object): Promise<void> {
        await this.send("PUT", path, body);
    }

    /** Changes the fields of an object that `part` has, and leaves all others. */
    async merge(path: string, part: object): Promise<void> {
        await this.send("PATCH", path, part);
    }

    /** Deletes an object, or all that a selector in `path` names; what is not there is fine. */
    async delete(path: string, options?: object): Promise<void> {
        try {
            await this.send("DELETE", path, options);
        } catch (error) {
            if (!(error instanceof KubeError && error.reason === "NotFound")) throw error;
        }
    }

    /**
     * Hands every object at `path` and each change of one to `onEvent`, until that returns a value or the time is up
     * (undefined). The server ends a watch now and then, and may be started anew meanwhile: it is begun again, so `onEvent` may
     * see an object twice. A server that answers no more until the time is up is an error.
     */
    async watch<T, R>(
        path: string,
        timeoutSeconds: number,
        onEvent: (event: WatchEvent<T>) => Promise<R | undefined>,
        unwanted?: AbortSignal,
    ): Promise<R | undefined> {
        const signal = AbortSignal.any([endingSignal, ...(unwanted === undefined ? [] : [unwanted])]);
        const deadline = Date.now() + timeoutSeconds * 1000;
        const onChange = async (event: WatchEvent<T>) =>
            event.type === "ADDED" || event.type === "MODIFIED" ? onEvent(event) : undefined;
        let silence: KubeError | undefined;
        for (let first = true; Date.now() < deadline && !signal.aborted; first = false) {
            // A server that ends each watch at once, or does not listen yet, is not to be pressed.
            if (!first) await sleep(Math.min(silence === undefined ? 50 : 500, deadline - Date.now()));
            try {
                const seconds = Math.max(1, Math.ceil((deadline - Date.now()) / 1000));
                const found = await this.watchOnce<T, R>(path, seconds, onChange, signal);
                silence = undefined;
                if (found !== undefined) return found;
            } catch (error) {
                if (signal.aborted) break;
                if (first || !(error instanceof KubeError && error.unanswered)) throw error;
                silence = error;
            }
        }
        stopIfEnding();
        if (silence !== undefined && !signal.aborted) throw silence;
        return undefined;
    }

    /**
     * One watch: hands each change to `onEvent`, one after the other, until that returns a value, or the server or the signal
     * ends it (undefined). Where what `path` would go on from is too old, it ends too: whoever watches begins anew.
     */
    private async watchOnce<T, R>(
        path: string,
        seconds: number,
        onEvent: (event: WatchEvent<T>) => Promise<R | undefined>,
        signal?: AbortSignal,
    ): Promise<R | undefined> {
        const query = path.includes("?") ? "&" : "?";
        const target = `${path}${query}watch=1&timeoutSeconds=${seconds}`;
        /** What `onEvent` threw: no failure of the exchange. */
        let thrown: { error: unknown } | undefined;
        const read = async (response: IncomingMessage): Promise<R | undefined> => {
            let rest = "";
            try {
                for await (const piece of response.setEncoding("utf8") as AsyncIterable<string>) {
                    const lines = (rest + piece).split("\n");
                    rest = lines.pop() ?? "";
                    for (const line of lines.filter(Boolean)) {
                        const event = jsonOf<WatchEvent<T>>(line);
                        if (event.type === "ERROR") return undefined;
                        const found = await onEvent(event).catch((error: unknown) => {
                            thrown = { error };
                            return undefined;
                        });
                        if (found !== undefined || thrown !== undefined) return found;
                    }
                }
            } catch (error) {
                // A connection that breaks off is the end of a watch, as any.
                if (!isBrokenOff(error) || signal?.aborted) throw error;
            } finally {
                response.destroy();
            }
            return undefined;
        };
        const milliseconds = (seconds + this.requestTimeoutSeconds) * 1000;
        const found = await this.ask({ method: "GET", path: target, milliseconds, signal }, read);
        if (thrown !== undefined) throw thrown.error;
        return found;
    }

    private send(method: ApiRequest["method"], path: string, body?: object): Promise<string> {
        return this.ask({ method, path, body, milliseconds: this.requestTimeoutSeconds * 1000 }, textOf);
    }

    private async ask<T>(request: ApiRequest, read: (response: IncomingMessage) => Promise<T>): Promise<T> {
        const given = await this.access();
        try {
            return await this.transport.exchange(given, request, read);
        } catch (error) {
            // A plugin's credential may have been revoked before its time; it is asked for another one, once.
            if (!(error instanceof KubeError && error.reason === "Unauthorized")) throw error;
            const renewed = await this.access(true);
            if (
                renewed.authorization === given.authorization &&
                renewed.certificatePem === given.certificatePem
            )
                throw error;
            return this.transport.exchange(renewed, request, read);
        }
    }
}

/** What an answer holds. An error does not repeat it: it may hold anything. */
function jsonOf<T>(text: string): T {
    try {
        return JSON.parse(text) as T;
    } catch {
        throw new KubeError(
            "the API server answered with what is no JSON: something else answers in its place",
            "NotJson",
        );
    }
}

function isBrokenOff(error: unknown): boolean {
    return ["ECONNRESET", "ERR_STREAM_PREMATURE_CLOSE"].includes((error as NodeJS.ErrnoException).code ?? "");
}

/** Runs `use` with the cluster that a kubeconfig file leads to. Throws NoKubeconfig where there is no such file. */
export async function withKube<T>(
    kubeconfigFile: string,
    use: (kube: Kube) => Promise<T>,
    requestTimeoutSeconds = 10,
): Promise<T> {
    return use(new Kube(await accessOf(kubeconfigFile), requestTimeoutSeconds));
}

/** How long the API server may take for a look, in seconds. */
const lookSeconds = 5;

/** What a look into a cluster sees; undefined where it cannot be looked into, which is for the cluster's own look to tell. */
export async function lookInto<T>(
    kubeconfigFile: string,
    look: (kube: Kube) => Promise<T>,
): Promise<{ seen: T } | undefined> {
    try {
        return { seen: await withKube(kubeconfigFile, look, lookSeconds) };
    } catch (error) {
        if (error instanceof StepError) return undefined;
        throw error;
    }
}

/** How long a cluster may be too busy to answer before it is taken to serve no more, in seconds. */
const busySeconds = 15;

/**
 * Deletes what is left in a cluster that may be gone already: with it everything in it has gone too, and nothing is left to
 * do. One that is there but does not answer is tried again for a while; it must not keep anybody from removing the rest.
 * Returns whether the cluster answered.
 */
export async function ifClusterAnswers(
    kubeconfigFile: string,
    use: (kube: Kube) => Promise<void>,
    note: (line: string) => void,
): Promise<boolean> {
    const deadline = Date.now() + busySeconds * 1000;
    const nothing = (why: string) => {
        note(`nothing is deleted in the cluster${why}`);
        return false;
    };
    for (;;) {
        try {
            await withKube(kubeconfigFile, use, 4);
            return true;
        } catch (error) {
            // It goes with the cluster.
            if (error instanceof NoKubeconfig) return nothing(`: there is no ${error.file} to reach it by`);
            if (!(error instanceof KubeError && (error.unanswered || error.reason === "Unauthorized")))
                throw error;
            if (error.reason !== "Unreachable") return nothing(`, which is gone: ${error.message}`);
            if (Date.now() > deadline)
                return nothing(`, which has not answered for ${busySeconds} s: ${error.message}`);
            await sleep(250);
        }
    }
}

/** A label's value that stands for a text of any form: Kubernetes allows few characters in one. */
export function labelHash(...parts: string[]): string {
    return createHash("sha256").update(parts.join("\0")).digest("hex").slice(0, 32);
}
