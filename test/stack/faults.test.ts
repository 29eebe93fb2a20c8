/** What happens to a stack between two updates: the preview says what was found, the update mends it, and nothing of the user's is lost. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { processesThat, processesWith } from "../../steps/lib/processes";
import { run } from "../../steps/lib/run";
import { until } from "../steps/approvalUnderTest";
import { leftovers, root, StackUnderTest, type Leftovers, type StackConfig } from "./stackUnderTest";

const CLUSTER = "krustlet-faults";
/** Named as kind names its own. */
const NODE = `${CLUSTER}-2`;
const CONTROL_PLANE = `${CLUSTER}-control-plane`;

void describe("faults of a stack that stands", { timeout: 1_800_000 }, () => {
    let stack: StackUnderTest;
    let baseline: Leftovers;
    /** UID of the cluster's kube-system namespace. */
    let identity: string;
    const config: StackConfig = {
        clusterName: CLUSTER,
        registryPort: 5109,
        nodes: [{ name: NODE, port: 3109 }],
        workloads: [
            { name: "clock", kind: "Deployment", source: "workloads/ticker" },
            { name: "hello-wasm", source: "workloads/hello-world" },
        ],
    };

    before(async () => {
        baseline = await leftovers();
        stack = await StackUnderTest.create("acceptance-faults");
        await stack.configure(config);
        const up = await stack.npmRun("up");
        assert.equal(up.exitCode, 0, up.stdout + up.stderr);
        identity = await stack.kubectl(
            "get",
            "namespace",
            "kube-system",
            "--output=jsonpath={.metadata.uid}",
        );
        await stack.kubectl("create", "configmap", "mine", "--from-literal=a=b");
    });
    after(() => stack.remove());

    const preview = async (...options: string[]) => {
        const { stdout, stderr, exitCode } = await stack.pulumi(
            `preview --stack ${stack.name} ${options.join(" ")}`,
        );
        assert.equal(exitCode, 0, stdout + stderr);
        return stdout;
    };
    /** What the preview says, then what the update does; the cluster is the same one with all that is in it, and has no change left. */
    async function mends(said: RegExp | undefined, updated: string[]): Promise<string> {
        const plan = await preview();
        if (said) assert.match(plan, said);
        for (const name of updated)
            assert.match(plan, new RegExp(`~ +.*command:local:Command +${name} +update`));
        assert.doesNotMatch(plan, / (replace|delete|create)(d|-replacement)? /, plan);
        const up = await stack.npmRun("up");
        assert.equal(up.exitCode, 0, up.stdout + up.stderr);
        assert.equal(up.stdout.trimEnd().split("\n").at(-1), "Hello, World!");
        await nothingLost();
        await preview("--expect-no-changes");
        return up.stdout;
    }
    async function nothingLost(): Promise<void> {
        const uid = await stack.kubectl(
            "get",
            "namespace",
            "kube-system",
            "--output=jsonpath={.metadata.uid}",
        );
        assert.equal(uid, identity);
        assert.equal(await stack.kubectl("get", "configmap", "mine", "--output=jsonpath={.data.a}"), "b");
    }
    const agent = () => {
        const [found] = processesWith(`--node-name=${NODE}`);
        assert.ok(found, "the agent runs");
        return found.pid;
    };
    const approver = () => {
        const [found] = processesThat((argv) =>
            argv.some((one) => one.startsWith("--approver-of=") && one.endsWith(NODE)),
        );
        assert.ok(found, "the approver runs");
        return found.pid;
    };
    const clockPod = () =>
        stack.kubectl("get", "pods", "--selector=app=clock", "--output=jsonpath={.items[*].metadata.uid}");

    void it("a changed time-out changes one step, which does nothing", async () => {
        await stack.configure({ ...config, clusterWaitSeconds: 200 });
        await mends(undefined, ["wasm-cluster-kind"]);
    });
    void it("an agent that was killed is started again, and its pods go on", async () => {
        const before = await clockPod();
        process.kill(agent(), "SIGKILL");
        await mends(
            new RegExp(
                `agent \\d+ of node "${NODE}", started \\S+, is not running any more: it is started again`,
            ),
            [`wasm-${NODE}-agent`],
        );
        assert.equal(await clockPod(), before);
    });
    void it("an approver that was killed is started again", async () => {
        const old = approver();
        process.kill(old, "SIGKILL");
        await mends(new RegExp(`the approver of node "${NODE}", started \\S+, is not running any more`), [
            `wasm-${NODE}-certificates-approver`,
        ]);
        assert.notEqual(approver(), old);
    });
    void it("a Node that was deleted is there again", async () => {
        await stack.kubectl("delete", "node", NODE);
        await mends(/runs, but its Node is not in the cluster: it is started again/, [`wasm-${NODE}-agent`]);
        assert.match(await stack.kubectl("get", "node", NODE), / Ready /);
    });
    void it("a cluster that was stopped is started, though its time-out is another one too and its Wasm node is down", async () => {
        process.kill(agent(), "SIGKILL");
        await run(["docker", "stop", CONTROL_PLANE]);
        await stack.configure({ ...config, clusterWaitSeconds: 210 });
        await mends(
            new RegExp(`container ${CONTROL_PLANE} of cluster "${CLUSTER}", made \\S+, has stopped`),
            ["wasm-cluster-kind", `wasm-${NODE}-agent`],
        );
    });
    void it("a cluster that is paused goes on", async () => {
        await run(["docker", "pause", CONTROL_PLANE]);
        await mends(/is paused: it is started again/, ["wasm-cluster-kind"]);
    });
    void it("a lost kubeconfig is there again", async () => {
        await fs.rm(stack.kubeconfig);
        await preview("--expect-no-changes");
        await nothingLost();
    });
    void it("a change of the node that fails leaves it running, and is mended by taking it back", async () => {
        const node = { name: NODE, port: 3109, trustedCaFile: "/nonexistent/ca.pem" };
        await stack.configure({ ...config, nodes: [node] });
        const failed = await stack.npmRun("up");
        assert.equal(failed.exitCode, 1, failed.stdout + failed.stderr);
        agent();
        await stack.configure(config);
        await stack.npmRun("up");
        const up = await stack.npmRun("up");
        assert.equal(up.exitCode, 0, up.stdout + up.stderr);
        await nothingLost();
        await preview("--expect-no-changes");
    });
    void it("a node that gets another name takes its port over, and the old one goes", async () => {
        const renamed = `${CLUSTER}-renamed`;
        await stack.configure({ ...config, nodes: [{ name: renamed, port: 3109 }] });
        const up = await stack.npmRun("up");
        assert.equal(up.exitCode, 0, up.stdout + up.stderr);
        const nodes = await stack.kubectl("get", "nodes", "--output=name");
        assert.deepEqual(nodes.trim().split("\n").sort(), [`node/${CONTROL_PLANE}`, `node/${renamed}`]);
        await nothingLost();
        await preview("--expect-no-changes");
        await stack.configure(config);
        assert.equal((await stack.npmRun("up")).exitCode, 0);
    });
    void it("another state's stack of the same name is told whose things these are, and touches none", async () => {
        const other = await StackUnderTest.create(stack.name);
        try {
            await other.configure({
                ...config,
                registryPort: 5110,
                nodes: [{ name: "krustlet", port: 3110 }],
            });
            const up = await other.npmRun("up");
            assert.equal(up.exitCode, 1, up.stdout + up.stderr);
            // Whatever of the first one's the second would come upon first.
            assert.match(
                up.stdout + up.stderr,
                /exists and belongs to krustlet-stack\/acceptance-faults \(claim [0-9a-f]{16}\)/,
            );
            const down = await other.npmRun("down");
            assert.equal(down.exitCode, 0, down.stdout + down.stderr);
        } finally {
            await fs.rm(other.home, { recursive: true, force: true });
        }
        await stack.configure(config);
        await nothingLost();
        await preview("--expect-no-changes");
    });
    void it("down leaves nothing", async () => {
        const down = await stack.npmRun("down");
        assert.equal(down.exitCode, 0, down.stdout + down.stderr);
        assert.deepEqual(await leftovers(), baseline);
    });
    for (const [when, signal] of [
        ["Starting control-plane", "SIGINT"],
        ["Starting control-plane", "SIGKILL"],
    ] as const) {
        void it(`an update that gets ${signal} at "${when}", then down: nothing is left`, async () => {
            await stack.configure(config);
            const child = spawn(process.execPath, ["tools/run.js", "up", "--stack", stack.name], {
                cwd: root,
                env: { ...process.env, KRUSTLET_STACK_HOME: stack.home },
                detached: true,
            });
            let said = "";
            const heard = (text: Buffer) => (said += text.toString());
            child.stdout.on("data", heard);
            child.stderr.on("data", heard);
            const ended = new Promise((resolve) => child.on("close", resolve));
            await until(when, () => Promise.resolve(said.includes(when) ? true : undefined), 120);
            const engines = processesThat(
                (argv) => path.basename(argv[0] ?? "") === "pulumi" && argv.includes(stack.name),
            );
            assert.ok(engines.length > 0, said);
            for (const { pid } of engines) process.kill(pid, signal);
            await ended;
            await sleep(1000);
            const down = await stack.npmRun("down");
            assert.equal(down.exitCode, 0, down.stdout + down.stderr);
            // A kind that lived on would make its containers by now.
            await sleep(5000);
            assert.deepEqual(await leftovers(), baseline);
        });
    }
});
