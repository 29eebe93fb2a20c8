// Programs of others that tests run, each built from a Go module that is pinned in a folder of its own, and kept in the user's cache.
import { goBuild, goBuildArguments, GO_ENVIRONMENT, hostGoFault } from "../common/go";
import type { Reporter } from "../common/report";
import { run } from "../steps/lib/run";
import { cached, cacheKey } from "../common/cache";

/** Folder with the programs, from the cache or built now. `packages` are those that the `tool` lines of the folder's go.mod name. */
export async function programsOf(
    name: string,
    moduleDir: string,
    packages: readonly string[],
    report?: Reporter,
): Promise<string> {
    const build = { moduleDir, packages };
    const platform = [process.platform, process.arch, JSON.stringify(GO_ENVIRONMENT)];
    const key = await cacheKey([...platform, ...goBuildArguments(build, "")], moduleDir, [
        "go.mod",
        "go.sum",
    ]);
    return cached(name, key, async (dir) => {
        const fault = await hostGoFault();
        if (fault !== undefined) throw new Error(`Programs of other projects are built with Go. ${fault}.`);
        const silent = { update: () => undefined, done: () => undefined, fail: () => undefined };
        const what = `${packages.map((one) => one.split("/").at(-1)).join(", ")}, built for the tests from Go modules`;
        const progress = report?.start(what) ?? silent;
        await goBuild({ run, logFile: "", progress }, build, dir).catch((error: unknown) => {
            progress.fail("go build failed");
            throw error;
        });
        progress.done();
    });
}
