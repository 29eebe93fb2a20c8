// A small client for the Kubernetes API: JSON requests, discovery of one kind's path, lists and watches. It knows no models,
// so that it starts in no time and serves every kind that the API server has.
import * as http from "node:http";
import * as https from "node:https";
import type { Props, Value } from "../lib/values";
import { at, isProps, listAt, textAt } from "../lib/values";
import type { Connection } from "./kubeconfig";

/** An answer of the API server that is no success. */
export class ApiError extends Error {
    constructor(
        readonly status: number,
        /** Kubernetes' machine-readable reason, such as NotFound or Conflict. */
        readonly reason: string,
        message: string,
        readonly details: Value,
    ) {
        super(message);
    }
}

/** The API server has no such apiVersion and kind. */
export class NoMatchError extends Error {
    constructor(apiVersion: string, kind: string) {
        super(`no matches for kind "${kind}" in version "${apiVersion}"`);
    }
}

export function isNotFound(err: unknown): boolean {
    return err instanceof ApiError && err.status === 404;
}

export interface Mapping {
    /** Path up to the group version: /api/v1 or /apis/apps/v1. */
    base: string;
    plural: string;
    namespaced: boolean;
}

export interface WatchEvent {
    type: "ADDED" | "MODIFIED" | "DELETED";
    object: Props;
}

const connectTimeoutMs = 30_000;

export class KubeClient {
    private readonly agent: http.Agent;
    private readonly discovered = new Map<string, Promise<Props[]>>();

    constructor(readonly connection: Connection) {
        const secure = connection.server.protocol === "https:";
        this.agent = secure
            ? new https.Agent({
                  keepAlive: true,
                  ca: connection.ca,
                  cert: connection.cert,
                  key: connection.key,
                  rejectUnauthorized: !connection.insecure,
                  ...(connection.serverName ? { servername: connection.serverName } : {}),
              })
            : new http.Agent({ keepAlive: true });
    }

    close(): void {
        this.agent.destroy();
    }

    /** Sends one request and reads its JSON answer. Throws ApiError, or the connection's own error. */
    async request(
        method: string,
        path: string,
        query: Record<string, string | undefined> = {},
        body?: { json: Value; type?: string },
        signal?: AbortSignal,
    ): Promise<Props> {
        const response = await this.open(method, path, query, body, signal);
        const text = await readAll(response);
        const parsed = parseJson(text);
        const status = response.statusCode ?? 0;
        if (status < 200 || status > 299) {
            throw new ApiError(
                status,
                textAt(parsed, "reason"),
                textAt(parsed, "message") || text.trim() || `HTTP status ${status}`,
                at(parsed, "details") ?? null,
            );
        }
        return isProps(parsed) ? parsed : {};
    }

    private async open(
        method: string,
        path: string,
        query: Record<string, string | undefined>,
        body?: { json: Value; type?: string },
        signal?: AbortSignal,
    ): Promise<http.IncomingMessage> {
        const { server } = this.connection;
        const url = new URL(server.href.replace(/\/$/, "") + path);
        for (const [key, value] of Object.entries(query)) {
            if (value !== undefined) {
                url.searchParams.set(key, value);
            }
        }
        const authorization = await this.connection.authorization();
        const payload = body === undefined ? undefined : Buffer.from(JSON.stringify(body.json));
        const headers: http.OutgoingHttpHeaders = {
            accept: "application/json",
            "user-agent": "pulumi-resource-kubernetes (air-gapped stand-in)",
            ...(authorization === undefined ? {} : { authorization }),
            ...(payload === undefined
                ? {}
                : { "content-type": body?.type ?? "application/json", "content-length": payload.length }),
        };
        const send = url.protocol === "https:" ? https.request : http.request;
        return new Promise((resolve, reject) => {
            const request = send(url, { method, agent: this.agent, headers, signal }, resolve);
            request.on("error", (err) => reject(describe(err, `${method} ${url.origin}${url.pathname}`)));
            request.on("socket", (socket) => {
                if (socket.connecting) {
                    const timer = setTimeout(
                        () => request.destroy(new Error(`no connection within ${connectTimeoutMs / 1000} s`)),
                        connectTimeoutMs,
                    );
                    socket.once("connect", () => clearTimeout(timer));
                    socket.once("close", () => clearTimeout(timer));
                }
            });
            request.end(payload);
        });
    }

    /** Where the objects of a kind live. Throws NoMatchError when the server does not know it. */
    async mapping(apiVersion: string, kind: string): Promise<Mapping> {
        const base = apiVersion.includes("/") ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
        const resources = await this.resourcesOf(base).catch((err: unknown) => {
            if (isNotFound(err)) {
                throw new NoMatchError(apiVersion, kind);
            }
            throw err;
        });
        const found = resources.find((r) => r.kind === kind && !textAt(r, "name").includes("/"));
        if (found === undefined) {
            this.discovered.delete(base); // a CustomResourceDefinition may yet come
            throw new NoMatchError(apiVersion, kind);
        }
        return { base, plural: textAt(found, "name"), namespaced: found.namespaced === true };
    }

    /** The server's resources of a group version; asked once, unless that failed. */
    private resourcesOf(base: string): Promise<Props[]> {
        const known = this.discovered.get(base);
        if (known !== undefined) {
            return known;
        }
        const asked = this.request("GET", base).then((list) => listAt(list, "resources").filter(isProps));
        this.discovered.set(base, asked);
        asked.catch(() => this.discovered.delete(base));
        return asked;
    }

    /** The path of an object, or of its collection without a name. */
    async path(apiVersion: string, kind: string, namespace: string, name?: string): Promise<string> {
        const { base, plural, namespaced } = await this.mapping(apiVersion, kind);
        const scope = namespaced ? `/namespaces/${encodeURIComponent(namespace || "default")}` : "";
        return `${base}${scope}/${plural}${name === undefined ? "" : `/${encodeURIComponent(name)}`}`;
    }

    /** The path of an existing object, from its own apiVersion, kind and metadata. */
    pathOf(object: Props): Promise<string> {
        return this.path(
            textAt(object, "apiVersion"),
            textAt(object, "kind"),
            textAt(object, "metadata", "namespace"),
            textAt(object, "metadata", "name"),
        );
    }

    /**
     * Calls `onEvent` for every object of a collection that there is and for every later change, until the signal aborts. A
     * connection that ends is opened anew from a fresh list; an object that went meanwhile is reported as deleted.
     */
    async watch(
        collection: string,
        fieldSelector: string | undefined,
        onEvent: (event: WatchEvent) => void,
        signal: AbortSignal,
    ): Promise<void> {
        const known = new Map<string, Props>();
        while (!signal.aborted) {
            const list = await this.request("GET", collection, { fieldSelector }, undefined, signal);
            const items = listAt(list, "items").filter(isProps);
            const present = new Set(items.map(uidOf));
            for (const [uid, object] of known) {
                if (!present.has(uid)) {
                    known.delete(uid);
                    onEvent({ type: "DELETED", object });
                }
            }
            const [kind, apiVersion] = [
                textAt(list, "kind").replace(/List$/, ""),
                textAt(list, "apiVersion"),
            ];
            for (const item of items) {
                known.set(uidOf(item), item);
                onEvent({ type: "ADDED", object: { apiVersion, kind, ...item } });
            }
            await this.stream(
                collection,
                fieldSelector,
                textAt(list, "metadata", "resourceVersion"),
                signal,
                (event) => {
                    if (event.type === "DELETED") known.delete(uidOf(event.object));
                    else known.set(uidOf(event.object), event.object);
                    onEvent(event);
                },
            );
        }
    }

    private async stream(
        collection: string,
        fieldSelector: string | undefined,
        resourceVersion: string,
        signal: AbortSignal,
        onEvent: (event: WatchEvent) => void,
    ): Promise<void> {
        const response = await this.open(
            "GET",
            collection,
            { watch: "1", fieldSelector, resourceVersion, timeoutSeconds: "290" },
            undefined,
            signal,
        );
        let rest = "";
        try {
            response.setEncoding("utf8");
            for await (const chunk of response) {
                const lines = (rest + String(chunk)).split("\n");
                rest = lines.pop() ?? "";
                for (const line of lines.filter((l) => l.trim() !== "")) {
                    const event = parseJson(line);
                    const type = textAt(event, "type");
                    const object = at(event, "object");
                    if ((type === "ADDED" || type === "MODIFIED" || type === "DELETED") && isProps(object)) {
                        onEvent({ type, object });
                    } else if (type === "ERROR" || !isProps(event)) {
                        return; // most often "too old resource version": list again
                    }
                }
            }
        } catch (err) {
            if (!signal.aborted && (err as NodeJS.ErrnoException).code !== "ECONNRESET") {
                throw err;
            }
        }
    }
}

function uidOf(object: Props): string {
    return textAt(object, "metadata", "uid") || textAt(object, "metadata", "name");
}

function parseJson(text: string): Value {
    try {
        return JSON.parse(text) as Value;
    } catch {
        return null;
    }
}

async function readAll(response: http.IncomingMessage): Promise<string> {
    const chunks: Buffer[] = [];
    for await (const chunk of response) {
        chunks.push(chunk as Buffer);
    }
    return Buffer.concat(chunks).toString("utf8");
}

/** A connection's error with what was tried; Node leaves the message empty when several addresses failed. */
function describe(err: Error, what: string): Error {
    const inner =
        err instanceof AggregateError ? err.errors.map((e: Error) => e.message).join("; ") : err.message;
    const described = new Error(`${what}: ${inner}`, { cause: err });
    described.name = err.name;
    return described;
}
