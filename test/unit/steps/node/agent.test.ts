import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
    chmodSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readFileSync,
    rmSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import type { NodeInput } from "../../../../steps/contract";
import * as agent from "../../../../steps/node/agent/agent";
import { expandHome, logTail, withPrivateFile, writePrivate } from "../../../../steps/lib/files";
import { claimFolder, ownerOf } from "../../../../steps/node/folder";
import { describeConditions, isReady } from "../../../../steps/node/nodeReady";
import { blocking, listenersIn } from "../../../../steps/host/ports";
import { findProgram } from "../../../../steps/lib/programs/programs";
import { endProcess, isAlive, processesWith, processOf } from "../../../../steps/lib/processes";

const folder = mkdtempSync(join(tmpdir(), "krustlet-stack-test-"));
after(() => {
    rmSync(folder, { recursive: true, force: true });
});

const input: NodeInput = {
    kubeconfigFile: "/k",
    owner: "p/s",
    program: "krustlet-wasi",
    nodeName: "krustlet",
    nodeIp: "172.18.0.1",
    port: 3000,
    maxPods: 110,
    labels: {},
    insecureRegistries: [],
    stateDir: "/state",
    bootstrapFile: "/state/bootstrap.kubeconfig",
    bootstrapGroup: "system:bootstrappers:x",
    tokenTtlSeconds: 600,
};

describe("the agent's command line", () => {
    it("is Krustlet's, without secrets", () => {
        assert.deepEqual(agent.agentArgv("/bin/krustlet-wasi", input), [
            "/bin/krustlet-wasi",
            "--node-name=krustlet",
            "--hostname=krustlet",
            "--node-ip=172.18.0.1",
            "--addr=172.18.0.1",
            "--port=3000",
            "--max-pods=110",
            "--data-dir=/state/data",
            "--bootstrap-file=/state/bootstrap.kubeconfig",
        ]);
    });
    it("lists labels, registries and host paths, and expands the home folder", () => {
        const given = {
            ...input,
            stateDir: "~/s",
            bootstrapFile: "~/s/b",
            labels: { a: "b", "x/y": "z" },
            insecureRegistries: ["localhost:5000", "r"],
            trustedCaFile: "~/ca.pem",
            dockerConfigFile: "~/logins.json",
            allowedHostPaths: ["/srv/data", "/srv/more"],
            allowedEgress: ["127.0.0.1", "fd00::/8"],
        };
        assert.deepEqual(agent.agentArgv("k", given).slice(7), [
            `--data-dir=${homedir()}/s/data`,
            `--bootstrap-file=${homedir()}/s/b`,
            "--node-labels=a=b,x/y=z",
            "--insecure-registries=localhost:5000,r",
            `--trusted-ca-file=${homedir()}/ca.pem`,
            `--registry-config=${homedir()}/logins.json`,
            "--allowed-host-paths=/srv/data,/srv/more",
            "--allowed-egress=127.0.0.1,fd00::/8",
        ]);
        assert.deepEqual(
            agent
                .agentArgv("k", {
                    ...given,
                    trustedCaFile: undefined,
                    dockerConfigFile: "l",
                    allowedHostPaths: [],
                    allowedEgress: [],
                })
                .slice(-2),
            ["--insecure-registries=localhost:5000,r", `--registry-config=${process.cwd()}/l`],
        );
    });
    it("leaves its address to itself in a container, and names where registries are found", () => {
        const registryMirrors = { "localhost:5001": "registry:5000", r: "s" };
        const given = { ...input, nodeIp: undefined, network: "kind", registryMirrors };
        assert.deepEqual(agent.agentArgv("/bin/krustlet-wasi", given), [
            "/bin/krustlet-wasi",
            "--node-name=krustlet",
            "--hostname=krustlet",
            "--port=3000",
            "--max-pods=110",
            "--data-dir=/state/data",
            "--bootstrap-file=/state/bootstrap.kubeconfig",
            "--registry-mirrors=localhost:5001=registry:5000,r=s",
        ]);
    });
    it("asks for certificates of a life and a renewal only where it was told to", () => {
        const given = { ...input, certificateDurationSeconds: 86_400, certificateRenewalPercent: 50 };
        assert.deepEqual(agent.agentArgv("k", given).slice(-2), [
            "--certificate-duration-seconds=86400",
            "--certificate-renewal-percent=50",
        ]);
        const faults = (more: object) =>
            agent.nodeInput({ ...input, ...more }, "input").map(({ path, message }) => `${path}: ${message}`);
        assert.deepEqual(faults({ certificateDurationSeconds: 600, certificateRenewalPercent: 95 }), []);
        assert.deepEqual(faults({ certificateDurationSeconds: 599, certificateRenewalPercent: 0 }), [
            "input.certificateDurationSeconds: must be a whole number from 600 to 31622400, not 599",
            "input.certificateRenewalPercent: must be a whole number from 1 to 95, not 0",
        ]);
    });
    it("names what is no host path", () => {
        const faults = (allowedHostPaths: unknown) =>
            agent
                .nodeInput({ ...input, allowedHostPaths }, "input")
                .map(({ path, message }) => `${path}: ${message}`);
        assert.deepEqual(faults(["/srv", "/"]), []);
        assert.deepEqual(faults(["srv", "/a,b"]), [
            'input.allowedHostPaths[0]: must be an absolute path without a comma (for example "/srv/data"), not "srv"',
            'input.allowedHostPaths[1]: must be an absolute path without a comma (for example "/srv/data"), not "/a,b"',
        ]);
    });
    it("names what is no range of addresses", () => {
        const faults = (allowedEgress: unknown) =>
            agent
                .nodeInput({ ...input, allowedEgress }, "input")
                .map(({ path, message }) => `${path}: ${message}`);
        assert.deepEqual(
            faults(["10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8", "0.0.0.0/0", "::ffff:1.2.3.4/128"]),
            [],
        );
        const shape =
            'must be an IPv4 or IPv6 address, with /PREFIX for a range (for example "127.0.0.1" or "10.0.0.0/8")';
        assert.deepEqual(faults(["localhost", "10.0.0.0/33", "10.0.0/8", "::/129"]), [
            `input.allowedEgress[0]: ${shape}, not "localhost"`,
            'input.allowedEgress[1]: is "10.0.0.0/33", but there is no such address or range',
            'input.allowedEgress[2]: is "10.0.0/8", but there is no such address or range',
            'input.allowedEgress[3]: is "::/129", but there is no such address or range',
        ]);
    });
    it("comes with a minimal environment", () => {
        const callers = {
            PATH: "/bin",
            HOME: "/h",
            RUST_LOG: "debug",
            KUBECONFIG: "/mine",
            PULUMI_CONFIG_PASSPHRASE: "x",
            NODE_OPTIONS: "y",
        };
        assert.deepEqual(agent.agentEnvironment(input, callers), {
            PATH: "/bin",
            HOME: "/h",
            RUST_LOG: "debug",
            KUBECONFIG: "/state/kubeconfig",
        });
        const known = { DOCKER_CONFIG: "docker", SSL_CERT_FILE: "/ca.pem", SSL_CERT_DIR: "" };
        assert.deepEqual(agent.agentEnvironment(input, known), {
            DOCKER_CONFIG: `${process.cwd()}/docker`,
            SSL_CERT_FILE: "/ca.pem",
            KUBECONFIG: "/state/kubeconfig",
        });
        const proxies = { HTTPS_PROXY: "http://p:1", http_proxy: "p:2", NO_PROXY: "a", no_proxy: "b" };
        assert.deepEqual(agent.agentEnvironment(input, { ...proxies, ALL_PROXY: "http://p:3" }), {
            ...proxies,
            KUBECONFIG: "/state/kubeconfig",
        });
        assert.deepEqual(agent.agentEnvironment(input, {}), { KUBECONFIG: "/state/kubeconfig" });
    });
});

describe("a program", () => {
    it("is found on PATH, by its path, or not at all", async () => {
        const program = join(folder, "tool");
        writeFileSync(program, "", { mode: 0o755 });
        writeFileSync(join(folder, "text"), "", { mode: 0o644 });
        assert.equal(await findProgram("tool", `/nowhere:relative:${folder}`), program);
        assert.equal(await findProgram(program, ""), program);
        assert.equal(await findProgram("text", folder), undefined);
        assert.equal(await findProgram("missing", folder), undefined);
    });
});

describe("a node's folder", () => {
    const whose = { owner: "p/s", nodeName: "krustlet" };
    it("is made private, marked, and known again", async () => {
        const path = join(folder, "a", "node");
        assert.equal(await claimFolder(path, whose), true);
        assert.equal(await claimFolder(path, whose), false);
        assert.equal(statSync(path).mode & 0o777, 0o700);
        assert.equal(statSync(join(path, "owner.json")).mode & 0o777, 0o600);
        assert.deepEqual(await ownerOf(path), whose);
    });
    it("of another node or owner is refused", async () => {
        const path = join(folder, "b");
        await claimFolder(path, whose);
        await assert.rejects(claimFolder(path, { ...whose, nodeName: "other" }), {
            message: `stateDir: ${path} is of node "krustlet" of p/s, not of node "other" of p/s; give each node a folder of its own`,
        });
        await assert.rejects(
            claimFolder(path, { ...whose, owner: "p/t" }),
            /is of node "krustlet" of p\/s, not of node "krustlet" of p\/t/,
        );
    });
    it("with other things in it is refused", async () => {
        const path = join(folder, "c");
        mkdirSync(path, { mode: 0o700 });
        writeFileSync(join(path, "thesis.txt"), "");
        await assert.rejects(claimFolder(path, whose), /holds files that are not of a node/);
    });
    it("that others may enter is refused", async () => {
        const path = join(folder, "d");
        mkdirSync(path, { mode: 0o700 });
        chmodSync(path, 0o750);
        await assert.rejects(
            claimFolder(path, whose),
            /others may reach into .*mode 0750, user \d+.*chmod 0700/,
        );
    });
});

describe("files", () => {
    it("are written privately and in one step", async () => {
        const path = join(folder, "secret");
        await writePrivate(path, "one");
        await writePrivate(path, "two");
        assert.equal(readFileSync(path, "utf8"), "two");
        assert.equal(statSync(path).mode & 0o777, 0o600);
    });
    it("for a moment are gone afterwards, after a failure too", async () => {
        let seen = "";
        await assert.rejects(
            withPrivateFile("k", (path) => {
                seen = path;
                assert.equal(statSync(path).mode & 0o777, 0o600);
                assert.equal(statSync(join(path, "..")).mode & 0o777, 0o700);
                return Promise.reject(new Error("x"));
            }),
            /^Error: x$/,
        );
        assert.throws(() => statSync(join(seen, "..")), { code: "ENOENT" });
    });
    it("of a step that was killed are removed by the next one, those of one that runs are not", async () => {
        const dead = join(tmpdir(), `krustlet-stack-step-${2 ** 22 + 1}-x`);
        const alive = join(tmpdir(), `krustlet-stack-step-${process.ppid}-x`);
        for (const path of [dead, alive]) mkdirSync(path, { mode: 0o700 });
        writeFileSync(join(dead, "kubeconfig"), "k");
        await withPrivateFile("k", () => Promise.resolve());
        assert.equal(existsSync(dead), false);
        assert.equal(existsSync(alive), true);
        rmSync(alive, { recursive: true });
    });
    it("may be named from the home folder", () => {
        assert.equal(expandHome("~/a"), join(homedir(), "a"));
        assert.equal(expandHome("~"), homedir());
        assert.equal(expandHome("/a"), "/a");
        assert.equal(expandHome("a"), join(process.cwd(), "a"));
    });
    it("of a log end with their last lines", () => {
        const path = join(folder, "log");
        writeFileSync(path, "old\n1\n2\n3\n");
        assert.equal(logTail(path, 4, 2), "2\n3");
        assert.equal(logTail(path, 4, 9), "1\n2\n3");
        assert.equal(logTail(path, 10), "(nothing was logged)");
        assert.equal(logTail(join(folder, "none")), "(no log)");
    });
});

describe("processes", () => {
    it("are known by id and start, and end", async () => {
        const argument = `--data-dir=${folder}`;
        const child = spawn("sleep", ["60"], { argv0: argument });
        await new Promise((resolve) => child.once("spawn", resolve));
        const found = processesWith(argument);
        assert.deepEqual(
            found.map(({ pid }) => pid),
            [child.pid],
        );
        assert.equal(isAlive(found[0]), true);
        assert.equal(isAlive({ ...found[0], startTime: "1" }), false);
        assert.equal(await endProcess({ ...found[0], startTime: "1" }, 1), "gone");
        assert.equal(isAlive(found[0]), true, "another process of that id is left alone");
        assert.equal(await endProcess(found[0], 5), "ended");
        assert.equal(await endProcess(found[0], 5), "gone");
    });
    it("that do not end are killed", async () => {
        const child = spawn("bash", ["-c", "trap '' TERM; echo; while :; do sleep 0.1; done"]);
        await new Promise((resolve) => child.stdout.once("data", resolve));
        const found = processOf(child.pid ?? 0);
        assert.ok(found);
        assert.equal(await endProcess(found, 0.2), "killed");
    });
    it("that are not there are none", () => {
        assert.equal(processOf(2 ** 22 + 1), undefined);
    });
});

describe("listening sockets", () => {
    const table = [
        "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
        "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 1 1 0 100 0 0 10 0",
        "   1: 00000000:0BB8 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 2 1 0 100 0 0 10 0",
        "   2: 010012AC:0BB9 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 3 1 0 100 0 0 10 0",
        "   3: 010012AC:0BBA 020012AC:C000 01 00000000:00000000 00:00000000 00000000     0        0 4 1 0 100 0 0 10 0",
    ].join("\n");
    it("are read from the kernel's table", () => {
        assert.deepEqual(listenersIn(table), [
            { address: "127.0.0.1", port: 8080 },
            { address: "0.0.0.0", port: 3000 },
            { address: "172.18.0.1", port: 3001 },
        ]);
        const six = "   0: 00000000000000000000000000000000:0BB8 00000000000000000000000000000000:0000 0A x";
        const mapped =
            "   1: 0000000000000000FFFF00000100007F:0BB9 00000000000000000000000000000000:0000 0A x";
        assert.deepEqual(listenersIn(`${six}\n${mapped}`), [
            { address: "::", port: 3000 },
            { address: "127.0.0.1", port: 3001 },
        ]);
    });
    const all = listenersIn(table);
    const cases: [string | undefined, number, string | undefined][] = [
        ["172.18.0.1", 8080, undefined],
        ["172.18.0.1", 3000, "0.0.0.0"],
        ["172.18.0.1", 3001, "172.18.0.1"],
        ["172.19.0.1", 3001, undefined],
        [undefined, 3001, undefined],
        [undefined, 3000, "0.0.0.0"],
        ["172.18.0.1", 3002, undefined],
    ];
    for (const [address, port, blocker] of cases) {
        it(`${address ?? "an address to come"}:${port} is ${blocker ? "blocked" : "free"}`, () => {
            assert.equal(blocking(all, address, port)?.address, blocker);
        });
    }
});

describe("a node's readiness", () => {
    const launchedAt = Date.parse("2026-01-01T00:00:10.900Z");
    const node = (status: string, lastHeartbeatTime?: string) => ({
        metadata: { name: "n" },
        status: { conditions: [{ type: "Ready", status, reason: "R", message: "M", lastHeartbeatTime }] },
    });
    it("is that of the agent that runs now", () => {
        assert.equal(isReady(node("True", "2026-01-01T00:00:11Z"), launchedAt), true);
        assert.equal(
            isReady(node("True", "2026-01-01T00:00:10Z"), launchedAt),
            true,
            "times are cut to seconds",
        );
        assert.equal(isReady(node("True", "2026-01-01T00:00:09Z"), launchedAt), false);
        assert.equal(isReady(node("False", "2026-01-01T00:00:11Z"), launchedAt), false);
        assert.equal(isReady(node("True"), launchedAt), false);
        assert.equal(isReady({ metadata: { name: "n" } }, launchedAt), false);
    });
    it("is described for an error", () => {
        assert.equal(describeConditions(undefined), "no such Node was registered");
        assert.equal(describeConditions({ metadata: { name: "n" } }), "the Node has no conditions");
        assert.equal(describeConditions(node("False")), "Ready=False (R, M, heartbeat never)");
    });
});
