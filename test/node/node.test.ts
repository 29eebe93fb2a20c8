/** Pods, from tables: each made on the real node, and looked at in the API server. */
import { after, before, describe, it } from "node:test";
import { callingStories } from "./cases/calling";
import { hostPathCases } from "./cases/hostPaths";
import { httpStories } from "./cases/http";
import { imageCases } from "./cases/images";
import { imageStories, pushImages } from "./cases/imageStories";
import { kubeletTests } from "./cases/kubelet";
import { refusalCases, refusalStories } from "./cases/refusals";
import { runtimeCases, runtimeStories, sandboxCases } from "./cases/runtime";
import { servingStories } from "./cases/serving";
import { runCase, type Case, type Story } from "./runCase";
import { ScriptedRegistry } from "./lib/scriptedRegistry";
import { World } from "./lib/world";

/** How many run at a time: they wait most of their lives. */
const AT_A_TIME = 20;

// What takes longest begins first.
const tests: (Case | Story)[] = [
    ...kubeletTests(),
    ...httpStories,
    ...imageStories,
    ...imageCases(),
    ...servingStories,
    ...callingStories,
    ...hostPathCases(),
    ...runtimeCases(),
    ...runtimeStories,
    ...sandboxCases,
    ...refusalCases,
    ...refusalStories,
];

describe("pods", { concurrency: AT_A_TIME, timeout: 600_000 }, () => {
    const registry = new ScriptedRegistry();
    let world: World;

    before(async () => {
        await registry.start();
        await pushImages();
        world = await World.open("pods");
    });
    after(async () => {
        try {
            await world.close();
        } finally {
            await registry.stop();
        }
    });

    for (const test of tests) {
        it(test.name, () => ("run" in test ? test.run(world) : runCase(world, test)));
    }
});
