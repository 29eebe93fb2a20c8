// One exchange with the API server over HTTPS: connections that are kept, a deadline for everything, errors by their kind.
import { createHash } from "node:crypto";
import * as http from "node:http";
import * as https from "node:https";
import { rootCertificates } from "node:tls";
import { messageOf, StepError } from "../errors";
import type { ApiAccess } from "./access";
import { hostAuthorities, isLoopbackHost, proxyOf, TunnelAgent } from "../proxy";

/** An answer of the API server other than success, or none at all. */
export class KubeError extends StepError {
    constructor(
        message: string,
        /** Reason as Kubernetes names it (`NotFound`, `Conflict`, …); `Gone` and `Unreachable` when nothing answered, `Unusable` when nothing could be asked. */
        readonly reason: string,
        options?: ErrorOptions,
    ) {
        super(message, options);
    }

    /** Whether nothing answered: neither yes nor no. */
    get unanswered(): boolean {
        return this.reason === "Gone" || this.reason === "Unreachable";
    }
}

/** What is asked. */
export interface ApiRequest {
    /** PATCH: `body` is a JSON merge patch (RFC 7386). */
    method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
    /** Path and query, from the server's own path on. */
    path: string;
    body?: object;
    /** How long it may take, to the last byte of the answer. */
    milliseconds: number;
    /** Ends it when its result is no longer wanted. */
    signal?: AbortSignal;
}

/** The connections to one API server. They keep no process alive. */
export class Transport {
    private agent: { agent: http.Agent; of: string } | undefined;

    /** Sends a request and hands a good answer to `read`. */
    async exchange<T>(
        access: ApiAccess,
        request: ApiRequest,
        read: (response: http.IncomingMessage) => Promise<T>,
    ): Promise<T> {
        try {
            return await this.once(access, request, read);
        } catch (error) {
            // The server has closed a connection that was kept, at the moment it was used again: it has read nothing.
            if (error instanceof KubeError && error.cause instanceof StaleConnection)
                return this.once(access, request, read);
            throw error;
        }
    }

    private once<T>(
        access: ApiAccess,
        { method, path, body, milliseconds, signal }: ApiRequest,
        read: (response: http.IncomingMessage) => Promise<T>,
    ): Promise<T> {
        const base = new URL(access.server);
        const url = new URL(base.pathname.replace(/\/$/, "") + path, base);
        const content = body === undefined ? undefined : JSON.stringify(body);
        const headers: http.OutgoingHttpHeaders = { accept: "application/json", ...access.headers };
        if (access.authorization !== undefined) headers.authorization = access.authorization;
        if (content !== undefined) {
            headers["content-type"] =
                method === "PATCH" ? "application/merge-patch+json" : "application/json";
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
        return new Promise<T>((resolve, reject) => {
            const sent = this.request(access, url, { method, headers, signal: over.signal }, (response) => {
                const { statusCode = 0 } = response;
                if (statusCode >= 200 && statusCode < 300) read(response).then(resolve, fail);
                else
                    textOf(response).then((text) => {
                        reject(refusal(statusCode, text));
                    }, fail);
            });
            const fail = (error: Error) => {
                if (error instanceof StepError || signal?.aborted) {
                    reject(error);
                    return;
                }
                const stale =
                    sent.reusedSocket && isReset(error) ? new StaleConnection(error.message) : error;
                const limit = `it did not answer within ${milliseconds / 1000} s`;
                reject(unanswered(late ? new Error(limit) : stale, url));
            };
            sent.on("error", fail);
            sent.end(content);
        }).finally(() => {
            clearTimeout(timer);
            signal?.removeEventListener("abort", stop);
        });
    }

    private request(
        access: ApiAccess,
        url: URL,
        options: http.RequestOptions,
        onResponse: (response: http.IncomingMessage) => void,
    ): http.ClientRequest {
        try {
            const { request } = url.protocol === "http:" ? http : https;
            return request(url, { ...options, agent: this.agentOf(access, url) }, onResponse);
        } catch (error) {
            // OpenSSL's words alone, which have nothing of the key.
            throw new KubeError(
                `the kubeconfig's certificates or key cannot be used (${messageOf(error)})`,
                "Unusable",
                { cause: error },
            );
        }
    }

    /** The agent whose connections are for that access; another credential gets connections of its own. */
    private agentOf(access: ApiAccess, url: URL): http.Agent {
        const proxy = access.proxy ?? proxyOf(url);
        const { authorityPem, certificatePem, keyPem, serverName, insecure } = access;
        const of = createHash("sha256")
            .update(
                JSON.stringify([
                    url.origin,
                    proxy,
                    authorityPem,
                    certificatePem,
                    keyPem,
                    serverName,
                    insecure,
                ]),
            )
            .digest("hex");
        if (this.agent?.of !== of) {
            this.agent?.agent.destroy();
            const options: https.AgentOptions = {
                keepAlive: true,
                // An API server ends connections that are idle for minutes; ours ends first.
                timeout: 60_000,
                ca: insecure ? undefined : (authorityPem ?? [...rootCertificates, ...hostAuthorities()]),
                cert: certificatePem,
                key: keyPem,
                servername: serverName,
                rejectUnauthorized: !insecure,
            };
            let agent: http.Agent;
            if (url.protocol === "http:") agent = new http.Agent({ keepAlive: true });
            else agent = proxy === undefined ? new https.Agent(options) : new TunnelAgent(proxy, options);
            this.agent = { agent, of };
        }
        return this.agent.agent;
    }
}

class StaleConnection extends Error {}

function isReset(error: Error): boolean {
    return ["ECONNRESET", "EPIPE"].includes((error as NodeJS.ErrnoException).code ?? "");
}

/** All that an answer says. */
export async function textOf(response: http.IncomingMessage): Promise<string> {
    let text = "";
    for await (const piece of response.setEncoding("utf8") as AsyncIterable<string>) text += piece;
    return text;
}

/** What the API server said instead of doing it: a Status object. */
function refusal(code: number, text: string): KubeError {
    let status: { reason?: unknown; message?: unknown } = {};
    try {
        status = (JSON.parse(text) as typeof status | null) ?? {};
    } catch {
        // Something in front of it answered, or a node whose log was asked for.
    }
    const { reason, message } = status;
    const said = typeof message === "string" && message !== "" ? message : text.trim().slice(0, 200);
    return new KubeError(
        `the API server answered ${code}: ${said || "no message"}`,
        typeof reason === "string" && reason !== "" ? reason : (usualReasons[code] ?? `HTTP ${code}`),
    );
}

const usualReasons: Record<number, string> = {
    401: "Unauthorized",
    403: "Forbidden",
    404: "NotFound",
    409: "Conflict",
};

/** Codes of OpenSSL and Node.js which say that another cluster's server answers: its certificate is not of the authority. */
const foreignCertificate =
    /^(UNABLE_TO_(VERIFY_LEAF_SIGNATURE|GET_ISSUER_CERT(_LOCALLY)?)|SELF_SIGNED_CERT_IN_CHAIN|DEPTH_ZERO_SELF_SIGNED_CERT|CERT_SIGNATURE_FAILURE)$/;

/**
 * Nothing answered. The cluster is gone for certain where this very machine says that nobody listens at its port, and where
 * another cluster answers in its place; anything else may be the network, or a server that is busy.
 */
export function unanswered(error: Error, url: URL): KubeError {
    // Where a name has several addresses, the words and the codes are in the parts.
    const parts = error instanceof AggregateError ? (error.errors as NodeJS.ErrnoException[]) : [];
    const all = [error as NodeJS.ErrnoException, ...parts];
    const refused = all.some(({ code }) => code === "ECONNREFUSED") && isLoopbackHost(url.hostname);
    const foreign = all.some(({ code }) => foreignCertificate.test(code ?? ""));
    const words = error.message.trim() || parts.map(({ message }) => message).join(", ");
    return new KubeError(
        `the API server does not answer: ${words} (${url.origin})`,
        refused || foreign ? "Gone" : "Unreachable",
        { cause: error },
    );
}
