/** The node after a kill -9, without an API server, and beside programs that take all the time there is. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { agent, kill, launch, renewedAt } from "./lib/agent";
import { mounts } from "./cases/objects";
import { killApiServer, untilApiServer } from "./lib/controlPlane";
import { becomes } from "./runCase";
import { stateOf, statusOf, type Pod, type PodParts } from "./lib/pod";
import { underTest } from "./underTest";
import { timeOf, World } from "./lib/world";

const MANY = 20;

/** The lines of a log with `tick 1`, `tick 2` … that lead to what is expected. */
function assertTicks(lines: string[], from = 1): void {
    assert.deepEqual(
        lines,
        lines.map((_, index) => `tick ${index + from}`),
    );
}

describe("resilience", { timeout: 400_000 }, () => {
    let world: World;
    before(async () => {
        world = await World.open("resilience");
    });
    after(async () => {
        await world.close();
    });

    const forever = (args: string[]): PodParts => ({ args, spec: { restartPolicy: "Always" } });

    it(`kill -9 while ${MANY} pods run: taken up again, none twice, no log lost, the heartbeat back in 5 s`, async () => {
        // The number tells one run of a program from another.
        const pods = await Promise.all(
            Array.from({ length: MANY }, (_, index) =>
                world.start(`many-${index}`, forever(["random", "ticks", "200", "0"])),
            ),
        );
        const never = await world.start("never", { args: ["ticks", "200", "0"] });
        const done = await world.start("done", { args: ["print", "once"] });
        for (const pod of pods) await world.untilLog(pod, "tick 3", (log) => log.includes("tick 3\n"));
        await world.untilEnded(done);
        await world.untilRunning(never);
        const before = await Promise.all(pods.map((pod) => world.log(pod)));

        await kill(world);
        const launchedAt = Date.now();
        const launched = launch();
        const renewed = await world.until("a renewal of the Lease", async () => {
            const at = await renewedAt(world);
            return at >= launchedAt ? at : undefined;
        });
        await launched;
        console.log(`heartbeat ${((renewed - launchedAt) / 1000).toFixed(2)} s after the new start`);
        assert.ok(renewed - launchedAt <= 5000, `${renewed - launchedAt} ms`);
        agent();

        for (const pod of pods) {
            await becomes(world, pod, {
                phase: "Running",
                conditions: { Ready: "True", ContainersReady: "True" },
                containers: {
                    main: { state: "running", restarts: 1, last: /^terminated \S+ 137$/, ready: true },
                },
            });
            await world.untilLog(pod, "a tick of the new run", (log) => log.includes("tick 2\n"));
        }
        const seconds = ((Date.now() - launchedAt) / 1000).toFixed(2);
        console.log(`${MANY} pods ran again ${seconds} s after the new start`);
        const runs = new Set<string>();
        for (const [index, pod] of pods.entries()) {
            const old = await world.log(pod, { previous: true });
            assert.ok(old.startsWith(before[index]), `lost of pod ${index}:\n${before[index]}\n---\n${old}`);
            for (const log of [old, await world.log(pod)]) {
                const [random, ...ticks] = log.trimEnd().split("\n");
                assert.match(random, /^[0-9a-f]{16}$/);
                // Two programs at one log would mix their lines.
                assertTicks(ticks);
                runs.add(random);
            }
        }
        assert.equal(runs.size, 2 * MANY);

        // What had ended stays so; what may not be started again has failed, for it ended with its node's agent.
        await becomes(world, done, {
            phase: "Succeeded",
            containers: { main: { restarts: 0 } },
            log: "once\n",
        });
        await becomes(world, never, {
            phase: "Failed",
            containers: { main: { state: /^terminated \S+ 137$/, restarts: 0 } },
            log: /^tick 1\n/,
        });
        const uids = world.pods.all().map(({ metadata }) => metadata.uid);
        for (const pod of [...pods, never, done])
            assert.ok(uids.includes(pod.metadata.uid), `pod ${pod.metadata.name} is another one`);
        await world.removePods(world.namespace);
    });

    it("a pod that is deleted while no agent runs is gone when one does", async () => {
        const [deleted, init] = await Promise.all([
            world.start("deleted-meanwhile", forever(["ticks", "200", "0"])),
            world.start("init-done", {
                args: ["cat", "/data/n", "ticks", "200", "0"],
                main: mounts({ data: "/data" }),
                spec: {
                    restartPolicy: "Always",
                    volumes: [{ name: "data", emptyDir: {} }],
                    initContainers: [
                        {
                            name: "init",
                            image: underTest().modules.probe.image,
                            args: ["attempt", "/data/n", "1"],
                            ...mounts({ data: "/data" }),
                        },
                    ],
                },
            }),
        ]);
        await Promise.all([world.untilRunning(deleted), world.untilRunning(init)]);
        await kill(world);
        await world.remove(deleted, 1);
        const since = Date.now();
        await launch();
        await world.untilGone(deleted, since);
        // An init container that is through does not run again, and the volume is still there.
        await becomes(world, init, {
            phase: "Running",
            init: { init: { state: "terminated Completed 0", restarts: 0 } },
            containers: { main: { state: "running", restarts: 1 } },
            log: /^1\ntick 1\n/,
        });
        await world.removePods(world.namespace);
    });

    it("the API server's restart: pods go on, what happens meanwhile is reported, and new pods come", async () => {
        const going = await world.start("going", forever(["ticks", "200", "0"]));
        const ending = await world.start("ending", { args: ["sleep", "4000", "exit", "5"] });
        const [before] = await Promise.all([world.untilRunning(going), world.untilRunning(ending)]);
        const { pid } = agent();

        const died = await killApiServer();
        await untilApiServer(world, died);
        await becomes(world, ending, {
            phase: "Failed",
            containers: { main: { state: "terminated Error 5" } },
            withinSeconds: 60,
        });
        const fresh = await world.start("fresh", { args: ["print", "fresh"] });
        await becomes(world, fresh, { phase: "Succeeded", log: "fresh\n", withinSeconds: 60 });

        const now = await world.untilRunning(going);
        assert.equal(statusOf(now)?.restartCount, 0);
        assert.equal(statusOf(now)?.containerID, statusOf(before)?.containerID);
        assertTicks((await world.log(going)).trimEnd().split("\n"));
        assert.equal(agent().pid, pid);
        await world.removePods(world.namespace);
    });

    it("programs in endless loops starve neither others nor the heartbeat", async () => {
        const loops = await Promise.all(
            ["one", "two", "three"].map((name) => world.start(`loop-${name}`, forever(["loop"]))),
        );
        for (const pod of loops) await world.untilRunning(pod);
        const rhythm = await world.start("rhythm", { args: ["ticks", "200", "60"] });
        const ended = await world.untilEnded(rhythm);
        assert.equal(ended.status.phase, "Succeeded", world.describe(rhythm));
        const lines = (await timed(rhythm)).trimEnd().split("\n");
        assertTicks(lines.map((line) => line.slice(line.indexOf(" ") + 1)));
        const times = lines.map((line) => timeOf(line.slice(0, line.indexOf(" "))));
        const pauses = times.slice(1).map((time, index) => time - times[index]);
        console.log(`beside three endless loops: pauses of 200 ms took ${Math.max(...pauses)} ms at most`);
        assert.ok(Math.max(...pauses) < 1000, pauses.join(" "));

        const last = await renewedAt(world);
        const next = await world.until("the next renewal of the Lease", async () => {
            const at = await renewedAt(world);
            return at > last ? at : undefined;
        });
        assert.ok(next - last < 13_000, `${next - last} ms`);
        for (const pod of loops) {
            const now = world.pods.versions(pod.metadata.uid ?? "").at(-1) as Pod;
            assert.deepEqual([stateOf(statusOf(now)?.state), statusOf(now)?.restartCount], ["running", 0]);
        }
    });

    async function timed(pod: Pod): Promise<string> {
        const { namespace, name } = pod.metadata;
        return world.api.text(`/api/v1/namespaces/${namespace}/pods/${name}/log?timestamps=true`);
    }
});
