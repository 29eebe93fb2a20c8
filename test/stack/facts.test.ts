/** Programs that speak HTTP: what they fetch, what they may not, and what a change of either does to them. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as http from "node:http";
import * as https from "node:https";
import type { AddressInfo } from "node:net";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { makeCertificate } from "../unit/steps/node/makeCertificate";
import { leftovers, nothing, StackUnderTest } from "./stackUnderTest";

const NODE = "krustlet-facts";
const PROGRAMS = ["cat-facts", "cat-facts-component"] as const;
type Program = (typeof PROGRAMS)[number];

/** Facts over HTTP or HTTPS at a port of this host's; each answer is another one, so that lines can be told apart. */
class FactServer {
    asked = 0;

    private constructor(
        private readonly server: http.Server,
        private readonly scheme: "http" | "https",
    ) {}

    static async start(tls?: { key: string; cert: string }): Promise<FactServer> {
        const answer: http.RequestListener = (request, response) => {
            facts.asked += 1;
            const fact = `${request.url === "/purr" ? "A cat purrs" : "A cat sleeps"}, ${facts.asked}`;
            response.setHeader("content-type", "application/json");
            response.end(JSON.stringify({ fact, length: fact.length }));
        };
        const server = tls ? https.createServer(tls, answer) : http.createServer(answer);
        const facts = new FactServer(server, tls ? "https" : "http");
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
        return facts;
    }

    get origin(): string {
        return `${this.scheme}://127.0.0.1:${(this.server.address() as AddressInfo).port}`;
    }

    async stop(): Promise<void> {
        this.server.closeAllConnections();
        await new Promise((resolve) => this.server.close(resolve));
    }
}

void describe("cat facts", { timeout: 1_200_000 }, () => {
    let stack: StackUnderTest;
    let authorityFile: string;
    let servers: Record<Program, FactServer>;

    before(async () => {
        stack = await StackUnderTest.create("acceptance-facts");
        const authority = makeCertificate({ commonName: "a test's own authority", authority: true });
        const own = makeCertificate({
            commonName: "facts",
            names: [{ iPAddress: "127.0.0.1" }],
            issuer: authority,
        });
        authorityFile = path.join(stack.home, "authority.pem");
        await fs.writeFile(authorityFile, authority.certificate);
        servers = {
            "cat-facts": await FactServer.start(),
            "cat-facts-component": await FactServer.start({ key: own.privateKey, cert: own.certificate }),
        };
    });

    after(async () => {
        await stack.remove();
        await Promise.all(Object.values(servers).map((server) => server.stop()));
    });

    /** `up` of hello-world and both programs, which ask for `page` as often as they can. */
    async function up(page: string, allowed: (program: Program) => string[]): Promise<void> {
        await stack.configure({
            clusterName: "krustlet-facts",
            registryPort: 5117,
            nodes: [{ name: NODE, port: 3117, trustedCaFile: authorityFile, allowedEgress: ["127.0.0.1"] }],
            workloads: [
                { name: "hello-wasm", source: "workloads/hello-world" },
                ...PROGRAMS.map((name) => ({
                    name,
                    kind: "Deployment",
                    source: `workloads/${name}`,
                    env: {
                        CAT_FACTS_URL: `${servers[name].origin}${page}`,
                        CAT_FACTS_INTERVAL_SECONDS: 1,
                        RUST_LOG: "info",
                    },
                    allowedDomains: allowed(name),
                    maxConcurrentRequests: 2,
                })),
            ],
        });
        const { stdout, stderr, exitCode } = await stack.npmRun("up");
        assert.equal(exitCode, 0, stdout + stderr);
    }

    const log = (program: string) =>
        stack.kubectl("logs", `--selector=app=${program}`, "--tail=-1", "--container", program);

    /** Waits until a program has written what matches, and tells all that it wrote. */
    async function written(program: string, pattern: RegExp): Promise<string> {
        const deadline = Date.now() + 20_000;
        for (;;) {
            const text = await log(program);
            if (pattern.test(text)) return text;
            assert.ok(Date.now() < deadline, `no line of ${program} matches ${pattern} in 20 s:\n${text}`);
            await sleep(200);
        }
    }

    /** The pods of each program by name, once those of an earlier template have gone. */
    async function pods(): Promise<Record<Program, string[]>> {
        const namesOf = async (program: Program) => {
            const names = await stack.kubectl("get", "pods", `--selector=app=${program}`, "--output=name");
            return names.split("\n").filter(Boolean);
        };
        const deadline = Date.now() + 20_000;
        for (;;) {
            const found = await Promise.all(PROGRAMS.map(namesOf));
            if (found.every(({ length }) => length === 1) || Date.now() > deadline) {
                return Object.fromEntries(PROGRAMS.map((program, i) => [program, found[i]])) as Record<
                    Program,
                    string[]
                >;
            }
            await sleep(200);
        }
    }

    const nodeReady = () =>
        stack.kubectl(
            ...["get", "node", NODE, "--output"],
            'jsonpath={.status.conditions[?(@.type=="Ready")].status}',
        );

    void it("a module and a component log facts, one over HTTP, one over HTTPS with a private authority", async () => {
        await up("/fact", (program) => [servers[program].origin]);
        for (const program of PROGRAMS) {
            // Two of them: the loop goes on.
            await written(program, /A cat sleeps, \d+[^]*A cat sleeps, \d+/);
        }
        assert.equal(await log("hello-wasm"), "Hello, World!\n");
    });

    void it("another URL rolls out new pods that log other facts", async () => {
        const earlier = await pods();
        await up("/purr", (program) => [servers[program].origin]);
        const now = await pods();
        for (const program of PROGRAMS) {
            assert.notDeepEqual(now[program], earlier[program]);
            const text = await written(program, /A cat purrs, \d+/);
            assert.doesNotMatch(text, /A cat sleeps/);
        }
    });

    void it("without the permission every request is refused, the program goes on, and so does the node", async () => {
        const earlier = await pods();
        await up("/purr", () => ["https://example.org"]);
        const now = await pods();
        const asked = PROGRAMS.map((program) => servers[program].asked);
        for (const program of PROGRAMS) {
            assert.notDeepEqual(now[program], earlier[program]);
            // Twice: it is still there after the first refusal.
            const text = await written(program, /(ERROR[^\n]*\n[^]*){2}/);
            assert.doesNotMatch(text, /A cat/);
        }
        assert.deepEqual(
            PROGRAMS.map((program) => servers[program].asked),
            asked,
            "a refused request reached its server",
        );
        assert.equal(await nodeReady(), "True");
        const restarts = await stack.kubectl(
            ...["get", "pods", "--output"],
            "jsonpath={.items[*].status.containerStatuses[*].restartCount}",
        );
        assert.equal(restarts, "0 0 0");
    });

    void it("with the permission again facts come again, and down leaves nothing", async () => {
        await up("/fact", (program) => [servers[program].origin]);
        for (const program of PROGRAMS) await written(program, /A cat sleeps, \d+/);
        const down = await stack.npmRun("down");
        assert.equal(down.exitCode, 0, down.stdout + down.stderr);
        assert.deepEqual(await leftovers("krustlet-facts", /-acceptance-facts-/, stack.home), nothing);
    });
});
