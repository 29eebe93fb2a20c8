// An API server over HTTPS that a test scripts: what it is asked, and by which certificate, is kept.
import { createServer, type Server } from "node:https";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { GeneralName } from "@peculiar/asn1-x509";
import { newKubeconfig } from "../../../../steps/lib/kube/kubeconfig";
import { makeCertificate, type Issued } from "../node/makeCertificate";

export const authority = makeCertificate({ commonName: "authority", authority: true });
/** One of another cluster. */
export const foreignAuthority = makeCertificate({ commonName: "foreign", authority: true });
export const client: Issued = makeCertificate({ commonName: "system:admin", issuer: authority });

/** An address, as a certificate holds it. */
function ip(address: string): Partial<GeneralName> {
    return { iPAddress: address };
}

export class ApiServer {
    /** Method, path, and the common name of the client's certificate. */
    readonly calls: string[] = [];
    readonly headers: IncomingMessage["headers"][] = [];
    /** Connections that were opened so far. */
    connections = 0;
    /** What it does; default: 200 and an empty object. */
    answer: (request: IncomingMessage, response: ServerResponse, body: string) => void = (_, response) => {
        response.end("{}");
    };
    private readonly sockets = new Set<Socket>();
    private server: Server | undefined;
    private port = 0;

    get url(): string {
        return `https://127.0.0.1:${this.port}`;
    }

    /** The text of a kubeconfig by which its client is known there. */
    get kubeconfig(): string {
        const base64 = (text: string) => Buffer.from(text).toString("base64");
        const user = {
            name: "admin",
            fields: {
                "client-certificate-data": base64(client.certificate),
                "client-key-data": base64(client.privateKey),
            },
        };
        return newKubeconfig(user, {
            server: this.url,
            certificateAuthorityData: base64(authority.certificate),
        });
    }

    async start(): Promise<void> {
        const { certificate, privateKey } = makeCertificate({
            commonName: "kube-apiserver",
            issuer: authority,
            names: [ip("127.0.0.1"), { dNSName: "kubernetes" }],
        });
        const server = createServer(
            {
                cert: certificate,
                key: privateKey,
                ca: authority.certificate,
                requestCert: true,
                rejectUnauthorized: false,
            },
            (request, response) => void this.take(request, response),
        );
        server.on("connection", (socket: Socket) => {
            this.connections += 1;
            this.sockets.add(socket);
        });
        await new Promise<void>((resolve) => server.listen(this.port, "127.0.0.1", resolve));
        this.server = server;
        this.port = (server.address() as AddressInfo).port;
    }

    /** Breaks all connections off. */
    breakOff(): void {
        for (const socket of this.sockets) socket.destroy();
        this.sockets.clear();
    }

    async stop(): Promise<void> {
        this.breakOff();
        await new Promise((resolve) => this.server?.close(resolve));
    }

    private async take(request: IncomingMessage, response: ServerResponse): Promise<void> {
        const socket = request.socket as unknown as { getPeerCertificate(): { subject?: { CN?: string } } };
        this.calls.push(
            `${request.method} ${request.url} ${socket.getPeerCertificate().subject?.CN ?? "nobody"}`,
        );
        this.headers.push(request.headers);
        let body = "";
        for await (const piece of request) body += String(piece);
        this.answer(request, response, body);
    }
}
