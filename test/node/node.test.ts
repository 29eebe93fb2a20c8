/** Pods, from tables: each made on the real node, and looked at in the API server. */
import { after, before, describe, it } from "node:test";
import { callingStories } from "./cases/calling";
import { endingStories } from "./cases/endings";
import { environmentCases } from "./cases/environment";
import { emptyDirCases, hostPathCases } from "./cases/folders";
import { httpStories } from "./cases/http";
import { imageCases } from "./cases/images";
import { imageStories, pushImages } from "./cases/imageStories";
import { lifecycleCases } from "./cases/lifecycle";
import { refusalCases, refusalStories } from "./cases/refusals";
import { runtimeCases, runtimeStories } from "./cases/runtime";
import { serviceStories } from "./cases/services";
import { servingStories } from "./cases/serving";
import { volumeCases } from "./cases/volumes";
import { volumeStories } from "./cases/volumeStories";
import { runCase, type Case, type Story } from "./runCase";
import { ScriptedRegistry } from "./lib/scriptedRegistry";
import { World } from "./lib/world";

/** How many run at a time: they wait most of their lives. */
const AT_A_TIME = 20;

// What takes longest begins first.
const tests: (Case | Story)[] = [
    ...endingStories,
    ...httpStories,
    ...volumeStories,
    ...imageStories,
    ...imageCases(),
    ...serviceStories,
    ...servingStories,
    ...callingStories,
    ...environmentCases,
    ...volumeCases,
    ...emptyDirCases,
    ...hostPathCases(),
    ...lifecycleCases,
    ...runtimeCases(),
    ...runtimeStories,
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
