/** What happens on the node while the control plane hears nothing of it, and a Node that somebody deletes. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive } from "../../steps/lib/processes";
import { agent } from "./lib/agent";
import { pathOf, type KubeObject } from "./lib/api";
import { killApiServer, untilApiServer, whileSilent } from "./lib/controlPlane";
import { podOf, stateOf, statusOf, type Pod } from "./lib/pod";
import { underTest } from "./underTest";
import { holding, World } from "./lib/world";

/** How long a program of these goes on, in milliseconds: it ends while nobody hears of it. */
const WORK = 5000;

interface Job extends KubeObject {
    status: { succeeded?: number; failed?: number; conditions?: { type: string; status: string }[] };
}

describe("outages", { timeout: 400_000 }, () => {
    let world: World;
    const folder = path.join(underTest().hostPath, "outages");
    before(async () => {
        mkdirSync(folder, { recursive: true });
        world = await World.open("outages");
    });
    after(async () => {
        await world.close();
        rmSync(folder, { recursive: true, force: true });
    });

    /** What a program wrote down of itself, on the host: a line for each time that it began or ended. */
    const written = (name: string) => {
        const file = path.join(folder, name);
        return existsSync(file) ? readFileSync(file, "utf8").trimEnd().split("\n") : [];
    };
    /** A pod whose program writes down that it begins, works, and writes down that it ends. */
    const worker = (name: string, restartPolicy: string, exit: number) =>
        podOf(world.namespace, name, {
            args: ["append", `/host/${name}`, "begins", "sleep", String(WORK)].concat([
                ...["append", `/host/${name}`, "ends", "exit", String(exit)],
            ]),
            main: { volumeMounts: [{ name: "host", mountPath: "/host" }] },
            spec: { restartPolicy, volumes: [{ name: "host", hostPath: { path: folder } }] },
        });
    const job = async (name: string, restartPolicy: string) => {
        const { spec } = worker(name, restartPolicy, 0);
        const made = { kind: "Job", spec: { backoffLimit: 3, template: { spec } } };
        await world.make({ ...made, metadata: { name } });
    };
    const ended = (name: string) =>
        world.until(`the end of job ${name}`, async () => {
            const { status } = await world.api.get<Job>(pathOf("Job", world.namespace, name));
            return status.conditions?.some(
                ({ type, status: holds }) => type === "Complete" && holds === "True",
            )
                ? status
                : undefined;
        });
    /** Ends the agent alone; its supervisor starts another one. */
    const killAgent = async () => {
        const { pid } = agent();
        process.kill(pid, "SIGKILL");
        return world.until("another agent", () => {
            try {
                const found = agent();
                return found.pid === pid ? undefined : found;
            } catch {
                return undefined;
            }
        });
    };
    const isReady = async () => holding(await world.nodeObject()).includes("Ready");

    it("what ended while the API server was silent and the agent was killed has run once, and is reported as it ended", async () => {
        const names = ["on-failure", "never"];
        await job("on-failure", "OnFailure");
        await job("never", "Never");
        const failing = (await world.api.create(worker("failing", "Never", 3))) as Pod;
        const going = await world.start("going", {
            args: ["ticks", "200", "0"],
            spec: { restartPolicy: "Always" },
        });
        await world.untilRunning(going);
        for (const name of [...names, "failing"])
            await world.until(`the begin of ${name}`, () => (written(name).length > 0 ? true : undefined));

        await whileSilent(async () => {
            for (const name of [...names, "failing"])
                await world.until(`the end of ${name}`, () => (written(name).length > 1 ? true : undefined));
            // Each end is on the disk a moment after it.
            await sleep(1000);
            const another = await killAgent();
            await sleep(5000);
            assert.ok(isAlive(another), "it waits for the API server, for as long as that takes");
        });

        for (const name of names) {
            const { succeeded, failed } = await ended(name);
            assert.deepEqual([succeeded, failed ?? 0], [1, 0], name);
        }
        const failed = await world.untilEnded(failing);
        assert.equal(failed.status.phase, "Failed");
        assert.equal(stateOf(statusOf(failed)?.state), "terminated Error 3");
        for (const name of [...names, "failing"]) assert.deepEqual(written(name), ["begins", "ends"], name);
        const again = await world.untilPod(
            going,
            "running again",
            (pod) => statusOf(pod)?.restartCount === 1,
        );
        assert.equal(again.metadata.uid, going.metadata.uid);
        await world.until("a Ready node", async () => ((await isReady()) ? true : undefined));
    });

    it("a Node that the cluster takes for lost, for it was silent for a while, is Ready again by its next heartbeat", async () => {
        // What the node lifecycle controller writes.
        const lost = { type: "Ready", status: "Unknown", reason: "NodeStatusUnknown" };
        const patch = JSON.stringify({ status: { conditions: [lost] } });
        const { nodeName } = underTest().node;
        const patched = await world.kubectl([
            ...["patch", "node", nodeName, "--subresource=status", "--type=strategic"],
            `--patch=${patch}`,
        ]);
        assert.equal(patched.exitCode, 0, patched.stderr);
        assert.equal(await isReady(), false);
        await world.until("a Ready node", async () => ((await isReady()) ? true : undefined));
    });

    it("an agent that starts while the API server's port is closed waits for it", async () => {
        const died = await killApiServer();
        const another = await killAgent();
        await untilApiServer(world, died);
        const fresh = await world.start("fresh", { args: ["print", "fresh"] });
        assert.equal((await world.untilEnded(fresh)).status.phase, "Succeeded");
        assert.ok(isAlive(another), "it is still the same");
    });

    it("a Node that is deleted under its agent is there again, with its labels and taints, and its pods go on", async () => {
        const going = await world.start("through", {
            args: ["ticks", "200", "0"],
            spec: { restartPolicy: "Always" },
        });
        await world.untilRunning(going);
        const { pid } = agent();
        const before = await world.nodeObject();
        await world.api.delete(`/api/v1/nodes/${before.metadata.name}`);
        const after = await world.until("another Node", async () => {
            const now = await world.nodeObject().catch(() => undefined);
            if (now === undefined || now.metadata.uid === before.metadata.uid) return undefined;
            return holding(now).includes("Ready") ? now : undefined;
        });
        // Labels that the cluster sets, such as its controllers', come back in their own time.
        for (const [label, value] of Object.entries(before.metadata.labels ?? {}))
            assert.equal(after.metadata.labels?.[label], value, label);
        // Those that the cluster sets, such as for a node that was not Ready a moment ago, come and go.
        const own = ({ spec }: typeof after) =>
            spec.taints?.filter(({ key }) => !key.startsWith("node.kubernetes.io/"));
        assert.deepEqual(own(after), own(before));
        assert.ok(own(after)?.length, "it has a taint of its own");
        assert.equal(agent().pid, pid);
        const now = world.pods.versions(going.metadata.uid ?? "").at(-1) as Pod;
        assert.deepEqual([stateOf(statusOf(now)?.state), statusOf(now)?.restartCount], ["running", 0]);
        const fresh = await world.start("on-the-new", { args: ["print", "fresh"] });
        assert.equal((await world.untilEnded(fresh)).status.phase, "Succeeded");
    });
});
