import * as http from "node:http";
import * as https from "node:https";
import { KubeError, type WatchEvent } from "./kube";

/** How a program gets at the API server. */
export interface ApiAccess {
    /** URL of the API server. */
    server: string;
    /** PEM certificates that its certificate must be signed by. */
    authorityPem: string;
    /** Bearer token. Secret. */
    token: string;
}

/** How long one answer may take, in milliseconds. */
const answerMilliseconds = 15_000;

/**
 * The API server over HTTPS with a bearer token, for a program that runs for long: no kubectl beside it that takes as much memory
 * again. `access` is asked for each request, so that a renewed token is used from then on.
 */
export class KubeHttp {
    constructor(private readonly access: () => ApiAccess) {}

    async get<T>(path: string): Promise<T> {
        return JSON.parse(await this.send("GET", path)) as T;
    }

    async post<T>(path: string, body: object): Promise<T> {
        return JSON.parse(await this.send("POST", path, body)) as T;
    }

    async replace(path: string, body: object): Promise<void> {
        await this.send("PUT", path, body);
    }

    /** Hands each change to `onEvent`, one after the other, until the server or `signal` ends the watch. */
    watch<T>(
        path: string,
        seconds: number,
        onEvent: (event: WatchEvent<T>) => Promise<void>,
        signal: AbortSignal,
    ): Promise<void> {
        const query = path.includes("?") ? "&" : "?";
        const target = `${path}${query}watch=1&timeoutSeconds=${seconds}`;
        return this.exchange("GET", target, undefined, (seconds + 30) * 1000, signal, async (response) => {
            let rest = "";
            for await (const piece of response.setEncoding("utf8") as AsyncIterable<string>) {
                const lines = (rest + piece).split("\n");
                rest = lines.pop() ?? "";
                for (const line of lines.filter(Boolean)) {
                    const event = JSON.parse(line) as WatchEvent<T>;
                    // What is too old to go on from: whoever watches begins anew.
                    if (event.type === "ERROR") return;
                    await onEvent(event);
                }
            }
        });
    }

    private send(method: string, path: string, body?: object): Promise<string> {
        return this.exchange(method, path, body, answerMilliseconds, undefined, textOf);
    }

    private exchange<T>(
        method: string,
        path: string,
        body: object | undefined,
        milliseconds: number,
        signal: AbortSignal | undefined,
        read: (response: http.IncomingMessage) => Promise<T>,
    ): Promise<T> {
        const { server, authorityPem, token } = this.access();
        const url = new URL(path, server);
        const content = body === undefined ? undefined : JSON.stringify(body);
        const headers: http.OutgoingHttpHeaders = {
            authorization: `Bearer ${token}`,
            accept: "application/json",
        };
        if (content !== undefined) {
            headers["content-type"] = "application/json";
            headers["content-length"] = Buffer.byteLength(content);
        }
        const over = new AbortController();
        let late = false;
        const timer = setTimeout(() => {
            late = true;
            over.abort();
        }, milliseconds);
        const stop = () => {
            over.abort();
        };
        signal?.addEventListener("abort", stop);
        if (signal?.aborted) stop();
        const options = { method, headers, agent: false, signal: over.signal };
        return new Promise<T>((resolve, reject) => {
            const fail = (error: Error) => {
                reject(signal?.aborted ? error : unanswered(late ? new Error("timeout") : error));
            };
            const onResponse = (response: http.IncomingMessage) => {
                const { statusCode = 0 } = response;
                if (statusCode >= 200 && statusCode < 300) read(response).then(resolve, fail);
                else
                    textOf(response).then((text) => {
                        reject(refusal(statusCode, text));
                    }, fail);
            };
            const request =
                url.protocol === "http:"
                    ? http.request(url, options, onResponse)
                    : https.request(url, { ...options, ca: authorityPem }, onResponse);
            request.on("error", fail);
            request.end(content);
        }).finally(() => {
            clearTimeout(timer);
            signal?.removeEventListener("abort", stop);
            // Ends what is still under way: a response that nobody reads to its end.
            over.abort();
        });
    }
}

async function textOf(response: http.IncomingMessage): Promise<string> {
    let text = "";
    for await (const piece of response.setEncoding("utf8") as AsyncIterable<string>) text += piece;
    return text;
}

/** What the API server said instead of doing it: a Status object. */
function refusal(code: number, text: string): KubeError {
    let status: { reason?: string; message?: string } = {};
    try {
        status = JSON.parse(text) as typeof status;
    } catch {
        // Something in front of it answered.
    }
    const reason = status.reason ?? (code === 401 ? "Unauthorized" : `HTTP ${code}`);
    return new KubeError(`the API server answered ${code}: ${status.message ?? "no message"}`, reason);
}

function unanswered(error: Error): Error {
    return error instanceof KubeError
        ? error
        : new KubeError(`the API server does not answer: ${error.message}`, "Unreachable", { cause: error });
}
