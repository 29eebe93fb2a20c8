/** A node's program from its start to its end: what is watched, and what is said of one that does not come to work. */
import assert from "node:assert/strict";
import { existsSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { describe, it } from "node:test";
import {
    agentFiles,
    whileAgentLives,
    writeRecord,
    type AgentRecord,
} from "../../../../../steps/node/agent/agent";
import { startDaemon, type Daemon } from "../../../../../steps/node/daemon/daemon";
import { scratchFolder, scriptedTools } from "../../lib/scriptedDocker";

const folder = scratchFolder("daemon");

const tools = scriptedTools();

describe("a program in a container that ends at once", () => {
    const logFile = path.join(folder, "agent.log");
    const pidFile = path.join(folder, "agent.pid");
    const place = {
        ...{ name: "n", network: "kind", owner: "p/s", stateDir: folder, part: "agent" as const },
        options: [],
    };
    const daemon: Daemon = {
        ...{ title: "T: its agent", argv: ["/bin/sh"], env: {}, logFile, pidFile, place },
        works: () => false,
        watchMilliseconds: 1000,
        mustShow: true,
    };
    /** Docker with a container that has ended, which wrote that into its log and printed that. */
    const docker = (logged: string, printed: string) => {
        const Config = { Labels: { "krustlet-stack.owner": "p/s" } };
        const NetworkSettings = { Networks: {} };
        const found = { Id: "0", Name: "/n", Config, State: { Running: false }, NetworkSettings };
        tools.script("krustlet-supervisor", "");
        tools.script("ldd", "return 1;");
        tools.script(
            "docker",
            `const answers = { ps: argv.some((one) => one.includes("name=")) ? "" : "0", create: "0",
                inspect: ${JSON.stringify(JSON.stringify([found]))}, logs: ${JSON.stringify(printed)} };
             if (argv[0] === "start") fs.appendFileSync(${JSON.stringify(logFile)}, ${JSON.stringify(logged)});
             (argv[0] === "logs" ? say : print)(answers[argv[0]] ?? "");`,
        );
    };
    const failure = async () =>
        startDaemon(daemon, {}).then(
            () => assert.fail(),
            (error: unknown) => (error as Error).message,
        );

    it("is an error with what it wrote into its log", async () => {
        writeFileSync(logFile, "of one before it\n");
        docker("the disk is full\n", "not asked for");
        assert.equal(
            await failure(),
            `T: its agent ended at once; its log, ${logFile}, ends:\nthe disk is full`,
        );
    });
    it("is an error with what its container printed where it could not even write its log", async () => {
        writeFileSync(logFile, "of one before it\n");
        docker("", "krustlet-supervisor: /x/agent.log: Permission denied\n");
        assert.equal(
            await failure(),
            `T: its agent ended at once; its log, ${logFile}, ends:\n(nothing was logged)\n` +
                "its container, n, printed:\nkrustlet-supervisor: /x/agent.log: Permission denied",
        );
        const asked = tools.asked();
        assert.ok(asked.indexOf("docker logs --tail=15 0") < asked.indexOf("docker rm --force --volumes 0"));
        assert.equal(existsSync(pidFile), false);
    });
});

describe("an agent in a container, while it is waited for", () => {
    const files = agentFiles(folder);
    const container = { name: "n", id: "0", network: "kind", address: "172.18.0.3" };
    const record = { pid: 1, startTime: "", launchedAt: 0, logOffset: 0, container } as AgentRecord;

    it("is dead when its container has stopped", async () => {
        await writeRecord(files, record);
        tools.script(
            "docker",
            `print(argv[0] === "ps" ? "0" : '[{ "State": { "Running": false }, "NetworkSettings": { "Networks": {} } }]');`,
        );
        await assert.rejects(
            whileAgentLives(files, "n", (signal) => sleep(60_000, "waited", { signal })),
            /KrustletNode "n": its agent has ended/,
        );
    });
    it("is not taken for dead by a docker command that fails, nor asked for again while one is under way", async () => {
        await writeRecord(files, record);
        const [one, two] = [path.join(folder, "asks"), path.join(folder, "asks-besides")];
        tools.script(
            "docker",
            `try { fs.closeSync(fs.openSync(${JSON.stringify(one)}, "wx")); }
             catch { fs.writeFileSync(${JSON.stringify(two)}, ""); }
             Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1200);
             fs.rmSync(${JSON.stringify(one)}, { force: true });
             say("it is busy");
             return 1;`,
        );
        assert.equal(await whileAgentLives(files, "n", () => sleep(3500, "waited")), "waited");
        assert.ok(tools.asked().length > 0);
        assert.equal(existsSync(two), false);
    });
    it("is not taken for dead where Docker lists its container and then cannot say how it is", async () => {
        await writeRecord(files, record);
        // As the command does where its daemon is being restarted.
        tools.script(
            "docker",
            `if (argv[0] === "ps") { print("0"); return 0; }
             print("[]");
             say("Cannot connect to the Docker daemon");
             return 1;`,
        );
        assert.equal(await whileAgentLives(files, "n", () => sleep(2500, "waited")), "waited");
        assert.ok(tools.asked().some((line) => line.startsWith("docker inspect")));
    });
});
