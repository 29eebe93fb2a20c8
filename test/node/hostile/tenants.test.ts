/** A node's worth of hostile pods of one tenant, beside the pods of another: these, the heartbeat and the log port go on as they were. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { createServer, type Server } from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { agent, renewedAt, residentBytes } from "../lib/agent";
import { pathOf } from "../lib/api";
import { podOf, statusOf, type Pod, type PodParts } from "../lib/pod";
import { heavyModule } from "../lib/heavyModule";
import { greatest, longestPause, timed } from "../lib/measure";
import { pushArtifact, scripted, ScriptedRegistry } from "../lib/scriptedRegistry";
import { mounts } from "../cases/objects";
import { isReady, serving } from "../cases/serving";
import { underTest } from "../underTest";
import { holding, timeOf, World } from "../lib/world";

const HOSTILE = 110;
const HOSTILE_NAMESPACE = "tenants-hostile";
const SECONDS = 40;
/** Nobody else in the suite listens there. */
const PORTS = { server: 18190, silent: 18191 };
/** What the other tenant's program pauses between two lines, in milliseconds. */
const PAUSE = 200;

/** An emptyDir of no more than so many mebibytes, at /data. */
const data = (mebibytes: number) => ({
    main: mounts({ data: "/data" }),
    spec: { volumes: [{ name: "data", emptyDir: { sizeLimit: `${mebibytes}Mi` } }] },
});

/** What the hostile tenant's pods do: each has its own way to take what the node has. */
const hostile: Record<string, PodParts> = {
    spins: { args: ["loop"] },
    ticks: { args: ["ticks", "0", "0"] },
    floods: { args: ["lines", "4000000000", "1000"] },
    grows: { args: ["alloc", "3000"], main: { resources: { limits: { memory: "64Mi" } } } },
    recurses: { args: ["recurse"] },
    traps: { args: ["trap"] },
    nests: { args: ["nest", "/data", "1500", "sleep", "600000"], ...data(64) },
    litters: { args: ["litter", "/data", "20000", "sleep", "600000"], ...data(1) },
    fills: { args: ["fill", "/data/file", "512"], ...data(8) },
    opens: { args: ["open", "/data/file", "100000"], ...data(8) },
    asks: {
        args: ["get", `http://127.0.0.1:${PORTS.silent}/`],
        annotations: {
            "alpha.wasi.krustlet.dev/allowed-domains": JSON.stringify([`http://127.0.0.1:${PORTS.silent}`]),
        },
    },
    fetches: { main: { image: scripted("slow/module:v1") } },
    // A module that takes long to compile; which one, see below.
    compiles: {},
};

/** What the status of at least one pod of a kind says in the end, so that it is known to have done its worst. Default: that it runs. */
const ends: Record<string, RegExp> = {
    grows: /OOMKilled/,
    recurses: /"exitCode":134/,
    traps: /"exitCode":134/,
    fills: /"Evicted"/,
    litters: /"Evicted"/,
    opens: /"exitCode":134/,
    fetches: /ErrImagePull|ImagePullBackOff/,
    // Its turn may be still to come: programs are compiled one after another.
    compiles: /"exitCode":0|"waiting"/,
};

describe("tenants", { timeout: 600_000 }, () => {
    let world: World;
    let silent: Server;
    const registry = new ScriptedRegistry();
    const steady: Pod[] = [];
    let server: Pod;

    before(async () => {
        world = await World.open("tenants");
        await world.makeNamespace(HOSTILE_NAMESPACE);
        await registry.start();
        // It takes connections, and says nothing.
        silent = createServer(() => undefined).listen(PORTS.silent, "127.0.0.1");
        for (let index = 0; index < 7; index++)
            steady.push(await world.start(`steady-${index}`, { args: ["ticks", String(PAUSE), "0"] }));
        server = await world.start("server", serving(PORTS.server));
        for (const pod of [...steady, server]) await world.untilRunning(pod);
    });
    after(async () => {
        await world.removePods(HOSTILE_NAMESPACE).catch(() => undefined);
        await world.close();
        await registry.stop();
        silent.close();
    });

    const ask = async () => {
        const pod = pathOf("Pod", world.namespace, `server:${PORTS.server}`);
        assert.match(await world.api.text(`${pod}/proxy/you`), /^Hello, you!/);
    };
    const readLog = async () => assert.match(await world.log(steady[0]), /tick \d+\n$/);
    const conditions = async () => holding(await world.nodeObject());
    /** The longest pause between two lines of a program that pauses for PAUSE. */
    const longestPauseOf = async (pod: Pod, since: number) => {
        const log = await world.api.text(
            `${pathOf("Pod", world.namespace, pod.metadata.name)}/log?timestamps=true`,
        );
        const times = log
            .trimEnd()
            .split("\n")
            .map((line) => timeOf(line.slice(0, line.indexOf(" "))))
            .filter((time) => time >= since);
        assert.ok(times.length > 10, world.describe(pod));
        return longestPause(times);
    };

    it(`${HOSTILE} hostile pods leave another tenant's ten, the heartbeat and the log port as they were`, async () => {
        const { pid } = agent();
        const kinds = Object.entries(hostile);
        const heavy = await Promise.all(
            [3, 5, 7].map(async (seed) => {
                const { registry } = underTest();
                await pushArtifact(registry, `heavy-${seed}`, "v1", heavyModule(seed));
                return `${registry}/heavy-${seed}:v1`;
            }),
        );
        const items = Array.from({ length: HOSTILE }, (_, index) => {
            const [name, { spec, ...parts }] = kinds[index % kinds.length];
            const image = heavy[Math.floor(index / kinds.length) % heavy.length];
            if (name === "compiles") parts.main = { image };
            return podOf(HOSTILE_NAMESPACE, `${name}-${index}`, {
                ...parts,
                spec: { restartPolicy: "Always", ...spec },
            });
        });
        const since = Date.now();
        const list = { apiVersion: "v1", kind: "List", items };
        const applied = await world.kubectl(["apply", "--filename=-"], { input: JSON.stringify(list) });
        assert.equal(applied.exitCode, 0, applied.stderr);
        const theirs = () =>
            world.pods.all().filter(({ metadata }) => metadata.namespace === HOSTILE_NAMESPACE);
        const begun = (pod: Pod) =>
            ["Running", "Failed"].includes(pod.status.phase ?? "") ||
            /^(fetches|compiles)/.test(pod.metadata.name);
        await world.until(
            "all hostile pods at it",
            () => (theirs().length === HOSTILE && theirs().every(begun) ? true : undefined),
            { seconds: 120, explain: () => world.describe(theirs().find((pod) => !begun(pod)) ?? server) },
        );

        const renewals = new Set<number>();
        const [answers, reads, memory, descriptors]: number[][] = [[], [], [], []];
        const late: Pod[] = [];
        const until = Date.now() + SECONDS * 1000;
        while (Date.now() < until) {
            if (late.length < 2) {
                const image = [underTest().modules.probe, underTest().modules.component][late.length].image;
                const parts = { args: ["print", "late"], main: { image } };
                late.push(await world.start(`late-${late.length}`, parts));
            }
            answers.push(await timed(ask));
            reads.push(await timed(readLog));
            renewals.add(await renewedAt(world));
            memory.push(residentBytes());
            descriptors.push(readdirSync(`/proc/${pid}/fd`).length);
            assert.deepEqual(await conditions(), ["Ready"]);
            await sleep(200);
        }
        const lateness = [];
        for (const pod of late) {
            const ended = await world.untilEnded(pod, 60);
            assert.equal(ended.status.phase, "Succeeded", world.describe(pod));
            const finished = statusOf(ended)?.state?.terminated?.finishedAt;
            lateness.push(timeOf(finished) - timeOf(pod.metadata.creationTimestamp));
        }
        for (const [index, [kind]] of kinds.entries()) {
            const pods = () => theirs().filter(({ metadata }) => metadata.name.startsWith(kind));
            const end = ends[kind] ?? /"running"/;
            await world.until(
                `a pod of ${kind} that has come to ${end}`,
                () => pods().find(({ status }) => end.test(JSON.stringify(status))),
                { seconds: 60, explain: () => world.describe(pods()[0]) },
            );
            assert.equal(pods().length, Math.ceil((HOSTILE - index) / kinds.length));
        }
        const pauses = await Promise.all(steady.map((pod) => longestPauseOf(pod, since)));
        const lease = longestPause(renewals);
        console.log(
            `in ${SECONDS} s beside ${HOSTILE} hostile pods: pauses of ${PAUSE} ms took ${greatest(pauses)} ms at most; ` +
                `${answers.length} answers, the slowest ${greatest(answers)} ms; a log, the slowest ${greatest(reads)} ms; ` +
                `the Lease's longest pause ${lease} ms; two new pods had run ${lateness.join(" and ")} ms after they were ` +
                `made; the agent had ${Math.ceil(greatest(memory) / 2 ** 20)} MiB and ${greatest(descriptors)} descriptors at most`,
        );
        // A tenth of it and less is what was seen, on a busy machine.
        assert.ok(greatest(pauses) < 10_000, pauses.join(" "));
        assert.ok(greatest(answers) < 10_000, answers.join(" "));
        assert.ok(greatest(reads) < 10_000, reads.join(" "));
        // A node whose Lease stands for 40 s is taken for dead.
        assert.ok(renewals.size > 1 && lease < 30_000, `${lease} ms`);
        for (const pod of [...steady, server]) {
            const now = world.pods.versions(pod.metadata.uid ?? "").at(-1) as Pod;
            assert.ok(isReady(now), world.describe(pod));
            assert.equal(statusOf(now)?.restartCount, 0);
        }
        assert.equal(agent().pid, pid);
    });

    it("they go when they are deleted, and leave the node as it was", async () => {
        const begun = Date.now();
        await world.removePods(HOSTILE_NAMESPACE);
        console.log(`${HOSTILE} hostile pods were gone after ${((Date.now() - begun) / 1000).toFixed(1)} s`);
        await ask();
        assert.deepEqual(await conditions(), ["Ready"]);
    });
});
