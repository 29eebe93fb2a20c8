/** Clients of a server that mean it ill: ten ways, four clients each, all at once, for so many seconds. They have a thread of their own. */
import { connect, type Socket } from "node:net";
import { isMainThread, parentPort, Worker, workerData } from "node:worker_threads";

/** What the clients of one way have done. */
export interface Deeds {
    /** Connections that were made. */
    connected: number;
    /** Those that the server ended, or refused. */
    ended: number;
    /** How often an answer had this status. */
    statuses: Record<string, number>;
}

interface Attack {
    host: string;
    port: number;
    seconds: number;
}

/** Begins, and gives what they have done once they are through. */
export function hostileClients(attack: Attack): Promise<Record<string, Deeds>> {
    const worker = new Worker(__filename, { workerData: attack });
    return new Promise((resolve, reject) => {
        worker.once("message", resolve);
        worker.once("error", reject);
    });
}

/** How many clients there are of each way. */
const EACH = 4;

interface Way {
    /** How many connections a client has open at once; one that is ended is made anew. */
    connections: number;
    /** What is sent when it is there. */
    first?: string | Buffer;
    /** What is sent again and again: so often, in milliseconds; 0: as fast as the server takes it. */
    then?: { every: number; bytes: string | Buffer };
    /** It sends no more after the first. */
    halfClosed?: boolean;
    /** It reads nothing. */
    deaf?: boolean;
}

const head = "HTTP/1.1\r\nhost: a\r\n";
const get = `GET /World ${head}\r\n`;
const chunk = `4000\r\n${"x".repeat(0x4000)}\r\n`;

/** A frame of HTTP/2. */
function frame(kind: number, flags: number, stream: number, payload: readonly number[]): Buffer {
    const bytes = Buffer.alloc(9 + payload.length, 0);
    bytes.writeUIntBE(payload.length, 0, 3);
    bytes.writeUInt8(kind, 3);
    bytes.writeUInt8(flags, 4);
    bytes.writeUInt32BE(stream, 5);
    bytes.set(payload, 9);
    return bytes;
}

const preface = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
const settings = frame(4, 0, 0, []);
/** GET http / a, by the static table and literals. */
const headers = [0x82, 0x86, 0x84, 0x41, 1, "a".charCodeAt(0)];
const begin = (...frames: Buffer[]) => Buffer.concat([preface, settings, ...frames]);
const many = (times: number, make: (index: number) => Buffer) =>
    Buffer.concat(Array.from({ length: times }, (_, index) => make(index)));

const ways: Record<string, Way> = {
    "slow headers": { connections: 50, first: `GET / ${head}`, then: { every: 1000, bytes: "x-a: b\r\n" } },
    "slow bodies": {
        connections: 50,
        first: `POST / ${head}content-length: 1000\r\n\r\n`,
        then: { every: 1000, bytes: "x" },
    },
    "endless bodies": {
        connections: 4,
        first: `POST / ${head}transfer-encoding: chunked\r\n\r\n`,
        then: { every: 0, bytes: chunk },
    },
    "half closed": { connections: 50, first: get, halfClosed: true, deaf: true },
    "reads nothing": { connections: 4, then: { every: 0, bytes: get.repeat(50) }, deaf: true },
    "10,000 connections": { connections: 10_000 / EACH },
    smuggles: {
        connections: 4,
        first: `POST / ${head}content-length: 4\r\ncontent-length: 44\r\n\r\nbody${get}`,
    },
    "rapid reset": {
        connections: 4,
        first: begin(
            many(2000, (index) =>
                Buffer.concat([
                    frame(1, 5, 2 * index + 1, headers),
                    frame(3, 0, 2 * index + 1, [0, 0, 0, 8]),
                ]),
            ),
        ),
    },
    settings: {
        connections: 4,
        first: begin(),
        then: { every: 0, bytes: many(500, () => settings) },
        deaf: true,
    },
    continuation: {
        connections: 4,
        first: begin(frame(1, 0, 1, headers)),
        then: { every: 0, bytes: many(500, () => frame(9, 0, 1, [0, 1, 0x78, 1, 0x79])) },
    },
};

/** How long a client pauses before it makes a connection anew, in milliseconds: it is a hostile client, not a busy loop of the test's. */
const PAUSE = 50;

/** One connection after the other, until the end. */
function attack(at: Attack, way: Way, deeds: Deeds, open: Set<Socket>, isOver: () => boolean): void {
    if (isOver()) return;
    const socket = connect({ host: at.host, port: at.port, allowHalfOpen: true });
    open.add(socket);
    let timer: NodeJS.Timeout | undefined;
    let text = "";
    const flood = (bytes: string | Buffer) => {
        while (!socket.destroyed && socket.write(bytes));
    };
    socket.once("connect", () => {
        deeds.connected += 1;
        if (way.deaf) socket.pause();
        const { first, then } = way;
        if (first !== undefined) socket.write(first);
        if (way.halfClosed) socket.end();
        if (then === undefined) return;
        if (then.every > 0) timer = setInterval(() => socket.write(then.bytes), then.every);
        else {
            socket.on("drain", () => flood(then.bytes));
            flood(then.bytes);
        }
    });
    if (!way.deaf)
        socket.on("data", (data) => {
            text = (text + data.toString("latin1")).slice(-10_000);
            const found = /^HTTP\/1\.1 (\d+)/.exec(text)?.[1];
            if (found === undefined) return;
            deeds.statuses[found] = (deeds.statuses[found] ?? 0) + 1;
            text = "";
        });
    socket.on("error", () => undefined);
    socket.on("end", () => socket.destroy());
    socket.once("close", () => {
        clearInterval(timer);
        open.delete(socket);
        if (isOver()) return;
        deeds.ended += 1;
        setTimeout(() => attack(at, way, deeds, open, isOver), PAUSE);
    });
}

if (!isMainThread && parentPort !== null) {
    const port = parentPort;
    const data = workerData as Attack;
    const open = new Set<Socket>();
    let over = false;
    const done: Record<string, Deeds> = {};
    for (const [name, way] of Object.entries(ways)) {
        const deeds: Deeds = { connected: 0, ended: 0, statuses: {} };
        done[name] = deeds;
        for (let index = 0; index < EACH * way.connections; index++)
            attack(data, way, deeds, open, () => over);
    }
    setTimeout(() => {
        over = true;
        for (const socket of open) socket.destroy();
        port.postMessage(done);
    }, data.seconds * 1000);
}
