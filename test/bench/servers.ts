/**
 * Requests a second, times and memory of `krustlet-wasi serve` beside `wasmtime serve` on the same components, by turns. Wants `wasmtime`, best of
 * the release that the runtime is built on, and `wrk` on PATH: both are of others, and nothing else here needs them.
 */
import { spawn } from "node:child_process";
import { once } from "node:events";
import * as http from "node:http";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ROOT } from "../../common/root";
import { findProgram, presentProgram } from "../../steps/lib/programs/programs";
import { run } from "../../steps/lib/run";
import { buildModule } from "../../steps/workload/buildModule";
import { MEBIBYTE, residentBytesOf } from "../memory";
import { until } from "../until";
import { Figures, ratios, ROUNDS, type Comparison } from "./rounds";

const PORT = 18400;
const SECONDS = 5;
const CONNECTIONS = 16;
/** How long nobody asks before many do at once, in seconds: longer than what is kept for the next request is kept. */
const IDLE_SECONDS = 6;
const AT_ONCE = 64;

const programs = [
    { version: "0.2", name: "hello-http", wasmtime: ["-Scli"], aim: 0.9 },
    { version: "0.3", name: "visits", wasmtime: ["-Scli,p3", "-Wcomponent-model-async"], aim: 1 },
];

const perSecond = new Figures("requests/s", 0);
const milliseconds = new Figures("ms", 2);
const mebibytes = new Figures("MiB", 1);

async function answers(): Promise<boolean> {
    return new Promise((resolve) => {
        const request = http.get({ host: "127.0.0.1", port: PORT, agent: false }, (response) => {
            response.resume().on("end", () => resolve(response.statusCode === 200));
        });
        request.on("error", () => resolve(false));
    });
}

/** How long the slowest of many takes that are asked at once. */
async function burst(): Promise<number> {
    const begun = performance.now();
    const all = await Promise.all(Array.from({ length: AT_ONCE }, answers));
    if (all.includes(false))
        throw new Error(`${all.filter((good) => !good).length} of ${AT_ONCE} at once failed`);
    return performance.now() - begun;
}

const inMs = (text: string) =>
    parseFloat(text) * (text.endsWith("us") ? 0.001 : text.endsWith("ms") ? 1 : 1000);

/** One server: started, asked, ended. */
async function measure(what: string, argv: readonly string[]): Promise<void> {
    const server = spawn(argv[0], argv.slice(1), { stdio: "ignore" });
    try {
        await until(`${what} to answer`, async () => (await answers()) || undefined);
        const load = [
            "wrk",
            "-t1",
            `-c${CONNECTIONS}`,
            `-d${SECONDS}s`,
            "--latency",
            `http://127.0.0.1:${PORT}/`,
        ];
        const { stdout } = await run(load, { timeoutSeconds: 60 });
        if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${what}:\n${stdout}`);
        const figure = (pattern: RegExp) => pattern.exec(stdout)?.[1] ?? "";
        perSecond.note(what, Number(figure(/Requests\/sec:\s+(\S+)/)));
        milliseconds.note(`${what}, p50`, inMs(figure(/^ +50% +(\S+)/m)));
        milliseconds.note(`${what}, p99`, inMs(figure(/^ +99% +(\S+)/m)));
        await sleep(IDLE_SECONDS * 1000);
        milliseconds.note(`${what}, the slowest of ${AT_ONCE} at once`, await burst());
        if (server.pid !== undefined) mebibytes.note(what, residentBytesOf(server.pid) / MEBIBYTE);
    } finally {
        const ended = once(server, "exit");
        server.kill("SIGKILL");
        await ended;
    }
}

export async function benchServers(): Promise<void> {
    for (const program of ["wasmtime", "wrk"])
        if ((await findProgram(program)) === undefined)
            throw new Error(`${program} is not on PATH: install it first`);
    const krustlet = await presentProgram("krustlet-wasi");
    if (krustlet === undefined) throw new Error("krustlet-wasi is not built: npm run up -- --tools-only");
    const address = `--addr=127.0.0.1:${PORT}`;
    const built = new Map<string, string>();
    for (const { name } of programs)
        built.set(name, (await buildModule({ source: path.join(ROOT, "workloads", name) })).file);
    for (let turn = 1; turn <= ROUNDS; turn++) {
        console.log(`round ${turn} of ${ROUNDS}`);
        for (const { version, name, wasmtime } of programs) {
            const file = built.get(name) ?? "";
            await measure(`krustlet-wasi serve, ${version}`, [krustlet, "serve", file, address]);
            await measure(`wasmtime serve, ${version}`, ["wasmtime", "serve", ...wasmtime, address, file]);
        }
    }
    const comparisons = programs.map(({ version, aim }): Comparison => [
        `krustlet-wasi serve, ${version}`,
        `wasmtime serve, ${version}`,
        aim,
    ]);
    console.log(`\n${[perSecond, milliseconds, mebibytes].map((one) => one.table()).join("\n\n")}`);
    console.log(`\n${ratios(perSecond, comparisons)}`);
}
