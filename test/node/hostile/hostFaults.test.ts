/** What a guest, or the host, makes the agent run out of: no pod's end, no wait for others, and the heartbeat goes on. */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../../steps/lib/run";
import { inMebibytes, MEBIBYTE } from "../../memory";
import { agent, renewedAt, residentBytes } from "../lib/agent";
import { heavyModule } from "../lib/heavyModule";
import { longestPause, timed } from "../lib/measure";
import { pushArtifact } from "../lib/scriptedRegistry";
import { mounts } from "../cases/objects";
import { underTest } from "../underTest";
import { holding, World } from "../lib/world";

const FILES = 100_000;
/** How often a pod whose module compiles for long is made and deleted. */
const TIMES = 6;

describe("faults of the host", { timeout: 400_000 }, () => {
    let world: World;
    before(async () => {
        world = await World.open("host-faults");
    });
    after(() => world.close());

    const threads = () => readdirSync(`/proc/${agent().pid}/task`);
    /** What the agent has. */
    const held = () => ({ bytes: residentBytes(), threads: threads().length });
    /** The agent's processes besides its own: those that compile. */
    const children = () =>
        threads().flatMap((thread) =>
            readFileSync(`/proc/${agent().pid}/task/${thread}/children`, "utf8")
                .trim()
                .split(" ")
                .filter(Boolean),
        );

    it("where no descriptor is free, a pod that never restarts waits, and runs once when there is one", async () => {
        const { pid } = agent();
        const limit = async (of: string) => run(["prlimit", `--pid=${pid}`, `--nofile=${of}`]);
        const { stdout } = await run([
            "prlimit",
            `--pid=${pid}`,
            "--nofile",
            "--raw",
            "--noheadings",
            "--output=SOFT,HARD",
        ]);
        const [soft, hard] = stdout.trim().split(/\s+/);
        // The lowest number that is free, and none above it: what is open goes on.
        const open = readdirSync(`/proc/${pid}/fd`).map(Number);
        const free = Array.from({ length: open.length + 1 }, (_, number) => number).find(
            (number) => !open.includes(number),
        );
        await limit(`${free}:${hard}`);
        let pod;
        try {
            pod = await world.start("waits", { args: ["print", "ran"], spec: { restartPolicy: "Never" } });
            await sleep(8000);
            const { phase } = (world.pods.versions(pod.metadata.uid ?? "").at(-1) ?? pod).status;
            assert.equal(phase, "Pending", world.describe(pod));
        } finally {
            await limit(`${soft}:${hard}`);
        }
        const ended = await world.untilEnded(pod, 120);
        assert.equal(ended.status.phase, "Succeeded", world.describe(pod));
        assert.equal(await world.log(pod), "ran\n");
        assert.equal(agent().pid, pid);
        assert.deepEqual(holding(await world.nodeObject()), ["Ready"]);
    });

    it(`a module that takes long to compile, deleted ${TIMES} times in the middle of it, leaves nothing and holds nobody up`, async () => {
        const { registry, modules } = underTest();
        const idle = held();
        for (let index = 0; index < TIMES; index += 1) {
            // Each has one of its own: what was compiled in the meantime is compiled once.
            await pushArtifact(registry, `deleted-${index}`, "v1", heavyModule(11 + index));
            const pod = await world.start(`compiles-${index}`, {
                main: { image: `${registry}/deleted-${index}:v1` },
            });
            await world.until("its compiler", () => (children().length > 0 ? true : undefined));
            await world.remove(pod, 0);
            await world.untilGone(pod, Date.now());
        }
        const milliseconds = await timed(async () => {
            const parts = { args: ["print", "small"], main: { image: modules.component.image } };
            const small = await world.start("small", parts);
            assert.equal((await world.untilEnded(small)).status.phase, "Succeeded", world.describe(small));
        });
        await world.until("the compilers' end", () => (children().length === 0 ? true : undefined));
        const now = held();
        console.log(
            `a small pod ended ${milliseconds} ms after it was made; the agent has ${inMebibytes(now.bytes - idle.bytes)} ` +
                `and ${now.threads - idle.threads} threads more than before`,
        );
        assert.ok(now.bytes - idle.bytes < 200 * MEBIBYTE);
        // Those that wait for files come and go.
        assert.ok(now.threads - idle.threads < 70);
    });

    it(`a pod with ${FILES} files ends, and the Lease is renewed meanwhile`, async () => {
        const pod = await world.start("litters", {
            args: ["litter", "/data", String(FILES)],
            main: mounts({ data: "/data" }),
            spec: { restartPolicy: "Never", volumes: [{ name: "data", emptyDir: {} }] },
        });
        const renewals = new Set<number>();
        const watch = async (isOver: () => boolean) => {
            while (!isOver()) {
                renewals.add(await renewedAt(world));
                await sleep(500);
            }
        };
        let over = false;
        const watching = watch(() => over);
        const ended = await world.untilEnded(pod, 120);
        assert.equal(ended.status.phase, "Succeeded", world.describe(pod));
        const begun = Date.now();
        await world.remove(pod, 0);
        const gone = await world.untilGone(pod, begun, 120);
        await sleep(12_000);
        over = true;
        await watching;
        const lease = longestPause(renewals);
        console.log(`${FILES} files were gone after ${gone} s; the Lease's longest pause was ${lease} ms`);
        assert.ok(renewals.size > 1 && lease < 30_000, String(lease));
    });
});
