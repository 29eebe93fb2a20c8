// What a run of the tests that was killed left standing: the next one would take it for its own, or meet it in its way.
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { dataVolumeName } from "../components/defaults";
import { endProcess, processesThat } from "../steps/lib/processes";
import { run } from "../steps/lib/run";

type Env = Record<string, string> | undefined;

/** Removes the containers of the kind cluster of that name, which is a test's own. */
export async function removeTestCluster(name: string, env?: Env): Promise<void> {
    await removeTestContainers([`label=io.x-k8s.kind.cluster=${name}`], env);
}

/** Removes the containers that filters of `docker ps` find, which are a test's own. */
export async function removeTestContainers(filters: string[], env?: Env): Promise<void> {
    const argv = ["docker", "ps", "--all", "--quiet", ...filters.map((filter) => `--filter=${filter}`)];
    const { stdout } = await run(argv, { env });
    const containers = stdout.split("\n").filter(Boolean);
    if (containers.length > 0) await run(["docker", "rm", "--force", "--volumes", ...containers], { env });
}

/** Where stacks of that name have their home folders, one beside the other: what comes before the six letters of each. */
export const homesOf = (stack: string): string => path.join(os.tmpdir(), `krustlet-stack-${stack}-`);

/** Ends and removes what stacks of that name have outside of a cluster. */
export async function removeTestStack(stack: string): Promise<void> {
    const homes = homesOf(stack);
    const isHome = (text: string) => text.startsWith(homes) && text.length === homes.length + 6;
    const inHome = (word: string) => {
        const at = word.indexOf(homes);
        return at >= 0 && isHome(word.slice(at).split("/").slice(0, homes.split("/").length).join("/"));
    };
    // Docker would start again what ends in a container.
    const format = '--format={{.ID}} {{.Label "krustlet-stack.node"}}';
    const { stdout } = await run(["docker", "ps", "--all", "--filter=label=krustlet-stack.node", format]);
    const nodes = stdout.split("\n").filter(inHome);
    for (const line of nodes) await run(["docker", "rm", "--force", line.split(" ")[0]]);
    for (const left of processesThat((argv) => argv.some(inHome))) await endProcess(left, 5);
    const registry = `krustlet-stack-${stack}-registry`;
    await run(["docker", "rm", "--force", "--volumes", registry], { allowFailure: true });
    await run(["docker", "volume", "rm", "--force", dataVolumeName(registry)], { allowFailure: true });
    for (const name of await fs.readdir(os.tmpdir())) {
        const folder = path.join(os.tmpdir(), name);
        if (isHome(folder)) await fs.rm(folder, { recursive: true, force: true });
    }
}
