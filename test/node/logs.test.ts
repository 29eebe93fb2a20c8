/** Logs across rotation and restarts; what `kubectl logs` has of options is in cases/kubelet/logs.ts. */
import assert from "node:assert/strict";
import { readdirSync, statSync } from "node:fs";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { agentFiles } from "../../steps/node/agent/agent";
import { logsOf, writing } from "./cases/kubelet/logs";
import { mounts } from "./cases/objects";
import { underTest } from "./underTest";
import { World } from "./lib/world";

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

    it("both streams, in the order in which they were written", async () => {
        const pod = await world.start("parts", { args: ["print", "one", "error", "two", "print", "three"] });
        await world.untilEnded(pod);
        assert.equal(await logsOf(world, pod), "one\ntwo\nthree\n");
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

        const found = numbers(await logsOf(world, pod));
        assert.deepEqual(found, counted(found[0], count));
        // A line is kept with its time and stream: some forty bytes.
        assert.ok(found.length >= ((maxFiles - 1) * maxBytes) / (bytes + 50), `${found.length} lines`);
        assert.deepEqual(numbers(await logsOf(world, pod, "--tail=3")), counted(count - 2, count));
        // The last lines of more than one file.
        const most = Math.round((1.5 * maxBytes) / bytes);
        assert.deepEqual(
            numbers(await logsOf(world, pod, `--tail=${most}`)),
            counted(count - most + 1, count),
        );
    });

    it("as it grows, across rotation: nothing is missing and nothing comes twice", async () => {
        const { maxBytes } = underTest().logRotation;
        const [bursts, lines, bytes] = [10, 2000, 60];
        assert.ok(bursts * lines * bytes > 3 * maxBytes);
        const burst = ["lines", String(lines), String(bytes), "sleep", "300"];
        const pod = await writing(
            world,
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
        const found = numbers(await logsOf(world, pod, "--follow"));
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
        const lines = (await logsOf(world, pod)).split("\n");
        assert.deepEqual(
            lines.map((line) => line.length),
            [39_999, 39_999, 6, 0],
        );
        assert.equal((await logsOf(world, pod, "--tail=2")).length, 40_000 + 7);
    });
});
