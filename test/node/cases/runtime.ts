// What a program is given and what it is not: the same for a WASI preview 1 module and a WASI 0.2 component.
import assert from "node:assert/strict";
import { statusOf, type Container, type Pod } from "../lib/pod";
import type { Case, Story } from "../runCase";
import { underTest, type NodeUnderTest } from "../underTest";
import type { World } from "../lib/world";
import { at, volume } from "./mounting";
import { configMap } from "./objects";

type Kind = "module" | "component";

const of = (kind: Kind, modules: NodeUnderTest["modules"]) =>
    kind === "module" ? modules.probe : modules.component;

/** Exit codes of WASI 0.2 are success and failure: a program's own number does not come through `wasi:cli/exit`. */
const exit42: Record<Kind, string> = { module: "terminated Error 42", component: "terminated Error 1" };

export const runtimeCases = (): readonly Case[] =>
    (["module", "component"] as const).flatMap((kind): Case[] => {
        const { image, imageId } = of(kind, underTest().modules);
        const program = image.replace(/^.*\//, "").replace(/:.*$/, "");
        const runs = (
            what: string,
            args: string[],
            log: string | RegExp,
            main: Partial<Container> = {},
        ): Case => ({
            name: `${kind}: ${what}`,
            args,
            main: { image, ...main },
            expect: {
                phase: "Succeeded",
                containers: { main: { state: "terminated Completed 0", imageId } },
                log,
            },
        });
        const ends = (
            what: string,
            args: string[],
            state: string | RegExp,
            main: Partial<Container> = {},
        ): Case => ({
            name: `${kind}: ${what}`,
            args,
            main: { image, ...main },
            expect: { phase: "Failed", containers: { main: { state } } },
        });
        return [
            runs("its arguments, and nothing else", ["args"], `${program}\nargs\n`),
            runs(
                "its environment",
                ["env", "A", "env", "HOME", "env", "PATH"],
                "A=1\nHOME is not set\nPATH is not set\n",
                {
                    env: [{ name: "A", value: "1" }],
                },
            ),
            runs("an empty standard input", ["stdin"], "stdin: 0 bytes\n"),
            runs(
                "standard output and error, in order",
                ["both", "6"],
                "out 1\nerr 2\nout 3\nerr 4\nout 5\nerr 6\n",
            ),
            runs(
                "no network",
                ["connect", "127.0.0.1", "80", "connect", "localhost", "80"],
                /^(not connected: .+\n){2}$/,
            ),
            ends("its exit code", ["exit", "42"], exit42[kind]),
            ends("a trap", ["trap"], "terminated Error 134"),
            ends("its memory limit", ["alloc", "64"], "terminated OOMKilled 137", {
                resources: { limits: { memory: "32Mi" } },
            }),
            {
                ...runs("files of its volumes", ["ls", "/v", "cat", "/v/a"], "a\nA\n", {
                    volumeMounts: [{ name: "v", mountPath: "/v" }],
                }),
                objects: [configMap(`${kind}-files`, { a: "A" })],
                spec: { volumes: [{ name: "v", configMap: { name: `${kind}-files` } }] },
            },
        ];
    });

/** A container has files of its own; a module has its volumes, and nothing else. */
export const sandboxCases: readonly Case[] = [
    ["what is in no volume is not there", ["cat", "/etc/hostname"]] as const,
    ["a path that leads out of a volume", ["cat", "/v/../../../../etc/hostname"]] as const,
].map(([name, args]): Case => ({
    name,
    args: [...args],
    main: at("/v"),
    spec: volume({ emptyDir: {} }),
    expect: {
        phase: "Failed",
        containers: { main: { state: "terminated Error 74" } },
        log: /^probe: cat: \w.*\n$/,
    },
}));

const kinds = ["module", "component"] as const;

const clocks = kinds.map((kind): Story => ({
    name: `${kind}: random numbers that differ, and the time that it is`,
    async run(world) {
        const { image } = of(kind, underTest().modules);
        const begun = Date.now();
        const pods = await Promise.all(
            ["one", "two"].map((which) =>
                world.start(`${kind}-random-${which}`, {
                    args: ["random", "clock", "sleep", "300", "clock"],
                    main: { image },
                }),
            ),
        );
        const logs: string[][] = [];
        for (const pod of pods) {
            const ended = await world.untilEnded(pod);
            assert.equal(ended.status.phase, "Succeeded", world.describe(pod));
            logs.push((await world.log(pod)).trim().split("\n"));
        }
        for (const [random, first, second] of logs) {
            assert.match(random, /^[0-9a-f]{16}$/);
            assert.ok(Number(first) >= begun && Number(first) <= Date.now(), first);
            const slept = Number(second) - Number(first);
            assert.ok(slept >= 300 && slept < 5000, `${slept} ms`);
        }
        assert.notEqual(logs[0][0], logs[1][0]);
    },
}));

/** What it has as the node tells it, once that is so. */
const untilIts = async (world: World, pod: Pod, limit: string) => {
    const its = (now: Pod) => statusOf(now)?.resources?.limits?.memory === limit;
    await world.untilPod(pod, `a limit of ${limit}`, its);
};

const resizes = kinds.map((kind): Story => ({
    name: `${kind}: memory that it is given while it runs, and none is taken that it uses`,
    async run(world) {
        const { image } = of(kind, underTest().modules);
        const limit = (memory: string) => ({ limits: { memory }, requests: { memory: "8Mi" } });
        const pod = await world.start(`${kind}-resized`, {
            args: ["alloc", "8", "sleep", "60000", "alloc", "48", "print", "enough"],
            main: { image, resources: limit("32Mi") },
        });
        await world.untilRunning(pod);
        const resize = async (resources: object) => {
            const { name, namespace = "" } = pod.metadata;
            const patch = JSON.stringify({ spec: { containers: [{ name: "main", resources }] } });
            const node = (os: string) =>
                world.kubectl([
                    "label",
                    "node",
                    underTest().node.nodeName,
                    `kubernetes.io/os=${os}`,
                    "--overwrite",
                ]);
            let said = "";
            await world.until(
                "the API server's consent",
                async () => {
                    // It refuses for all nodes that are not Linux, by what it knows of them.
                    await node("linux");
                    const patched = await world.kubectl([
                        ...["patch", "pod", name, `--namespace=${namespace}`, "--subresource=resize"],
                        `--patch=${patch}`,
                    ]);
                    await node("wasi");
                    said = patched.stderr;
                    return patched.exitCode === 0 ? true : undefined;
                },
                { explain: () => said },
            );
        };
        const waits = ({ status }: Pod) =>
            status.conditions?.find(({ type }) => type === "PodResizeInProgress")?.reason;
        await untilIts(world, pod, "32Mi");
        await resize(limit("96Mi"));
        await untilIts(world, pod, "96Mi");
        await resize({ limits: { memory: "2Mi" }, requests: { memory: "1Mi" } });
        await world.untilPod(pod, "told that it uses more", (now) => waits(now) === "Error");
        await untilIts(world, pod, "96Mi");
        await resize(limit("96Mi"));
        await world.untilPod(pod, "as it was", (now) => waits(now) === undefined);
        const ended = await world.untilEnded(pod, 120);
        assert.equal(ended.status.phase, "Succeeded", world.describe(pod));
        assert.equal(statusOf(ended)?.restartCount, 0);
        assert.match(await world.log(pod), /enough/);
    },
}));

export const runtimeStories: readonly Story[] = [...clocks, ...resizes];
