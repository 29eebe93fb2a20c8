/** A node in a container: it comes back whatever ends it, wherever Docker puts it, and is moved in and out under its name. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { until } from "../until";
import { docker, FaultyStack } from "./faults/faultsUnderTest";
import { load, type Answers } from "./load";
import type { StackConfig } from "./stackUnderTest";

const NAME = "acceptance-boxed";
const CLUSTER = "krustlet-boxed";
const NODE = "krustlet-boxed-a";
const AGENT = `krustlet-stack-${NAME}-${NODE}-agent`;
const NODE_PORT = 30123;
const APPROVER = `krustlet-stack-${NAME}-${NODE}-approver`;

void describe("a node in a container", { timeout: 1_800_000 }, () => {
    let faulty: FaultyStack;
    const config = (runtime?: string, env?: Record<string, string>): StackConfig => ({
        clusterName: CLUSTER,
        registryPort: 5123,
        nodes: [{ name: NODE, port: 3123, runtime, wasi03: true }],
        workloads: [
            { name: "clock", kind: "Deployment", source: "workloads/ticker" },
            { name: "hello-wasm", source: "workloads/hello-world" },
            // Two pods with one port, which need an address each.
            {
                name: "web",
                kind: "Deployment",
                source: "workloads/hello-http",
                ports: [{ containerPort: 8080 }],
                service: { port: 80, type: "NodePort", nodePort: NODE_PORT },
                env,
                replicas: runtime === "container" ? 2 : 1,
            },
            // Of WASI 0.3, which the node is told to run.
            {
                name: "visits",
                kind: "Deployment",
                source: "workloads/visits",
                ports: [{ containerPort: 8081 }],
                service: { port: 80 },
            },
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
    /** Ids and names of the processes in the agent's container. */
    const processes = async () =>
        (await docker("top", AGENT, "-eo", "pid,comm"))
            .split("\n")
            .slice(1)
            .map((line) => line.trim().split(/ +/));
    /** Ids of the agent's processes, its supervisor first. */
    const pids = async () =>
        (await processes())
            .filter(([, name]) => name !== "pod-routes")
            // Not by their numbers, which begin anew some time.
            .sort(
                ([, one], [, other]) =>
                    Number(other.startsWith("krustlet-sup")) - Number(one.startsWith("krustlet-sup")),
            )
            .map(([pid]) => Number(pid));

    /** Addresses of the pods that serve, by their names, once both answer at theirs to the API server. */
    const served = () =>
        until("both pods' answers", async () => {
            const listed = await kubectl("get", "pods", "--selector=app=web", "--output=json");
            const { items } = JSON.parse(listed) as {
                items: { metadata: { name: string }; status: { podIP?: string } }[];
            };
            const addresses: Record<string, string> = {};
            for (const { metadata, status } of items) {
                const path = `/api/v1/namespaces/default/pods/${metadata.name}:8080/proxy/you`;
                const ask = ["kubectl", "--kubeconfig", faulty.stack.kubeconfig, "get", "--raw", path];
                const { stdout } = await run(ask, { allowFailure: true });
                if (!stdout.startsWith("Hello, you!") || status.podIP === undefined) return undefined;
                addresses[metadata.name] = status.podIP;
            }
            return addresses;
        });

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
        clock = (await kubectl("get", "deployments", "--selector=app=clock", "--output=name"))
            .trim()
            .replace(".apps", "");
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
        const user = `${process.getuid?.()}:${process.getgid?.()}`;
        for (const [container, first] of [
            // Its supervisor gives these up before it starts anything.
            [AGENT, "[NET_ADMIN SETGID SETPCAP SETUID] 0:0"],
            [APPROVER, `[] ${user}`],
        ]) {
            const options =
                "{{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}} {{.HostConfig.RestartPolicy.Name}} {{.HostConfig.CapAdd}} {{.Config.User}}";
            assert.equal(
                (await docker("inspect", container, `--format=${options}`)).replaceAll("CAP_", ""),
                `true [ALL] [no-new-privileges] unless-stopped ${first}`,
            );
            assert.match(
                await inspect(container, 'index .Config.Labels "krustlet-stack.owner"'),
                /\/[0-9a-f]{16}$/,
            );
        }
        const all = await processes();
        assert.deepEqual(all.map(([, name]) => name).sort(), [
            "krustlet-superv",
            "krustlet-wasi",
            "pod-routes",
        ]);
        for (const [pid, name] of all) {
            const status = await fs.readFile(`/proc/${pid}/status`, "utf8");
            const of = (field: string) => new RegExp(`^${field}:\\s*(\\S+)`, "m").exec(status)?.[1];
            const rights = ["CapPrm", "CapEff", "CapInh", "CapBnd", "CapAmb"].map((set) =>
                Number(`0x${of(set)}`),
            );
            // To change this container's network.
            const netAdmin = name === "pod-routes" ? 1 << 12 : 0;
            assert.deepEqual(
                [...rights, of("NoNewPrivs"), of("Uid")],
                [netAdmin, netAdmin, 0, 0, 0, "1", String(process.getuid?.())],
                name,
            );
        }
    });
    void it("pods that serve have an address each, and keep it when the agent is killed and its container restarted", async () => {
        const before = await served();
        const range = await kubectl("get", "node", NODE, "--output=jsonpath={.spec.podCIDR}");
        const prefix = range.split(".").slice(0, 3).join(".");
        const addresses = Object.values(before);
        assert.equal(new Set(addresses).size, 2, JSON.stringify(before));
        for (const address of addresses)
            assert.ok(address.startsWith(`${prefix}.`), `${address} in ${range}`);
        const restarts = async (wanted: number) =>
            until("the containers' next start", async () => {
                const counts = await kubectl(
                    ...["get", "pods", "--selector=app=web"],
                    "--output=jsonpath={.items[*].status.containerStatuses[0].restartCount}",
                );
                return counts.split(" ").every((count) => Number(count) >= wanted) || undefined;
            });
        process.kill((await pids())[1], "SIGKILL");
        await restarts(1);
        assert.deepEqual(await served(), before);
        const own = await addressOf(AGENT);
        const since = Date.now();
        await docker("restart", AGENT);
        await restarts(2);
        assert.deepEqual(await served(), before);
        await serves(since);
        await unchanged(own);
    });
    void it("a roll-out under 200 requests a second at its Service loses none of them", async () => {
        const names = async () =>
            (await kubectl("get", "pods", "--selector=app=web", "--output=name")).trim().split("\n");
        const before = await names();
        const address = await addressOf(faulty.controlPlane);
        let answers: Answers;
        const end = load(`http://${address}:${NODE_PORT}/you`, 200, "Hello, you!");
        try {
            await faulty.configure(config("container", { ROUND: "2" }));
            await faulty.up();
            // Those of before have ended.
            await until("the end of the pods of before", async () => {
                const now = await names();
                return now.length === 2 && !before.some((one) => now.includes(one)) ? true : undefined;
            });
        } finally {
            answers = await end();
        }
        console.log(`${answers.answered} requests answered`);
        assert.deepEqual(answers.failed, {});
        assert.ok(answers.answered > 1000, String(answers.answered));
        await faulty.configure(config("container"));
        await faulty.up();
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
        await kubectl("delete", "service", "web");
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
        assert.match(await kubectl("get", "service", "web"), /NodePort/);
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
        const made = async () =>
            (await docker("image", "ls", "--format={{.Repository}}:{{.Tag}}", "krustlet-stack-node")).split(
                "\n",
            );
        const before = await made();
        assert.ok(before.length > 1, "one for each program of the node");
        await faulty.configure(config("process"));
        await faulty.up();
        for (const give of giveBack.splice(0)) await give();
        await faulty.down();
        // Another stack's containers may be of an image of the same files, made a moment before they are.
        await until("the end of the images", async () => {
            const left = (await made()).filter((image) => before.includes(image));
            const used = (await docker("ps", "--all", "--format={{.Image}}")).split("\n");
            return left.every((image) => used.includes(image)) ? true : undefined;
        });
    });

    const stateDir = () => path.join(faulty.stack.home, "nodes", `krustlet-stack-${NAME}-${NODE}`);
});
