// What the image cases find in the registry, and what a table cannot tell: tags that move, and what the node says it has.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { stateOf, statusOf, type Container } from "../lib/pod";
import type { Story } from "../runCase";
import { padded, pushArtifact, pushIndex, wasmToOci, agreed } from "../lib/scriptedRegistry";
import { underTest } from "../underTest";
import type { World } from "../lib/world";

/** Puts what the cases of images.ts run into the registry. */
export async function pushImages(): Promise<void> {
    const { registry, modules } = underTest();
    const hello = readFileSync(modules.hello.file);
    const push = (tag: string, layer: Buffer, types = agreed) =>
        pushArtifact(registry, "formats", tag, layer, types);
    await push("wasm-to-oci", hello, wasmToOci);
    const wasm = await push("wasm", hello);
    const other = await push("other", Buffer.from("\x7fELF, say"), {
        ...agreed,
        layer: "application/octet-stream",
    });
    await pushIndex(registry, "formats", "index", [
        { ...other, platform: { architecture: "amd64", os: "linux" } },
        { ...wasm, platform: { architecture: "wasm", os: "wasip1" } },
    ]);
    await push("text", Buffer.from("hello\n"), {
        config: "application/vnd.oci.empty.v1+json",
        layer: "text/plain",
    });
    await push("damaged", Buffer.from("no module at all\n"));
    await push("large", padded(hello, 95_000_000 - hello.length));
    await push("too-large", padded(hello, 105_000_000));
}

/** Runs a program to its end; what it printed, which module it was, and how that came. */
async function runs(world: World, name: string, main: Partial<Container>) {
    const pod = await world.start(name, { args: ["print", "the probe"], main });
    const ended = await world.untilEnded(pod);
    assert.equal(ended.status.phase, "Succeeded", world.describe(pod));
    // Events come one after the other, on a path of their own.
    const events = await world.until("Started", () => {
        const seen = world.eventsOf(pod);
        return seen.some(({ reason }) => reason === "Started") ? seen : undefined;
    });
    const pulled = events.find(({ reason }) => reason === "Pulled");
    return {
        log: await world.log(pod),
        imageId: statusOf(ended)?.imageID,
        fetched: pulled?.message.startsWith("Successfully pulled image"),
        // Whether it has to wait for a place is the others' doing.
        reasons: events.map(({ reason }) => reason).filter((reason) => reason !== "Waiting"),
    };
}

export const imageStories: readonly Story[] = [
    {
        name: "a tag that moves: seen by Always, and by the default for latest; IfNotPresent keeps what is there",
        async run(world) {
            const { registry, modules } = underTest();
            // Of this test alone: a node that has the module under any name does not fetch it again.
            const [hello, probe] = [modules.hello, modules.probe].map(({ file }) =>
                padded(readFileSync(file), 100),
            );
            for (const tag of ["v1", "latest"]) await pushArtifact(registry, "moving", tag, hello);
            const tagged = `${registry}/moving:v1`;
            const first = await runs(world, "moving-first", { image: tagged });
            assert.deepEqual([first.log, first.fetched], ["Hello, World!\n", true]);
            assert.deepEqual(first.reasons, ["Pulling", "Pulled", "Created", "Started"]);
            const latest = await runs(world, "moving-latest", { image: `${registry}/moving` });
            assert.deepEqual([latest.log, latest.imageId], ["Hello, World!\n", first.imageId]);

            for (const tag of ["v1", "latest"]) await pushArtifact(registry, "moving", tag, probe);
            const kept = await runs(world, "moving-kept", { image: tagged });
            assert.deepEqual(
                [kept.log, kept.imageId, kept.fetched],
                ["Hello, World!\n", first.imageId, false],
            );
            const latestMoved = await runs(world, "moving-latest-moved", { image: `${registry}/moving` });
            assert.equal(latestMoved.log, "the probe\n");
            const moved = await runs(world, "moving-moved", { image: tagged, imagePullPolicy: "Always" });
            assert.deepEqual([moved.log, moved.imageId], ["the probe\n", latestMoved.imageId]);
            assert.notEqual(moved.imageId, first.imageId);
            const old = await runs(world, "moving-by-digest", { image: first.imageId });
            assert.deepEqual([old.log, old.imageId, old.fetched], ["Hello, World!\n", first.imageId, false]);
        },
    },
    {
        name: "ErrImagePull comes first, then ImagePullBackOff, and another try after 10 s; the image appears, and it runs",
        async run(world) {
            const { registry, modules } = underTest();
            const image = `${registry}/late:v1`;
            const pod = await world.start("late-image", { main: { image } });
            const is = (reason: string) => () =>
                stateOf(statusOf(world.pods.versions(pod.metadata.uid ?? "").at(-1) ?? pod)?.state) ===
                `waiting ${reason}`;
            await world.untilPod(pod, "ImagePullBackOff", is("ImagePullBackOff"));
            const states = world.history(pod, (now) => stateOf(statusOf(now)?.state));
            const order = [...new Set(states)].filter((state) => state !== "");
            assert.deepEqual(
                order.filter((state) => state !== "waiting ContainerCreating"),
                ["waiting ErrImagePull", "waiting ImagePullBackOff"],
            );
            await pushArtifact(registry, "late", "v1", readFileSync(modules.hello.file));
            const ended = await world.untilEnded(pod, 60);
            assert.equal(ended.status.phase, "Succeeded", world.describe(pod));
            const tries = world.eventsOf(pod).filter(({ reason }) => reason === "Failed");
            assert.ok(tries.length >= 1);
        },
    },
    {
        name: "two tags of one digest are one image in the node's status",
        async run(world) {
            const { registry, modules, node } = underTest();
            const layer = padded(readFileSync(modules.hello.file), 1000);
            const pushed = await pushArtifact(registry, "twins", "one", layer);
            await pushArtifact(registry, "twins", "two", layer);
            await runs(world, "twin-one", { image: `${registry}/twins:one` });
            const two = await runs(world, "twin-two", { image: `${registry}/twins:two` });
            assert.equal(two.imageId, `${registry}/twins@${pushed.digest}`);
            interface Images {
                status: { images?: { names: string[]; sizeBytes: number }[] };
            }
            const named = await world.until(
                "the images in the node's status",
                async () => {
                    const { status } = await world.api.get<Images>(`/api/v1/nodes/${node.nodeName}`);
                    const twins = status.images?.filter(({ names }) =>
                        names.some((name) => name.includes("/twins")),
                    );
                    return twins?.some(({ names }) => names.length >= 3) ? twins : undefined;
                },
                { seconds: 60 },
            );
            assert.deepEqual(
                named.map(({ names, sizeBytes }) => ({ names: [...names].sort(), sizeBytes })),
                [
                    {
                        names: [
                            `${registry}/twins:one`,
                            `${registry}/twins:two`,
                            `${registry}/twins@${pushed.digest}`,
                        ],
                        sizeBytes: layer.length,
                    },
                ],
            );
        },
    },
];
