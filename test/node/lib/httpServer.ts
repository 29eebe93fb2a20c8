// An HTTP server of the tests' own, on this host, where the agent's process makes its guests' requests.
import * as http from "node:http";
import type { AddressInfo } from "node:net";

export interface TestServer {
    /** `http://127.0.0.1:…` */
    origin: string;
    /** The paths that were asked for, in order. */
    asked: string[];
    /** What is answered from now on. */
    answer: { status: number; body: string };
}

/** Runs `use` with a server that answers every request alike. */
export async function withServer<T>(use: (server: TestServer) => Promise<T>): Promise<T> {
    const known: TestServer = { origin: "", asked: [], answer: { status: 200, body: "hello" } };
    const server = http.createServer((request, response) => {
        known.asked.push(request.url ?? "");
        response.writeHead(known.answer.status).end(known.answer.body);
    });
    await new Promise<void>((resolve, reject) => {
        server.once("error", reject).listen(0, "127.0.0.1", resolve);
    });
    known.origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
        return await use(known);
    } finally {
        const closed = new Promise((resolve) => server.close(resolve));
        server.closeAllConnections();
        await closed;
    }
}
