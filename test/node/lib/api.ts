// The API server as the tests see it: one process with open connections, for a kubectl each time would cost more than the node.
import * as fs from "node:fs";
import * as http from "node:http";
import * as https from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { load } from "js-yaml";

/** What every Kubernetes object has. */
export interface KubeObject {
    apiVersion?: string;
    kind?: string;
    metadata: {
        name: string;
        namespace?: string;
        uid?: string;
        resourceVersion?: string;
        creationTimestamp?: string;
        deletionTimestamp?: string;
        labels?: Record<string, string>;
        annotations?: Record<string, string>;
    };
}

export interface Answer {
    status: number;
    text: string;
}

/** A response when it has come to its end. */
export function answerOf(response: http.IncomingMessage): Promise<Answer> {
    return new Promise((resolve, reject) => {
        let text = "";
        response.setEncoding("utf8");
        response.on("data", (piece: string) => (text += piece));
        response.on("error", reject);
        response.on("end", () => {
            resolve({ status: response.statusCode ?? 0, text });
        });
    });
}

/** An answer other than success. */
export class ApiError extends Error {
    constructor(
        readonly answer: Answer,
        request: string,
    ) {
        super(`${request}: ${answer.status} ${answer.text.slice(0, 500)}`);
    }
}

interface Kubeconfig {
    clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
    /** A user with a token has neither. */
    users: { user: { "client-certificate-data"?: string; "client-key-data"?: string } }[];
}

const plurals: Record<string, [group: string, plural: string]> = {
    Namespace: ["api/v1", "namespaces"],
    Pod: ["api/v1", "pods"],
    ConfigMap: ["api/v1", "configmaps"],
    Secret: ["api/v1", "secrets"],
    Service: ["api/v1", "services"],
    ServiceAccount: ["api/v1", "serviceaccounts"],
    EndpointSlice: ["apis/discovery.k8s.io/v1", "endpointslices"],
    ReplicaSet: ["apis/apps/v1", "replicasets"],
    Deployment: ["apis/apps/v1", "deployments"],
    DaemonSet: ["apis/apps/v1", "daemonsets"],
    Job: ["apis/batch/v1", "jobs"],
    CronJob: ["apis/batch/v1", "cronjobs"],
    RuntimeClass: ["apis/node.k8s.io/v1", "runtimeclasses"],
    HorizontalPodAutoscaler: ["apis/autoscaling/v2", "horizontalpodautoscalers"],
    APIService: ["apis/apiregistration.k8s.io/v1", "apiservices"],
};

/** Path of an object, or of its kind in a namespace. */
export function pathOf(kind: string, namespace?: string, name?: string): string {
    const [group, plural] = plurals[kind] ?? [];
    if (plural === undefined) throw new Error(`the tests know no kind ${kind}`);
    const within = namespace === undefined ? "" : `/namespaces/${namespace}`;
    return `/${group}${within}/${plural}${name === undefined ? "" : `/${name}`}`;
}

export class Api {
    readonly base: URL;
    private readonly tls: https.AgentOptions;
    private readonly agent: https.Agent;

    constructor(kubeconfigFile: string) {
        const config = load(fs.readFileSync(kubeconfigFile, "utf8")) as Kubeconfig;
        const [{ cluster }] = config.clusters;
        const [{ user }] = config.users;
        const decoded = (base64?: string) =>
            base64 === undefined ? undefined : Buffer.from(base64, "base64");
        this.base = new URL(cluster.server);
        this.tls = {
            ca: decoded(cluster["certificate-authority-data"]),
            cert: decoded(user["client-certificate-data"]),
            key: decoded(user["client-key-data"]),
        };
        this.agent = new https.Agent({ ...this.tls, keepAlive: true, maxSockets: 16 });
    }

    /** One request; any answer is returned, none in time is an error. */
    request(
        method: string,
        path: string,
        body?: object,
        headers: http.OutgoingHttpHeaders = {},
        timeoutSeconds = 15,
    ): Promise<Answer> {
        const content = body === undefined ? "" : JSON.stringify(body);
        const all = {
            "content-type": "application/json",
            // Node.js sends none by itself with a DELETE, whose body would then be taken for the next request.
            "content-length": Buffer.byteLength(content),
            ...headers,
        };
        return new Promise((resolve, reject) => {
            // The API server closes a connection after a refused upgrade: the next request must not come upon it.
            const connection = "upgrade" in headers ? { ...this.tls, agent: false } : { agent: this.agent };
            const request = https.request(
                new URL(path, this.base),
                { method, headers: all, ...connection },
                (response) => {
                    answerOf(response).then(resolve, reject);
                },
            );
            request.setTimeout(timeoutSeconds * 1000, () =>
                request.destroy(new Error(`${method} ${path}: no answer within ${timeoutSeconds} s`)),
            );
            request.on("error", reject);
            // The API server took an upgrade: that is an answer too.
            request.on("upgrade", (response, socket) => {
                socket.destroy();
                resolve({ status: response.statusCode ?? 0, text: "" });
            });
            request.end(content);
        });
    }

    private async succeed(method: string, path: string, body?: object, type?: string): Promise<string> {
        const answer = await this.request(method, path, body, type ? { "content-type": type } : {});
        if (answer.status >= 300) throw new ApiError(answer, `${method} ${path}`);
        return answer.text;
    }

    async get<T>(path: string): Promise<T> {
        return JSON.parse(await this.succeed("GET", path)) as T;
    }

    text(path: string): Promise<string> {
        return this.succeed("GET", path);
    }

    async create<T extends KubeObject>(object: T): Promise<T> {
        const path = pathOf(object.kind ?? "", object.metadata.namespace);
        return JSON.parse(await this.succeed("POST", path, object)) as T;
    }

    /** Merges `change` into an object. */
    async patch(kind: string, namespace: string, name: string, change: object): Promise<void> {
        await this.succeed("PATCH", pathOf(kind, namespace, name), change, "application/merge-patch+json");
    }

    /** Asks for an object's deletion; what is not there is fine. */
    async delete(path: string, gracePeriodSeconds?: number): Promise<void> {
        const answer = await this.request("DELETE", path, {
            apiVersion: "v1",
            kind: "DeleteOptions",
            gracePeriodSeconds,
        });
        if (answer.status >= 300 && answer.status !== 404) throw new ApiError(answer, `DELETE ${path}`);
    }

    /** A watch, line by line, until the server ends it. */
    watch(path: string, onLine: (line: string) => void, signal: AbortSignal): Promise<void> {
        return new Promise((resolve, reject) => {
            // A connection of its own: those of the pool are for requests that end.
            const options = { ...this.tls, agent: false, signal };
            const request = https.request(new URL(path, this.base), options, (response) => {
                let rest = "";
                response.setEncoding("utf8");
                response.on("data", (piece: string) => {
                    const lines = (rest + piece).split("\n");
                    rest = lines.pop() ?? "";
                    lines.filter(Boolean).forEach(onLine);
                });
                response.on("error", reject);
                response.on("end", resolve);
            });
            request.on("error", reject);
            request.end();
        });
    }

    close(): void {
        this.agent.destroy();
    }
}

/** Every object of a kind, kept up to date by a watch, with all the versions that were seen. */
export class Watched<T extends KubeObject> {
    /** By uid, in the order in which they were seen; an object that was deleted stays. */
    private readonly seen = new Map<string, T[]>();
    private readonly deleted = new Map<string, number>();
    private readonly over = new AbortController();
    private running: Promise<void> | undefined;

    constructor(
        private readonly api: Api,
        private readonly path: string,
    ) {}

    /** Begins to watch; returns when all that is there is known. */
    async start(): Promise<void> {
        const version = await this.list();
        this.running = this.follow(version);
    }

    /** The versions of an object that were seen, the newest last. */
    versions(uid: string): readonly T[] {
        return this.seen.get(uid) ?? [];
    }

    /** The newest version of each object that is there. */
    all(): T[] {
        return [...this.seen]
            .filter(([uid]) => !this.deleted.has(uid))
            .map(([, versions]) => versions[versions.length - 1]);
    }

    /** When the object went (milliseconds since 1970); undefined while it is there. */
    goneAt(uid: string): number | undefined {
        return this.deleted.get(uid);
    }

    async stop(): Promise<void> {
        this.over.abort();
        await this.running;
    }

    private async list(): Promise<string> {
        const { items, metadata } = await this.api.get<{ items: T[]; metadata: { resourceVersion: string } }>(
            this.path,
        );
        const present = new Set(items.map(({ metadata: { uid } }) => uid));
        for (const uid of this.seen.keys()) if (!present.has(uid)) this.goes(uid);
        items.forEach((item) => this.take(item));
        return metadata.resourceVersion;
    }

    private async follow(version: string | undefined): Promise<void> {
        while (!this.over.signal.aborted) {
            try {
                version ??= await this.list();
                const from = `${this.path}?watch=1&resourceVersion=${version}`;
                await this.api.watch(from, (line) => this.hear(line), this.over.signal);
            } catch {
                // The API server is away, or this is over.
                await sleep(200);
            }
            // What came meanwhile is found by listing anew.
            version = undefined;
        }
    }

    private hear(line: string): void {
        // A server that is on its way down may answer in plain text.
        if (!line.startsWith("{")) return;
        const { type, object } = JSON.parse(line) as { type: string; object: T };
        // An ERROR (410 Gone) is followed by the end of the watch.
        if (type === "ADDED" || type === "MODIFIED") this.take(object);
        if (type === "DELETED") {
            this.take(object);
            this.goes(object.metadata.uid ?? "");
        }
    }

    private take(object: T): void {
        const uid = object.metadata.uid ?? "";
        const versions = this.seen.get(uid);
        if (versions === undefined) this.seen.set(uid, [object]);
        else if (versions[versions.length - 1].metadata.resourceVersion !== object.metadata.resourceVersion)
            versions.push(object);
    }

    private goes(uid: string): void {
        if (!this.deleted.has(uid)) this.deleted.set(uid, Date.now());
    }
}
