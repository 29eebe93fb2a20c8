import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, afterEach, beforeEach, describe, it } from "node:test";
import { agentFiles } from "../../../../steps/node/agent";
import type { CertificateSigningRequest } from "../../../../steps/node/certificates/approval";
import { Approver } from "../../../../steps/node/certificates/approverLoop";
import * as own from "../../../../steps/node/certificates/approverFiles";
import { client, expected, keys, renewal, serving } from "./approvalCases";
import { FakeApi, token } from "../fakeApi";

const folder = mkdtempSync(join(tmpdir(), "krustlet-approver-test-"));
const files = own.approverFiles(folder);
const agent = agentFiles(folder);
after(() => {
    rmSync(folder, { recursive: true, force: true });
});

const settings: own.ApproverSettings = {
    nodeName: expected.nodeName,
    nodeIp: expected.nodeIp,
    bootstrapGroup: expected.bootstrapGroup,
    namespace: "kube-system",
    serviceAccount: "krustlet-approver-krustlet",
    tokenSeconds: 600,
};

let api: FakeApi;
let log: string[];
let over: AbortController;
let running: Promise<string> | undefined;

/** Starts an approver whose token has that life, and waits for its first watch. */
async function start(issuedAt: number, expiresAt: number, watches = true): Promise<void> {
    await own.writeCredential(files, {
        server: api.url,
        authorityPem: "",
        token: token("first", issuedAt, expiresAt),
    });
    const pace = { watch: 60_000, retry: 10, retryMost: 40 };
    const approver = new Approver(
        agent,
        files,
        settings,
        await own.readCredential(files),
        (line) => log.push(line),
        pace,
    );
    running = approver.run(over.signal);
    if (watches) await until(() => api.watching === 1);
}

async function until(holds: () => boolean): Promise<void> {
    const end = Date.now() + 10_000;
    while (!holds()) {
        assert.ok(Date.now() < end, `it did not come to that; its log:\n${log.join("\n")}`);
        await new Promise((resolve) => setTimeout(resolve, 5));
    }
}

function named(name: string, csr: CertificateSigningRequest): CertificateSigningRequest {
    return { ...csr, metadata: { ...csr.metadata, name, resourceVersion: "1" } };
}

const hour = 3_600_000;
const startUsual = () => start(Date.now() - 1000, Date.now() + hour);

describe("the approver of a node's renewals", () => {
    beforeEach(async () => {
        api = new FakeApi();
        await api.start();
        log = [];
        over = new AbortController();
        for (const [file, key] of [
            [agent.publicKeys.client, keys.client],
            [agent.publicKeys.serving, keys.serving],
        ] as const) {
            mkdirSync(dirname(file), { recursive: true });
            writeFileSync(file, key.publicKey.export({ type: "spki", format: "pem" }));
        }
        const record = { pid: 1, startTime: "1", launchedAt: expected.launchedAt, bootstrapFile: "/none" };
        writeFileSync(agent.pidFile, JSON.stringify(record));
        writeFileSync(files.pidFile, JSON.stringify({ pid: process.pid }));
    });
    afterEach(async () => {
        over.abort();
        await running;
        running = undefined;
        await api.stop();
    });

    it("approves both renewals, those that were there before it and those that come", async () => {
        api.put(named("before", renewal()));
        await startUsual();
        await until(() => api.conditions("before").length > 0);
        api.put(named("later", serving()));
        // The approver hears of the answer to its approval after the API server has taken it.
        await until(() => log.length === 2);
        assert.deepEqual(api.conditions("before"), ["Approved KrustletStackApproved"]);
        assert.deepEqual(api.conditions("later"), ["Approved KrustletStackApproved"]);
        assert.deepEqual(log, [
            "certificate request before (client, filed by system:node:krustlet) was approved",
            "certificate request later (serving, filed by system:node:krustlet) was approved",
        ]);
        assert.equal(statSync(files.contactFile).mode & 0o777, 0o600);
    });

    it("denies what bears the node's name and does not fit, once, and says why", async () => {
        await startUsual();
        api.put(named("forged", renewal({ key: keys.foreign })));
        api.put(
            named(
                "krustlet-krustlet-client-abcde",
                client({ subject: [] }, { spec: { groups: [], username: "eve" } }),
            ),
        );
        await until(() => log.length === 2);
        assert.deepEqual(api.conditions("forged"), ["Denied KrustletStackDenied"]);
        assert.deepEqual(api.conditions("krustlet-krustlet-client-abcde"), ["Denied KrustletStackDenied"]);
        assert.equal(
            log[0],
            "certificate request forged (filed by system:node:krustlet) was denied: its public key is not the one that the node's agent made",
        );
        api.endWatches();
        await until(() => api.calls.filter((call) => call.startsWith("GET")).length === 2);
        assert.equal(api.calls.filter((call) => call.startsWith("PUT")).length, 2);
    });

    it("leaves alone other nodes, what is decided, and whoever joins with a token while `up` runs", async () => {
        const other = renewal(
            { subject: [["2.5.4.3", "system:node:other"]] },
            { spec: { username: "system:node:other" } },
        );
        const decided = { conditions: [{ type: "Approved", status: "True", reason: "AutoApproved" }] };
        api.put(named("other", other));
        api.put(named("decided", renewal({ key: keys.foreign }, { status: decided })));
        api.put(named("joining", client()));
        await startUsual();
        api.put(named("last", serving()));
        await until(() => log.length === 1);
        assert.deepEqual(api.conditions("other"), []);
        assert.deepEqual(api.conditions("decided"), ["Approved AutoApproved"]);
        assert.deepEqual(api.conditions("joining"), []);
        assert.match(log[0], /^certificate request last \(serving/);
    });

    it("denies everything of a node whose agent was never launched", async () => {
        rmSync(agent.pidFile);
        await startUsual();
        api.put(named("early", renewal()));
        await until(() => log.length === 1);
        assert.match(log[0], /early .* was denied: it was filed at .*, before the node was launched$/);
    });

    it("tells once of a request that it has no right to decide on", async () => {
        api.forbiddenSigners.add("example.com/signer");
        const { username, groups } = serving().spec;
        api.put(
            named("strange", client({}, { spec: { username, groups, signerName: "example.com/signer" } })),
        );
        await startUsual();
        api.endWatches();
        await until(() => api.calls.filter((call) => call.startsWith("WATCH")).length === 2);
        assert.deepEqual(log, [
            "certificate request strange bears the node's name, for signer example.com/signer, on which this approver may not " +
                "decide: it is left undecided",
        ]);
        assert.equal(api.calls.filter((call) => call.startsWith("PUT")).length, 1);
    });

    it("leaves a request that has changed meanwhile to the next look", async () => {
        await startUsual();
        const csr = named("moving", serving());
        api.put({ ...csr, metadata: { ...csr.metadata, resourceVersion: "2" } }, false);
        // A watcher is told of the state before.
        const stored = api.csrs.get("moving");
        api.put(csr);
        if (stored) api.put(stored, false);
        await until(() => api.calls.some((call) => call.startsWith("PUT")));
        assert.deepEqual(api.conditions("moving"), []);
        api.endWatches();
        await until(() => log.length === 1);
        assert.deepEqual(api.conditions("moving"), ["Approved KrustletStackApproved"]);
    });

    it("survives the end of a watch and a restart of the API server, and finds what it missed", async () => {
        await startUsual();
        api.put(named("missed", serving()), false);
        api.endWatches();
        await until(() => api.conditions("missed").length === 1);
        await api.stop();
        await until(() => log.some((line) => line.startsWith("the API server does not answer")));
        api.put(named("meanwhile", renewal()), false);
        await api.start();
        await until(() => api.conditions("meanwhile").length === 1);
        await until(() => log.at(-1) === "the API server answers again");
        assert.ok(
            log.every((line, index) => line !== log[index - 1]),
            `each trouble is told of when it begins:\n${log.join("\n")}`,
        );
    });

    it("does not press a server that ends each watch at once", async () => {
        await startUsual();
        const timer = setInterval(() => api.endWatches(), 1);
        await new Promise((resolve) => setTimeout(resolve, 300));
        clearInterval(timer);
        const lists = api.calls.filter((call) => call.startsWith("GET")).length;
        assert.ok(lists > 1 && lists <= 31, `${lists} lists within 300 ms, at one for each 10 ms`);
    });

    it("renews its credential when half of its life is over, and writes it down privately", async () => {
        const next = token("second", Date.now(), Date.now() + hour);
        api.nextToken = next;
        await start(Date.now() - hour, Date.now() + hour - 1000);
        assert.deepEqual(
            api.calls.map((call) => call.replace(/^(\w+) \S*\/(\w+) /, "$1 $2 ")),
            [
                "POST token first",
                "GET certificatesigningrequests second",
                "WATCH certificatesigningrequests second",
            ],
        );
        assert.equal((await own.readCredential(files)).token, next);
        assert.equal(statSync(files.kubeconfigFile).mode & 0o777, 0o600);
        assert.match(log[0], /^the credential was renewed, until /);
        assert.ok(!log.join("").includes(next));
    });

    it("serves on with the credential that it has when that cannot be renewed", async () => {
        api.put(named("meanwhile", serving()));
        await start(Date.now() - hour, Date.now() + hour - 1000);
        await until(() => api.conditions("meanwhile").length === 1);
        assert.equal(
            log[0],
            "the credential could not be renewed: the API server answered 503: ServiceUnavailable",
        );
    });

    it("tries again when its credential is refused, and ends when that has run out", async () => {
        api.refusedTokens.add("first");
        const end = Math.ceil(Date.now() / 1000) * 1000 + 1000;
        await start(Date.now() - 1000, end, false);
        assert.equal(await running, "expired");
        assert.ok(Date.now() >= end);
        assert.ok(log.includes("the API server answered 401: Unauthorized"));
    });

    it("ends when another approver has taken its place", async () => {
        await startUsual();
        writeFileSync(files.pidFile, JSON.stringify({ pid: process.pid + 1 }));
        api.endWatches();
        assert.equal(await running, "replaced");
    });

    it("ends at a signal, in the middle of a watch", async () => {
        await startUsual();
        over.abort();
        assert.equal(await running, "ended");
    });
});

describe("an approver's files", () => {
    it("name its folder on the command line, and no secret", () => {
        const argv = own.approverArgv("/bin/node", "/project/approver.js", own.approverFiles("/state"));
        assert.deepEqual(argv, [
            "/bin/node",
            "--max-semi-space-size=1",
            "--optimize-for-size",
            "/project/approver.js",
            "--approver-of=/state",
        ]);
        assert.equal(own.stateDirIn(argv), "/state");
        assert.equal(own.stateDirIn(["x"]), undefined);
    });

    it("hold a kubeconfig that kubectl reads too", async () => {
        const made = token("t", 1_000_000, 2_000_000);
        await own.writeCredential(files, { server: "https://127.0.0.1:1", authorityPem: "PEM", token: made });
        assert.deepEqual(await own.readCredential(files), {
            server: "https://127.0.0.1:1",
            authorityPem: "PEM",
            token: made,
            issuedAt: 1_000_000,
            expiresAt: 2_000_000,
        });
        const config = JSON.parse(readFileSync(files.kubeconfigFile, "utf8")) as Record<string, unknown>;
        assert.deepEqual(
            [config.kind, config["current-context"], config.contexts],
            ["Config", "approver", [{ name: "approver", context: { cluster: "cluster", user: "approver" } }]],
        );
    });

    it("renew a token at half of its life, and take none without one", () => {
        const credential = own.credentialOf("s", "a", token("t", 1_000_000, 3_000_000));
        assert.equal(own.renewalTime(credential), 2_000_000);
        for (const bad of ["", "a.b.c", `a.${Buffer.from("{}").toString("base64url")}.c`]) {
            assert.throws(() => own.credentialOf("s", "a", bad), {
                message: "the approver's token is no ServiceAccount token with a life of its own",
            });
        }
    });

    it("come with a minimal environment", () => {
        const callers = { PATH: "/bin", HOME: "/h", KUBECONFIG: "/mine", NODE_OPTIONS: "y" };
        assert.deepEqual(own.approverEnvironment(callers), { PATH: "/bin", HOME: "/h" });
    });
});
