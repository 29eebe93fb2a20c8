// Registries of vendors, as their clients see them: HTTPS under their own names, and their own ways with logins, before a real
// registry that holds what is pushed. A client comes to them through a proxy, so that no name of this machine is changed.
import * as http from "node:http";
import * as https from "node:https";
import * as net from "node:net";
import * as tls from "node:tls";
import { makeCertificate, type Issued } from "../../unit/steps/node/makeCertificate";
import { body, type Answer, type Asked } from "./answers";

/** One host: an answer of its own, or "registry" for what the registry behind says. */
export type Site = (asked: Asked) => Answer | "registry" | Promise<Answer | "registry">;

/** A request as it was answered. */
export interface Seen {
    /** `GET ghcr.io/v2/octo/hello/manifests/v1`, without a query. */
    request: string;
    /** Scheme of its Authorization header: `Basic`, `Bearer` or none. */
    authorization: string;
    status: number;
}

export class Front {
    private readonly authority: Issued = makeCertificate({
        commonName: "Front of the tests",
        authority: true,
    });
    private readonly contexts = new Map<string, tls.SecureContext>();
    private readonly server: https.Server;
    private readonly proxy = http.createServer((_, response) => response.writeHead(501).end());
    /** Every request since the last `forget`. */
    seen: Seen[] = [];
    /** Hosts that somebody wanted to get to and that are none of ours. */
    readonly strangers: string[] = [];

    /** `registry` is the real one behind, as host:port, in plain HTTP. */
    constructor(
        private readonly sites: Readonly<Record<string, Site>>,
        private readonly registry: (host: string) => string,
    ) {
        const leaf = this.leaf(Object.keys(sites)[0]);
        this.server = https.createServer(
            {
                cert: leaf.certificate,
                key: leaf.privateKey,
                SNICallback: (name, done) => done(null, this.context(name)),
            },
            (request, response) => {
                this.answer(request, response).catch((error: unknown) => response.destroy(error as Error));
            },
        );
        this.proxy.on("connect", (request, socket: net.Socket, head: Buffer) => {
            const [host, port] = (request.url ?? "").split(":");
            const there = this.server.address() as net.AddressInfo;
            if (!(host in sites) || port !== "443") {
                this.strangers.push(request.url ?? "");
                socket.end("HTTP/1.1 403 Forbidden\r\n\r\n");
                return;
            }
            const onward = net.connect(there.port, "127.0.0.1", () => {
                socket.write("HTTP/1.1 200 OK\r\n\r\n");
                onward.write(head);
                onward.pipe(socket).pipe(onward);
            });
            onward.on("error", () => socket.destroy());
            socket.on("error", () => onward.destroy());
        });
    }

    /** PEM of the private CA that all hosts' certificates are from. */
    get certificate(): string {
        return this.authority.certificate;
    }

    /** For HTTPS_PROXY. */
    get proxyUrl(): string {
        return `http://127.0.0.1:${(this.proxy.address() as net.AddressInfo).port}`;
    }

    async start(): Promise<void> {
        for (const server of [this.server, this.proxy]) {
            await new Promise<void>((resolve, reject) => {
                server.once("error", reject).listen(0, "127.0.0.1", resolve);
            });
        }
    }

    async stop(): Promise<void> {
        for (const server of [this.proxy, this.server]) {
            const closed = new Promise((resolve) => server.close(resolve));
            server.closeAllConnections();
            await closed;
        }
    }

    /** Forgets what was seen, and returns it. */
    forget(): Seen[] {
        const { seen } = this;
        this.seen = [];
        return seen;
    }

    private leaf(host: string): Issued {
        return makeCertificate({ commonName: host, names: [{ dNSName: host }], issuer: this.authority });
    }

    private context(host: string): tls.SecureContext {
        const known = this.contexts.get(host);
        if (known !== undefined) return known;
        const { certificate, privateKey } = this.leaf(host);
        const context = tls.createSecureContext({ cert: certificate, key: privateKey });
        this.contexts.set(host, context);
        return context;
    }

    private async answer(request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
        const host = request.headers.host ?? "";
        const url = new URL(request.url ?? "", `https://${host}`);
        const { authorization = "" } = request.headers;
        const seen: Seen = {
            request: `${request.method} ${host}${url.pathname}`,
            authorization: authorization.split(" ")[0],
            status: 0,
        };
        this.seen.push(seen);
        response.on("finish", () => (seen.status = response.statusCode));
        const site = this.sites[host];
        if (site === undefined) {
            response.writeHead(421).end();
            return;
        }
        const form = request.headers["content-type"]?.startsWith("application/x-www-form-urlencoded");
        const answer = await site({
            method: request.method ?? "",
            url,
            authorization,
            form: new URLSearchParams(form ? await body(request) : ""),
        });
        if (answer === "registry") return this.relay(host, request, response);
        // What was sent is not read: the client hears so before it has sent all of it.
        response.writeHead(answer.status, { "content-type": "application/json", ...answer.headers });
        response.end(JSON.stringify(answer.body));
    }

    /** To the registry behind, which is told by which name it was asked, so that its own addresses are right. */
    private relay(host: string, request: http.IncomingMessage, response: http.ServerResponse): Promise<void> {
        const [hostname, port] = this.registry(host).split(":");
        return new Promise((resolve, reject) => {
            const onward = http.request(
                {
                    hostname,
                    port,
                    method: request.method,
                    path: request.url,
                    headers: { ...request.headers, "x-forwarded-proto": "https" },
                    setHost: false,
                },
                (answer) => {
                    response.writeHead(answer.statusCode ?? 502, answer.headers);
                    answer.pipe(response).on("finish", resolve).on("error", reject);
                },
            );
            onward.on("error", reject);
            request.pipe(onward);
        });
    }
}
