/** `kubectl logs` with each of its options, across rotation and restarts. */
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { agentFiles } from "../../steps/node/agent/agent";
import { mounts } from "./cases/objects";
import { statusOf, type Pod, type PodParts } from "./lib/pod";
import { underTest } from "./underTest";
import { timeOf, World } from "./lib/world";

/** Numbers at the beginning of lines that `lines` of workloads/probe wrote. */
const numbers = (log: string) =>
    log
        .trimEnd()
        .split("\n")
        .map((line) => Number(line.slice(0, 8)));
const counted = (from: number, to: number) =>
    Array.from({ length: to - from + 1 }, (_, index) => from + index);

describe("kubectl logs", { concurrency: 8, timeout: 240_000 }, () => {
    let world: World;
    before(async () => {
        world = await World.open("logs");
    });
    after(async () => {
        await world.close();
    });

    /** Output of `kubectl logs`, which must succeed. */
    async function logs(pod: Pod, ...options: string[]): Promise<string> {
        const { stdout, stderr, exitCode } = await world.kubectl([
            "logs",
            `--namespace=${world.namespace}`,
            pod.metadata.name,
            ...options,
        ]);
        assert.equal(exitCode, 0, stderr);
        return stdout;
    }

    async function refusal(pod: Pod, ...options: string[]): Promise<string> {
        const { stderr, exitCode } = await world.kubectl([
            "logs",
            `--namespace=${world.namespace}`,
            pod.metadata.name,
            ...options,
        ]);
        assert.equal(exitCode, 1);
        return stderr;
    }

    /** A pod whose first lines are there. */
    async function writing(name: string, parts: PodParts, begins: string): Promise<Pod> {
        const pod = await world.start(name, parts);
        await world.untilLog(pod, begins, (log) => log.startsWith(begins));
        return pod;
    }

    it("all of it, the last lines, so many bytes", async () => {
        const pod = await world.start("parts", { args: ["print", "one", "error", "two", "print", "three"] });
        await world.untilEnded(pod);
        assert.equal(await logs(pod), "one\ntwo\nthree\n");
        assert.equal(await logs(pod, "--container=main"), "one\ntwo\nthree\n");
        assert.equal(await logs(pod, "--tail=2"), "two\nthree\n");
        assert.equal(await logs(pod, "--tail=0"), "");
        assert.equal(await logs(pod, "--tail=9"), "one\ntwo\nthree\n");
        assert.equal(await logs(pod, "--limit-bytes=6"), "one\ntw");
        assert.equal(await logs(pod, "--tail=2", "--limit-bytes=5"), "two\nt");
        assert.equal(await logs(pod, "--follow"), "one\ntwo\nthree\n");
    });

    it("with times, and since one", async () => {
        const begun = Date.now();
        const args = ["print", "early", "sleep", "2500", "print", "late", "ticks", "1000", "0"];
        const pod = await writing("since", { args }, "early\nlate\ntick 1\n");
        const lines = (await logs(pod, "--timestamps")).split("\n").slice(0, 2);
        const times = lines.map((line) => /^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z) (\w+)$/.exec(line));
        assert.deepEqual(
            times.map((found) => found?.[2]),
            ["early", "late"],
            lines.join("\n"),
        );
        const [early, late] = times.map((found) => timeOf(found?.[1]));
        assert.ok(early >= begun && late <= Date.now() && late - early >= 2500, `${early} ${late}`);
        const between = new Date(early + 1000).toISOString();
        assert.match(await logs(pod, `--since-time=${between}`), /^late\ntick 1\n/);
        assert.match(await logs(pod, "--since=1h"), /^early\nlate\ntick 1\n/);
        const future = new Date(Date.now() + 3_600_000).toISOString();
        assert.equal(await logs(pod, `--since-time=${future}`), "");
    });

    it("of one container of several, of all, and of an init container", async () => {
        const { image } = underTest().modules.probe;
        const container = (name: string) => ({ name, image, args: ["print", `of ${name}`] });
        const pod = await world.start("several", {
            spec: { initContainers: [container("init")], containers: [container("one"), container("two")] },
        });
        await world.untilEnded(pod);
        for (const name of ["init", "one", "two"])
            assert.equal(await logs(pod, `--container=${name}`), `of ${name}\n`);
        const all = await logs(pod, "--all-containers");
        assert.deepEqual(all.trim().split("\n").sort(), ["of init", "of one", "of two"]);
        assert.match(await refusal(pod, "--container=three"), /container three is not valid for pod several/);
    });

    it("of the run before: --previous", async () => {
        const pod = await world.start("previous", {
            args: ["random", "attempt", "/data/n", "2", "ticks", "1000", "0"],
            main: mounts({ data: "/data" }),
            spec: { restartPolicy: "OnFailure", volumes: [{ name: "data", emptyDir: {} }] },
        });
        await world.untilPod(pod, "its restart", (now) => {
            const status = statusOf(now);
            return status?.restartCount === 1 && status.state?.running !== undefined;
        });
        const now = await world.untilLog(pod, "the second run", (log) => log.includes("tick 1\n"));
        const before = await logs(pod, "--previous");
        assert.match(now, /^[0-9a-f]{16}\nattempt 2\ntick 1\n/);
        assert.match(before, /^[0-9a-f]{16}\nattempt 1\n$/);
        assert.notEqual(now.slice(0, 16), before.slice(0, 16));
    });

    it("as it grows, across a restart, to the end of the last run", async () => {
        const pod = await writing(
            "follow",
            {
                args: ["print", "begun", "sleep", "2500", "attempt", "/data/n", "2", "print", "end"],
                main: mounts({ data: "/data" }),
                spec: { restartPolicy: "OnFailure", volumes: [{ name: "data", emptyDir: {} }] },
            },
            "begun\n",
        );
        assert.equal(await logs(pod, "--follow"), "begun\nattempt 1\nbegun\nattempt 2\nend\n");
    });

    it("as it grows, until the pod is deleted", async () => {
        const pod = await writing("follow-deleted", { args: ["ticks", "200", "0"] }, "tick 1\n");
        const following = logs(pod, "--follow");
        await world.untilLog(pod, "tick 5", (log) => log.includes("tick 5\n"));
        await world.remove(pod, 1);
        const lines = (await following).trimEnd().split("\n");
        assert.ok(lines.length >= 5);
        assert.deepEqual(
            lines,
            lines.map((_, index) => `tick ${index + 1}`),
        );
    });

    it("rotated: the newest files are kept, and read as one", async () => {
        const { maxBytes, maxFiles } = underTest().logRotation;
        const [count, bytes] = [40_000, 50];
        const pod = await world.start("rotated", { args: ["lines", String(count), String(bytes)] });
        await world.untilEnded(pod, 60);
        const folder = path.join(agentFiles(underTest().node.stateDir).dataDir, "pods");
        const ours = readdirSync(folder).find((name) => name.endsWith(`_${pod.metadata.uid}`)) ?? "none";
        // Beside them is what the node remembers of the attempt.
        const files = readdirSync(path.join(folder, ours, "main"))
            .filter((name) => name.startsWith("0.log"))
            .map((name) => path.join(folder, ours, "main", name));
        const sizes = files.map((file) => statSync(file).size);
        assert.equal(files.length, maxFiles, files.join("\n"));
        assert.ok(
            sizes.every((size) => size <= maxBytes),
            sizes.join(" "),
        );

        const found = numbers(await logs(pod));
        assert.deepEqual(found, counted(found[0], count));
        // A line is kept with its time and stream: some forty bytes.
        assert.ok(found.length >= ((maxFiles - 1) * maxBytes) / (bytes + 50), `${found.length} lines`);
        assert.deepEqual(numbers(await logs(pod, "--tail=3")), counted(count - 2, count));
        // The last lines of more than one file.
        const most = Math.round((1.5 * maxBytes) / bytes);
        assert.deepEqual(numbers(await logs(pod, `--tail=${most}`)), counted(count - most + 1, count));
    });

    it("as it grows, across rotation: nothing is missing and nothing comes twice", async () => {
        const { maxBytes } = underTest().logRotation;
        const [bursts, lines, bytes] = [10, 2000, 60];
        assert.ok(bursts * lines * bytes > 3 * maxBytes);
        const burst = ["lines", String(lines), String(bytes), "sleep", "300"];
        const pod = await writing(
            "follow-rotated",
            {
                args: [
                    "print",
                    "00000000",
                    "sleep",
                    "2000",
                    ...Array.from({ length: bursts }, () => burst).flat(),
                ],
            },
            "00000000\n",
        );
        const found = numbers(await logs(pod, "--follow"));
        const wanted = [0, ...Array.from({ length: bursts }, () => counted(1, lines)).flat()];
        assert.equal(found.length, wanted.length);
        assert.deepEqual(found, wanted);
    });

    it("long lines and lines without an end come as they are", async () => {
        const pod = await world.start("long", {
            args: ["write", "/data/f", "no end", "lines", "2", "40000", "cat", "/data/f"],
            main: mounts({ data: "/data" }),
            spec: { volumes: [{ name: "data", emptyDir: {} }] },
        });
        await world.untilEnded(pod);
        const lines = (await logs(pod)).split("\n");
        assert.deepEqual(
            lines.map((line) => line.length),
            [39_999, 39_999, 6, 0],
        );
        assert.equal((await logs(pod, "--tail=2")).length, 40_000 + 7);
    });

    it("where there is none: why", async () => {
        const { registry } = underTest();
        const waiting = await world.start("waiting", { main: { image: `${registry}/absent:v1` } });
        await world.untilPod(waiting, "waiting", (now) =>
            /ErrImagePull|BackOff/.test(statusOf(now)?.state?.waiting?.reason ?? ""),
        );
        assert.match(
            await refusal(waiting),
            /container "main" in pod "waiting" is waiting to start: (image can't be pulled|trying and failing to pull image)/,
        );
        const once = await writing("once", { args: ["ticks", "1000", "0"] }, "tick 1\n");
        assert.match(
            await refusal(once, "--previous"),
            /previous terminated container "main" in pod "once" not found/,
        );
    });
});
