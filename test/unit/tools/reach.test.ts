/** Whether a question to a server that does not answer comes to its end, and the process that asks with it. */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { once } from "node:events";
import { createServer, type AddressInfo, type Socket } from "node:net";
import { resolve } from "node:path";
import { describe, it } from "node:test";
import { promisify } from "node:util";

const root = resolve(__dirname, "../../..");

/** What a process says that asks and does nothing else, while what nobody holds is collected: a signal's timer keeps neither. */
const ask = `
require("./typescript.cjs");
setInterval(gc, 20).unref();
void require("./tools/lib/reach").probe(process.argv[1], 1).then((reach) => console.log(JSON.stringify(reach)));
`;

const head = "HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n";
const servers: [string, (socket: Socket) => void, boolean][] = [
    ["takes a connection and says nothing", () => undefined, false],
    ["begins its headers and goes no further", (socket) => socket.write(head.slice(0, 20)), false],
    ["sends its headers and never the rest", (socket) => socket.write(`${head}abc`), true],
];

describe("a question to a server", () => {
    for (const [what, answer, reachable] of servers) {
        it(`that ${what} comes to its end`, async () => {
            const sockets = new Set<Socket>();
            const server = createServer((socket) => {
                sockets.add(socket);
                socket.on("error", () => undefined).once("data", () => answer(socket));
            }).listen(0, "127.0.0.1");
            await once(server, "listening");
            const host = `127.0.0.1:${(server.address() as AddressInfo).port}`;
            try {
                const argv = ["--expose-gc", "--eval", ask, `http://${host}/`];
                const { stdout } = await promisify(execFile)(process.execPath, argv, {
                    cwd: root,
                    timeout: 30_000,
                });
                assert.deepEqual(
                    JSON.parse(stdout),
                    reachable
                        ? { reachable: true, because: `${host} answers` }
                        : { reachable: false, because: `${host} cannot be reached (no answer within 1 s)` },
                );
            } finally {
                for (const socket of sockets) socket.destroy();
                server.close();
            }
        });
    }
});
