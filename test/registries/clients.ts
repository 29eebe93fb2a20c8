// Programs of others that the tests of registries run: crane and oras, and the specification's own conformance tests. Their
// modules are pinned in clients/; what is built is kept in the user's cache.
import * as path from "node:path";
import { goBuild, goBuildArguments, GO_ENVIRONMENT, hostGoFault, type GoBuild } from "../../common/go";
import { run } from "../../steps/lib/run";
import { cached, cacheKey } from "../../common/cache";

/** The `tool` lines of clients/go.mod. */
export const PROGRAMS = {
    crane: "github.com/google/go-containerregistry/cmd/crane",
    oras: "oras.land/oras/cmd/oras",
    conformance: "github.com/opencontainers/distribution-spec/conformance",
} as const;

const build: GoBuild = { moduleDir: path.join(__dirname, "clients"), packages: Object.values(PROGRAMS) };

/** Folder with the programs, from the cache or built now (20 s with nothing compiled before). */
export async function clients(): Promise<string> {
    const values = [
        process.platform,
        process.arch,
        ...goBuildArguments(build, ""),
        JSON.stringify(GO_ENVIRONMENT),
    ];
    const key = await cacheKey(values, build.moduleDir, ["go.mod", "go.sum"]);
    return cached("test-clients", key, async (dir) => {
        const fault = await hostGoFault();
        if (fault !== undefined)
            throw new Error(`The clients of other projects are built with Go. ${fault}.`);
        const silent = { update: () => undefined, done: () => undefined, fail: () => undefined };
        await goBuild({ run, logFile: "", progress: silent }, build, dir);
    });
}
