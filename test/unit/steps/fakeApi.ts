// An API server of a few paths over plain HTTP: certificate requests, their approval, and tokens of a ServiceAccount.
import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { CertificateSigningRequest } from "../../../steps/node/certificates/approval";

const requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/** A token of that life, as a ServiceAccount gets it, with a name to know it by. */
export function token(name: string, issuedAt: number, expiresAt: number): string {
    const part = (value: object) => Buffer.from(JSON.stringify(value)).toString("base64url");
    const claims = { iat: Math.floor(issuedAt / 1000), exp: Math.floor(expiresAt / 1000) };
    return [part({ alg: "none" }), part(claims), name].join(".");
}

export class FakeApi {
    /** All requests there are, by name. */
    readonly csrs = new Map<string, CertificateSigningRequest>();
    /** What was asked for: method, path, and the name of the token it was asked with. */
    readonly calls: string[] = [];
    /** What a TokenRequest answers; undefined: 503. */
    nextToken: string | undefined;
    /** Names of the tokens that are refused. */
    readonly refusedTokens = new Set<string>();
    /** Signers that may not be decided for. */
    readonly forbiddenSigners = new Set<string>();
    private readonly watchers = new Set<ServerResponse>();
    private server: Server | undefined;
    private port = 0;

    get url(): string {
        return `http://127.0.0.1:${this.port}`;
    }

    async start(): Promise<void> {
        const server = createServer((request, response) => void this.answer(request, response));
        await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
        this.server = server;
        this.port = (server.address() as AddressInfo).port;
    }

    /** Goes down as a server that is restarted: its watches break off. */
    async stop(): Promise<void> {
        const { server } = this;
        server?.closeAllConnections();
        this.watchers.clear();
        await new Promise((resolve) => server?.close(resolve));
    }

    /** Ends all watches in good order, as the server does now and then. */
    endWatches(): void {
        for (const watcher of this.watchers) watcher.end();
        this.watchers.clear();
    }

    get watching(): number {
        return this.watchers.size;
    }

    /** Files a request, or changes it, and tells the watchers; `tell: false` as if they had missed it. */
    put(csr: CertificateSigningRequest, tell = true): void {
        this.csrs.set(csr.metadata.name, csr);
        if (!tell) return;
        for (const watcher of this.watchers)
            watcher.write(`${JSON.stringify({ type: "MODIFIED", object: csr })}\n`);
    }

    /** Type and reason of the conditions of a request. */
    conditions(name: string): string[] {
        const conditions = this.csrs.get(name)?.status?.conditions ?? [];
        return conditions.map(({ type, reason }) => `${type} ${reason ?? ""}`);
    }

    private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const by = request.headers.authorization?.split(".").pop() ?? "nobody";
        const url = new URL(request.url ?? "", this.url);
        const watch = url.searchParams.has("watch");
        this.calls.push(`${watch ? "WATCH" : request.method} ${url.pathname} ${by}`);
        let text = "";
        for await (const piece of request) text += String(piece);
        const send = (code: number, body: object) => {
            response.writeHead(code, { "content-type": "application/json" }).end(JSON.stringify(body));
        };
        const refuse = (code: number, reason: string) =>
            send(code, { kind: "Status", reason, message: reason });

        if (this.refusedTokens.has(by)) return refuse(401, "Unauthorized");
        if (url.pathname.endsWith("/token")) {
            if (this.nextToken === undefined) return refuse(503, "ServiceUnavailable");
            return send(201, { status: { token: this.nextToken } });
        }
        if (watch) {
            response.writeHead(200, { "content-type": "application/json" });
            response.flushHeaders();
            this.watchers.add(response);
            return;
        }
        if (request.method === "GET" && url.pathname === requests)
            return send(200, { metadata: { resourceVersion: "7" }, items: [...this.csrs.values()] });
        if (request.method === "PUT" && url.pathname.endsWith("/approval")) {
            const csr = JSON.parse(text) as CertificateSigningRequest;
            const stored = this.csrs.get(csr.metadata.name);
            if (stored === undefined) return refuse(404, "NotFound");
            if (this.forbiddenSigners.has(csr.spec.signerName)) return refuse(403, "Forbidden");
            if (stored.metadata.resourceVersion !== csr.metadata.resourceVersion)
                return refuse(409, "Conflict");
            const metadata = {
                ...csr.metadata,
                resourceVersion: `${csr.metadata.resourceVersion as string}1`,
            };
            this.put({ ...csr, metadata });
            return send(200, csr);
        }
        return refuse(404, "NotFound");
    }
}
