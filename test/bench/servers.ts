/**
 * Requests a second, times and memory of a pod and of `krustlet-wasi serve` beside `wasmtime serve` on the same components, by turns. Wants
 * `wasmtime`, best of the release that the runtime is built on, and `wrk` on PATH: both are of others, and nothing else here needs them.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as http from "node:http";
import { setTimeout as sleep } from "node:timers/promises";
import { consoleReporter } from "../../common/report";
import { ROOT } from "../../common/root";
import { findProgram, presentProgram } from "../../steps/lib/programs/programs";
import { run } from "../../steps/lib/run";
import { MEBIBYTE, residentBytesOf } from "../memory";
import { isReady, serving } from "../node/cases/serving";
import { agent } from "../node/lib/agent";
import { World } from "../node/lib/world";
import { withTestNode } from "../node/make";
import { UNDER_TEST, underTest } from "../node/underTest";
import { until } from "../until";
import { Figures, ratios, ROUNDS, type Comparison } from "./rounds";

const PORT = 18400;
/** How long each is asked in a turn, and how many turns it has: short ones, for the machine is not as fast in one minute as in the next. */
const SECONDS = 1;
const TURNS = 15;
const CONNECTIONS = 16;
/** How long nobody asks before many do at once, in seconds: longer than what is kept for the next request is kept. */
const IDLE_SECONDS = 6;
const AT_ONCE = 64;

/**
 * What a node tells each pod of the API server, for the others too: a program's libc copies it for each instance. The names are the
 * pod's, and the values as long.
 */
const variables = ["SERVICE_HOST", "SERVICE_PORT", "SERVICE_PORT_HTTPS", "PORT"]
    .concat(["PORT_443_TCP", "PORT_443_TCP_PROTO", "PORT_443_TCP_PORT", "PORT_443_TCP_ADDR"])
    .map((name) => `--env=KUBERNETES_${name}=tcp://10.96.0.1:443`);

const programs = [
    { version: "0.2", name: "helloHttp", wasmtime: ["-Scli"], aim: 0.9 },
    { version: "0.3", name: "visits", wasmtime: ["-Scli,p3", "-Wcomponent-model-async"], aim: 1 },
] as const;

/** Something that answers. */
interface Answering {
    host: string;
    port: number;
    /** Whose memory is looked at. */
    pid: number;
    end(): Promise<unknown>;
}

const perSecond = new Figures("requests/s", 0);
const milliseconds = new Figures("ms", 2);
const mebibytes = new Figures("MiB", 1);

async function answers({ host, port }: Answering): Promise<boolean> {
    return new Promise((resolve) => {
        const request = http.get({ host, port, agent: false }, (response) => {
            response.resume().on("end", () => resolve(response.statusCode === 200));
        });
        request.on("error", () => resolve(false));
    });
}

/** How long the slowest of many takes that are asked at once. */
async function burst(server: Answering): Promise<number> {
    const begun = performance.now();
    const all = await Promise.all(Array.from({ length: AT_ONCE }, () => answers(server)));
    if (all.includes(false))
        throw new Error(`${all.filter((good) => !good).length} of ${AT_ONCE} at once failed`);
    return performance.now() - begun;
}

const inMs = (text: string) =>
    parseFloat(text) * (text.endsWith("us") ? 0.001 : text.endsWith("ms") ? 1 : 1000);

/** A program of this host that serves. */
function program(port: number, [file, ...argv]: readonly string[]): Answering {
    const server = spawn(file, [...argv, `--addr=127.0.0.1:${port}`], { stdio: "ignore" });
    const end = async () => {
        const ended = once(server, "exit");
        server.kill("SIGKILL");
        await ended;
    };
    return { host: "127.0.0.1", port, pid: server.pid ?? 0, end };
}

/** A pod that serves, of a node that has no other; without a token of the API server, which would be a folder that the others have not. */
async function pod(world: World, image: string): Promise<Answering> {
    const { spec, ...parts } = serving(PORT, { image });
    const made = await world.start("server", {
        ...parts,
        spec: { ...spec, automountServiceAccountToken: false },
    });
    const { status } = await world.untilPod(made, "Ready", isReady);
    const end = () => world.removePods(world.namespace);
    return { host: status.podIP ?? "", port: PORT, pid: agent().pid, end };
}

/** Asks a server as fast as it answers. */
async function load(what: string, { host, port }: Answering): Promise<void> {
    const argv = ["wrk", "-t1", `-c${CONNECTIONS}`, `-d${SECONDS}s`, "--latency", `http://${host}:${port}/`];
    const { stdout } = await run(argv, { timeoutSeconds: 60 });
    if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${what}:\n${stdout}`);
    const figure = (pattern: RegExp) => pattern.exec(stdout)?.[1] ?? "";
    perSecond.note(what, Number(figure(/Requests\/sec:\s+(\S+)/)));
    milliseconds.note(`${what}, p50`, inMs(figure(/^ +50% +(\S+)/m)));
    milliseconds.note(`${what}, p99`, inMs(figure(/^ +99% +(\S+)/m)));
}

/** What is asked by turns: all are up meanwhile, and nobody asks the others. */
async function byTurns(servers: readonly [what: string, server: Answering][]): Promise<void> {
    for (const [what, server] of servers)
        await until(`${what} to answer`, async () => (await answers(server)) || undefined);
    for (let turn = 1; turn <= TURNS; turn++) for (const [what, server] of servers) await load(what, server);
    for (let turn = 1; turn <= ROUNDS; turn++) {
        await sleep(IDLE_SECONDS * 1000);
        for (const [what, server] of servers)
            milliseconds.note(`${what}, the slowest of ${AT_ONCE} at once`, await burst(server));
    }
    for (const [what, { pid }] of servers) mebibytes.note(what, residentBytesOf(pid) / MEBIBYTE);
}

export async function benchServers(): Promise<void> {
    for (const name of ["wasmtime", "wrk"])
        if ((await findProgram(name)) === undefined)
            throw new Error(`${name} is not on PATH: install it first`);
    const krustlet = await presentProgram("krustlet-wasi");
    if (krustlet === undefined) throw new Error("krustlet-wasi is not built: npm run up -- --tools-only");
    const context = { root: ROOT, report: consoleReporter(), env: {}, airgap: false };
    await withTestNode(context, async (file) => {
        process.env[UNDER_TEST] = file;
        const world = await World.open("bench");
        try {
            await measure(world, krustlet);
        } finally {
            await world.close();
        }
    });
    const comparisons = programs.flatMap(({ version, aim }): Comparison[] => [
        [`pod, ${version}`, `wasmtime serve, ${version}`, aim],
        [`krustlet-wasi serve, ${version}`, `wasmtime serve, ${version}`, aim],
    ]);
    console.log(`\n${[perSecond, milliseconds, mebibytes].map((one) => one.table()).join("\n\n")}`);
    console.log(`\n${ratios(perSecond, comparisons)}`);
}

async function measure(world: World, krustlet: string): Promise<void> {
    for (const { version, name, wasmtime } of programs) {
        const { file, image } = underTest().modules[name];
        const ours = ["serve", ...variables, file];
        const servers: [string, Answering][] = [
            [`pod, ${version}`, await pod(world, image)],
            [`krustlet-wasi serve, ${version}`, program(PORT + 1, [krustlet, ...ours])],
            [
                `wasmtime serve, ${version}`,
                program(PORT + 2, ["wasmtime", "serve", ...wasmtime, ...variables, file]),
            ],
        ];
        try {
            await byTurns(servers);
        } finally {
            for (const [, server] of servers) await server.end();
        }
    }
}
