// `kubectl logs` with its options.
import assert from "node:assert/strict";
import { probe, statusOf, type Pod, type PodParts } from "../../lib/pod";
import { timeOf, type World } from "../../lib/world";
import type { Story } from "../../runCase";
import { underTest } from "../../underTest";
import { mounts } from "../objects";

/** What `kubectl logs` says of a pod. */
const ask = (world: World, { metadata: { name } }: Pod, options: string[]) =>
    world.kubectl(["logs", `--namespace=${world.namespace}`, name, ...options]);

/** Output of `kubectl logs`, which must succeed. */
export async function logsOf(world: World, pod: Pod, ...options: string[]): Promise<string> {
    const { stdout, stderr, exitCode } = await ask(world, pod, options);
    assert.equal(exitCode, 0, stderr);
    return stdout;
}

async function refusal(world: World, pod: Pod, ...options: string[]): Promise<string> {
    const { stderr, exitCode } = await ask(world, pod, options);
    assert.equal(exitCode, 1);
    return stderr;
}

/** A pod whose first lines are there. */
export async function writing(world: World, name: string, parts: PodParts, begins: string): Promise<Pod> {
    const pod = await world.start(name, parts);
    await world.untilLog(pod, begins, (log) => log.startsWith(begins));
    return pod;
}

export const logStories: readonly Story[] = [
    {
        name: "kubectl logs: all of it, the last lines, so many bytes",
        async run(world) {
            const pod = await world.start("log-parts", {
                args: ["print", "one", "print", "two", "print", "three"],
            });
            await world.untilEnded(pod);
            assert.equal(await logsOf(world, pod), "one\ntwo\nthree\n");
            assert.equal(await logsOf(world, pod, "--container=main"), "one\ntwo\nthree\n");
            assert.equal(await logsOf(world, pod, "--tail=2"), "two\nthree\n");
            assert.equal(await logsOf(world, pod, "--tail=0"), "");
            assert.equal(await logsOf(world, pod, "--tail=9"), "one\ntwo\nthree\n");
            assert.equal(await logsOf(world, pod, "--limit-bytes=6"), "one\ntw");
            assert.equal(await logsOf(world, pod, "--tail=2", "--limit-bytes=5"), "two\nt");
            assert.equal(await logsOf(world, pod, "--follow"), "one\ntwo\nthree\n");
        },
    },
    {
        name: "kubectl logs: with times, and since one",
        async run(world) {
            const begun = Date.now();
            const args = ["print", "early", "sleep", "2500", "print", "late", "ticks", "1000", "0"];
            const pod = await writing(world, "log-since", { args }, "early\nlate\ntick 1\n");
            const lines = (await logsOf(world, pod, "--timestamps")).split("\n").slice(0, 2);
            const times = lines.map((line) => /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z) (\w+)$/.exec(line));
            assert.deepEqual(
                times.map((found) => found?.[2]),
                ["early", "late"],
                lines.join("\n"),
            );
            const [early, late] = times.map((found) => timeOf(found?.[1]));
            // A runtime of containers tells when it has read a line, the first one when it has only just begun.
            const pause = world.place.wasm ? 2500 : 2000;
            assert.ok(early >= begun && late <= Date.now() && late - early >= pause, `${early} ${late}`);
            const between = new Date(early + 1000).toISOString();
            assert.match(await logsOf(world, pod, `--since-time=${between}`), /^late\ntick 1\n/);
            assert.match(await logsOf(world, pod, "--since=1h"), /^early\nlate\ntick 1\n/);
            const future = new Date(Date.now() + 3_600_000).toISOString();
            assert.equal(await logsOf(world, pod, `--since-time=${future}`), "");
        },
    },
    {
        name: "kubectl logs: of one container of several, of all, and of an init container",
        async run(world) {
            const { image } = underTest().modules.probe;
            const container = (name: string) => ({ name, image, args: ["print", `of ${name}`] });
            const pod = await world.start("log-several", {
                spec: {
                    initContainers: [container("init")],
                    containers: [container("one"), container("two")],
                },
            });
            await world.untilEnded(pod);
            for (const name of ["init", "one", "two"])
                assert.equal(await logsOf(world, pod, `--container=${name}`), `of ${name}\n`);
            const all = await logsOf(world, pod, "--all-containers");
            assert.deepEqual(all.trim().split("\n").sort(), ["of init", "of one", "of two"]);
            assert.match(
                await refusal(world, pod, "--container=three"),
                /container three is not valid for pod log-several/,
            );
        },
    },
    {
        name: "kubectl logs: of the run before: --previous",
        async run(world) {
            const pod = await world.start("log-previous", {
                args: ["random", "attempt", "/data/n", "2", "ticks", "1000", "0"],
                main: mounts({ data: "/data" }),
                spec: { restartPolicy: "OnFailure", volumes: [{ name: "data", emptyDir: {} }] },
            });
            await world.untilPod(pod, "its restart", (now) => {
                const status = statusOf(now);
                return status?.restartCount === 1 && status.state?.running !== undefined;
            });
            const now = await world.untilLog(pod, "the second run", (log) => log.includes("tick 1\n"));
            const before = await logsOf(world, pod, "--previous");
            assert.match(now, /^[0-9a-f]{16}\nattempt 2\ntick 1\n/);
            assert.match(before, /^[0-9a-f]{16}\nattempt 1\n$/);
            assert.notEqual(now.slice(0, 16), before.slice(0, 16));
        },
    },
    {
        name: "kubectl logs: as it grows, to the end of the last run; a kubelet's ends with the run that it began in",
        async run(world) {
            const pod = await writing(
                world,
                "log-follow",
                {
                    args: ["print", "begun", "sleep", "2500", "attempt", "/data/n", "2", "print", "end"],
                    main: mounts({ data: "/data" }),
                    spec: { restartPolicy: "OnFailure", volumes: [{ name: "data", emptyDir: {} }] },
                },
                "begun\n",
            );
            const runs = ["begun\nattempt 1\n", "begun\nattempt 2\nend\n"];
            assert.equal(await logsOf(world, pod, "--follow"), world.place.wasm ? runs.join("") : runs[0]);
        },
    },
    {
        name: "kubectl logs: as it grows, until the pod is deleted",
        async run(world) {
            const pod = await writing(
                world,
                "log-follow-deleted",
                { args: ["ticks", "200", "0"] },
                "tick 1\n",
            );
            const following = logsOf(world, pod, "--follow");
            await world.untilLog(pod, "tick 5", (log) => log.includes("tick 5\n"));
            await world.remove(pod, 1);
            const lines = (await following).trimEnd().split("\n");
            assert.ok(lines.length >= 5);
            assert.deepEqual(
                lines,
                lines.map((_, index) => `tick ${index + 1}`),
            );
        },
    },
    {
        name: "kubectl logs: where there is none: why",
        async run(world) {
            const { registry } = underTest();
            const waiting = await world.start("log-waiting", { main: { image: `${registry}/absent:v1` } });
            await world.untilPod(waiting, "waiting", (now) =>
                /ErrImagePull|BackOff/.test(statusOf(now)?.state?.waiting?.reason ?? ""),
            );
            assert.match(
                await refusal(world, waiting),
                /container "main" in pod "log-waiting" is waiting to start: (image can't be pulled|trying and failing to pull image)/,
            );
            const unmounted = await world.start("log-unmounted", {
                main: mounts({ v: "/v" }),
                spec: { volumes: [{ name: "v", configMap: { name: "never-there" } }] },
            });
            await world.untilPod(unmounted, "waiting", (now) => statusOf(now)?.state?.waiting !== undefined);
            assert.match(await refusal(world, unmounted), /is waiting to start: ContainerCreating/);
            const uninitialized = await world.start("log-uninitialized", {
                spec: { initContainers: [probe("init", ["exit", "1"])] },
            });
            await world.untilEnded(uninitialized);
            assert.match(await refusal(world, uninitialized), /is waiting to start: PodInitializing/);
            const once = await writing(world, "log-once", { args: ["ticks", "1000", "0"] }, "tick 1\n");
            assert.match(
                await refusal(world, once, "--previous"),
                /previous terminated container "main" in pod "log-once" not found/,
            );
        },
    },
];
