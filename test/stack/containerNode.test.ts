/** A node in a container: it comes back whatever ends it, wherever Docker puts it, and is moved in and out under its name. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { until } from "../until";
import { docker, FaultyStack } from "./faults/faultsUnderTest";
import type { StackConfig } from "./stackUnderTest";

const NAME = "acceptance-boxed";
const CLUSTER = "krustlet-boxed";
const NODE = "krustlet-boxed-a";
const AGENT = `krustlet-stack-${NAME}-${NODE}-agent`;
const APPROVER = `krustlet-stack-${NAME}-${NODE}-approver`;

void describe("a node in a container", { timeout: 1_800_000 }, () => {
    let faulty: FaultyStack;
    const config = (runtime?: string): StackConfig => ({
        clusterName: CLUSTER,
        registryPort: 5123,
        nodes: [{ name: NODE, port: 3123, runtime }],
        workloads: [
            { name: "clock", kind: "Deployment", source: "workloads/ticker" },
            { name: "hello-wasm", source: "workloads/hello-world" },
        ],
    });
    /** The Deployment that is looked at. */
    let clock = "";
    const kubectl = (...args: string[]) => faulty.stack.kubectl(...args);
    const inspect = (container: string, field: string) =>
        docker("inspect", container, `--format={{${field}}}`);
    const addressOf = (container: string) => inspect(container, ".NetworkSettings.Networks.kind.IPAddress");
    const announced = () =>
        kubectl(
            "get",
            "node",
            NODE,
            '--output=jsonpath={.status.addresses[?(@.type=="InternalIP")].address}',
        );
    const uid = () => kubectl("get", "node", NODE, "--output=jsonpath={.metadata.uid}");
    /** The node is Ready by a heartbeat of its agent of now, and the API server gets logs from it, whose certificate it verifies. */
    const serves = (since: number) =>
        until("the node's return", async () => {
            const ready = await kubectl(
                ...["get", "node", NODE],
                '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].lastHeartbeatTime}',
            );
            const [status, heartbeat] = ready.split(" ");
            if (status !== "True" || Date.parse(heartbeat) < Math.floor(since / 1000) * 1000)
                return undefined;
            const logs = ["kubectl", "--kubeconfig", faulty.stack.kubeconfig, "logs", clock, "--tail=1"];
            const { stdout } = await run(logs, { allowFailure: true });
            return stdout.trim() === "" ? undefined : Date.now() - since;
        });
    /** Ids of the agent's processes, its supervisor first. */
    const pids = async () =>
        (await docker("top", AGENT, "-eo", "pid,comm"))
            .split("\n")
            .slice(1)
            .map((line) => line.trim().split(/ +/))
            // Not by their numbers, which begin anew some time.
            .sort(
                ([, one], [, other]) =>
                    Number(other.startsWith("krustlet-sup")) - Number(one.startsWith("krustlet-sup")),
            )
            .map(([pid]) => Number(pid));

    before(async () => {
        faulty = await FaultyStack.create(NAME, CLUSTER);
        await faulty.configure(config("container"));
    });
    after(async () => {
        for (const give of giveBack) await give();
        await faulty.stack.remove();
    });
    /** What gives addresses back that were taken. */
    const giveBack: (() => Promise<unknown>)[] = [];
    /** Nothing is to be done, unless Docker gave it another address: one of the other containers on the network has gone meanwhile. */
    const unchanged = async (address: string) => {
        if ((await addressOf(AGENT)) !== address) await faulty.up();
        await faulty.preview("--expect-no-changes");
    };

    void it("up ends with the workload's own log line", async () => {
        const begun = Date.now();
        const up = await faulty.up();
        console.log(`up: ${((Date.now() - begun) / 1000).toFixed(1)} s`);
        assert.match(up, /^Hello, World!$/m);
        clock = (await kubectl("get", "deployments", "--output=name")).trim().replace(".apps", "");
    });
    void it("up again changes nothing", async () => {
        await faulty.preview("--expect-no-changes");
        assert.match(await faulty.up(), /^Hello, World!$/m);
        const status = await faulty.stack.npmRun("status");
        assert.match(status.stdout, new RegExp(`container ${AGENT}, log `));
        assert.match(status.stdout, new RegExp(`container ${APPROVER}, log `));
        console.log(
            await docker("stats", "--no-stream", "--format={{.Name}} {{.MemUsage}}", AGENT, APPROVER),
        );
    });
    void it("logs are read from the address that Docker gave it", async () => {
        assert.equal(await announced(), await addressOf(AGENT));
        await serves(0);
        const all = await fs.readFile(path.join(stateDir(), "agent.log"), "utf8");
        assert.match(all, /log port open/);
        assert.equal((await fs.stat(path.join(stateDir(), "agent.log"))).mode & 0o777, 0o600);
    });
    void it("both containers are shut in", async () => {
        for (const container of [AGENT, APPROVER]) {
            const options =
                "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.RestartPolicy.Name}} {{.Config.User}}";
            assert.equal(
                await docker("inspect", container, `--format=${options}`),
                `true [ALL] [no-new-privileges] unless-stopped ${process.getuid?.()}:${process.getgid?.()}`,
            );
            assert.match(
                await inspect(container, 'index .Config.Labels "krustlet-stack.owner"'),
                /\/[0-9a-f]{16}$/,
            );
        }
        const [supervisor] = await pids();
        const capabilities = /^CapBnd:\s*(\w+)$/m.exec(
            await fs.readFile(`/proc/${supervisor}/status`, "utf8"),
        )?.[1];
        assert.equal(Number(`0x${capabilities}`), 0);
    });
    void it("an agent that is killed is back within five seconds, in the same container", async () => {
        const [supervisor, agent] = await pids();
        const started = await inspect(AGENT, ".State.StartedAt");
        const since = Date.now();
        process.kill(agent, "SIGKILL");
        const another = await until(
            "another agent",
            async () => {
                const [, now] = await pids();
                return now === undefined || now === agent ? undefined : now;
            },
            5,
        );
        assert.notEqual(another, agent);
        await serves(since);
        assert.deepEqual(
            [(await pids())[0], await inspect(AGENT, ".State.StartedAt")],
            [supervisor, started],
        );
        await faulty.preview("--expect-no-changes");
    });
    void it("a supervisor that is killed is started by Docker within five seconds", async () => {
        const before = await addressOf(AGENT);
        const since = Date.now();
        process.kill((await pids())[0], "SIGKILL");
        await serves(since);
        console.log(`back after ${((Date.now() - since) / 1000).toFixed(1)} s`);
        await unchanged(before);
    });
    void it("a container that is restarted goes on", async () => {
        const before = await addressOf(AGENT);
        const since = Date.now();
        await docker("restart", AGENT, APPROVER);
        await serves(since);
        await unchanged(before);
    });
    void it("with another address, as after a reboot, it serves with a certificate for it, and the update notes that", async () => {
        const address = await addressOf(AGENT);
        await docker("stop", AGENT);
        giveBack.push(await faulty.takeAddress(address));
        const since = Date.now();
        await docker("start", AGENT);
        const now = await addressOf(AGENT);
        assert.notEqual(now, address);
        await serves(since);
        assert.equal(await announced(), now);
        const plan = await faulty.preview();
        const words = new RegExp(`has another address than before \\(${address} → ${now}\\)`);
        assert.match(plan, words);
        assert.match(await faulty.up(), /^Hello, World!$/m);
        await faulty.preview("--expect-no-changes");
        assert.equal(await addressOf(AGENT), now);
    });
    void it("with another address while nobody approves it keeps its pods, and the update mends it", async () => {
        const pods = () =>
            kubectl("get", "pods", "--selector=app=clock", "--output=jsonpath={.items[*].metadata.uid}");
        const before = await pods();
        const address = await addressOf(AGENT);
        await docker("stop", APPROVER, AGENT);
        giveBack.push(await faulty.takeAddress(address));
        const since = Date.now();
        await docker("start", AGENT);
        assert.notEqual(await addressOf(AGENT), address);
        await until("a heartbeat", async () => {
            const ready = await kubectl(
                ...["get", "node", NODE],
                '--output=jsonpath={.status.conditions[?(@.type=="Ready")].status} {.status.conditions[?(@.type=="Ready")].lastHeartbeatTime}',
            );
            const [status, heartbeat] = ready.split(" ");
            return status === "True" && Date.parse(heartbeat) >= Math.floor(since / 1000) * 1000
                ? true
                : undefined;
        });
        const plan = await faulty.preview();
        assert.match(
            plan,
            /the approver of node "[^"]+", started \S+, is not running any more: it is started again/,
        );
        assert.match(await faulty.up(), /^Hello, World!$/m);
        await serves(0);
        assert.equal(await pods(), before);
        await faulty.preview("--expect-no-changes");
    });
    void it("one that was stopped or removed by hand is started by the update", async () => {
        await docker("stop", AGENT);
        await docker("rm", "--force", APPROVER);
        const plan = await faulty.preview();
        assert.match(
            plan,
            new RegExp(
                `agent in container ${AGENT} of node "${NODE}", started \\S+, is not running any more`,
            ),
        );
        assert.match(
            plan,
            /the approver of node "[^"]+", started \S+, is not running any more: it is started again/,
        );
        const since = Date.now();
        await faulty.up();
        await serves(since);
        await faulty.preview("--expect-no-changes");
    });
    void it("moved out of its container and into it again, it keeps its name and its Node", async () => {
        const node = await uid();
        for (const [runtime, containers] of [
            ["process", ""],
            ["container", `${AGENT}\n${APPROVER}`],
        ] as const) {
            await faulty.configure(config(runtime));
            const since = Date.now();
            assert.match(await faulty.up(), /^Hello, World!$/m);
            await serves(since);
            assert.equal(await uid(), node);
            const names = await docker("ps", "--all", `--filter=name=${NODE}`, "--format={{.Names}}");
            assert.equal(names.split("\n").sort().join("\n"), containers);
            await faulty.preview("--expect-no-changes");
        }
        assert.equal(faulty.findAgent(NODE) !== undefined, true);
    });
    void it("down leaves nothing, nor of the container that it has been moved out of last", async () => {
        await faulty.configure(config("process"));
        await faulty.up();
        for (const give of giveBack.splice(0)) await give();
        await faulty.down();
        assert.equal(await docker("image", "ls", "--quiet", "krustlet-stack-node"), "");
    });

    const stateDir = () => path.join(faulty.stack.home, "nodes", `krustlet-stack-${NAME}-${NODE}`);
});
