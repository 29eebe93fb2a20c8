import { basename } from "node:path";
import type { ConnectRegistryInput, KindClusterInput } from "../../contract";
import { kindEnvironment, kindFile, removeAdminKubeconfig } from "../adminKubeconfig";
import { untilGone } from "../atWork";
import { currentClaim, describeOwner } from "../../lib/claim";
import { containers, containersOn, network, type Container } from "../../lib/docker";
import { messageOf, StepError } from "../../lib/errors";
import { expandHome, isPrivateFile, withPrivateFile } from "../../lib/files";
import { entries } from "../../lib/journal";
import { clusterLabel, isOurs, isKinds, networkOf, notOurs, progressOf } from "./kind";
import { endProcess, processesThat } from "../../lib/processes";
import { disconnectRegistry } from "../../registry/disconnectRegistry";
import { run } from "../../lib/run";
import { progress } from "../../lib/step";

/** What of a cluster's input says what there is to remove. */
type Removed = Pick<KindClusterInput, "name" | "owner" | "kubeconfigFile" | "mergeKubeconfigFile">;

/**
 * Removes the owner's cluster with all that it left: containers, volumes, network, kubeconfig. Nothing there is fine. What cannot
 * be removed keeps nothing else from going, and is named in the end.
 */
export async function removeCluster(input: Removed): Promise<void> {
    const existing = await containers(`label=${clusterLabel}=${input.name}`);
    if (!isOurs(existing, input.owner)) {
        progress(`cluster "${input.name}" is not of ${describeOwner(input.owner)}: left alone`);
        return;
    }
    const left: string[] = [];
    const attempt = async (what: string, act: () => Promise<void>) => {
        await act().catch((error: unknown) => left.push(`${what}: ${messageOf(error)}`));
    };
    let waited = false;
    await attempt("a kind that is still at it", async () => {
        waited = await endOrphans(input);
    });
    if (waited && !isOurs(await containers(`label=${clusterLabel}=${input.name}`), input.owner)) {
        progress(`cluster "${input.name}" is not of ${describeOwner(input.owner)} by now: left alone`);
        return;
    }
    const volumes = existing.flatMap(({ Mounts }) =>
        Mounts.filter(({ Type }) => Type === "volume").map(({ Name }) => Name ?? ""),
    );
    if (existing.length > 0 || input.mergeKubeconfigFile !== undefined) {
        const { mergeKubeconfigFile } = input;
        const merged = mergeKubeconfigFile === undefined ? "" : ` and its context in ${mergeKubeconfigFile}`;
        await attempt(`its containers${merged}`, async () => {
            try {
                await deleteByKind(input);
            } catch (error) {
                // Docker on a busy machine gives up on a container that is slow to die; it is dead by the second time.
                progress(`trying again: ${messageOf(error)}`);
                await deleteByKind(input);
            }
        });
    }
    await attempt("its volumes", () => removeVolumes(volumes));
    await attempt("its network", () => removeUnusedNetwork(networkOf(existing), input.name));
    await attempt(input.kubeconfigFile, () =>
        removeAdminKubeconfig(kindFile(input.name, input.kubeconfigFile)),
    );
    if (left.length > 0) {
        throw new StepError(
            `KindCluster "${input.name}": all that could be removed is; what may be left, mend it and run this again:\n` +
                left.map((line) => `- ${line}`).join("\n"),
        );
    }
}

/** Fails where a cluster is not the owner's. What was made before there were claims is, once this claim's own step has taken it over. */
export async function checkOurs(name: string, cluster: Container[], owner: string): Promise<void> {
    if (isOurs(cluster, owner)) return;
    const claim = currentClaim();
    const made = claim === undefined ? [] : await entries(claim);
    const tookOver = made.some(
        ({ undo, input, output }) =>
            undo === "deleteKindCluster" && output !== undefined && (input as Partial<Removed>).name === name,
    );
    if (!tookOver) throw new StepError(notOurs(name, cluster, owner));
}

/** Whether a command line is a kind's that a step of ours started to create that cluster: nobody else's, and no other tool's. */
export function isOurKind(argv: string[], name: string): boolean {
    return (
        isKind(argv, "create", "cluster", `--name=${name}`, "--config=-") && argv.some(isPrivateKubeconfig)
    );
}

/** Whether a command line is a kind's that a step of ours started to delete that cluster. */
export function isOurKindDelete(
    argv: string[],
    { name, mergeKubeconfigFile }: Pick<Removed, "name" | "mergeKubeconfigFile">,
): boolean {
    const merged =
        mergeKubeconfigFile === undefined ? undefined : `--kubeconfig=${expandHome(mergeKubeconfigFile)}`;
    return (
        isKind(argv, "delete", "cluster", `--name=${name}`) &&
        argv.some((argument) => argument === merged || isPrivateKubeconfig(argument))
    );
}

const isPrivateKubeconfig = (argument: string) =>
    argument.startsWith("--kubeconfig=") && isPrivateFile(argument);

function isKind(argv: string[], ...words: string[]): boolean {
    return (
        // A script stands behind its interpreter.
        argv.slice(0, 2).some((argument) => basename(argument) === "kind") &&
        words.every((word) => argv.includes(word))
    );
}

/** How long kind may take to delete a cluster, in seconds. */
const deleteSeconds = 120;

/** Waits for a kind that outlived its killed step: it would take what is made next. Ended, it would leave a part of a cluster. */
export async function untilDeleted(input: Pick<Removed, "name" | "mergeKubeconfigFile">): Promise<boolean> {
    const deleting = processesThat((argv) => isOurKindDelete(argv, input));
    await untilGone(deleting, {
        ...{ component: "KindCluster", name: input.name, program: "kind", doing: "deleting" },
        ...{ seconds: deleteSeconds, look: "see that Docker answers" },
    });
    return deleting.length > 0;
}

/**
 * Ends or waits for a kind that outlived its killed step: once it fails, one that creates would take away the nodes of the cluster that is
 * made next. Tells whether there was any.
 */
async function endOrphans(input: Removed): Promise<boolean> {
    const orphans = processesThat((argv) => isOurKind(argv, input.name));
    for (const orphan of orphans) {
        progress(
            `kind (process ${orphan.pid}) of an earlier run is still creating cluster "${input.name}": ended`,
        );
        await endProcess(orphan, 5);
    }
    return (await untilDeleted(input)) || orphans.length > 0;
}

async function deleteByKind(input: Removed): Promise<void> {
    // kind takes the context out of the file that it is told of; without a file of its own it would be the user's.
    await withPrivateFile(undefined, async (noFile) => {
        const file = input.mergeKubeconfigFile === undefined ? noFile : expandHome(input.mergeKubeconfigFile);
        await run(["kind", "delete", "cluster", `--name=${input.name}`, `--kubeconfig=${file}`], {
            env: kindEnvironment,
            timeoutSeconds: deleteSeconds,
            onLine: (line) => {
                const text = progressOf(line);
                if (text) progress(text);
            },
        });
    });
}

/** kind removes a node's anonymous volumes with it; an interrupted removal may have left some. */
async function removeVolumes(names: string[]): Promise<void> {
    if (names.length === 0) return;
    const left = (await run(["docker", "volume", "ls", "--quiet"], { timeoutSeconds: 30 })).stdout.split(
        "\n",
    );
    const ours = names.filter((name) => left.includes(name));
    if (ours.length > 0) await run(["docker", "volume", "rm", ...ours], { timeoutSeconds: 60 });
}

/** Takes registries off the network that were put there for the cluster: where the whole stack goes, they may be left to the claim's end. */
async function takeOff(network: string, clusterName: string): Promise<boolean> {
    const claim = currentClaim();
    const connections = (claim === undefined ? [] : await entries(claim))
        .filter(({ undo }) => undo === "disconnectRegistry")
        .map(({ input }) => input as ConnectRegistryInput)
        .filter((input) => input.network === network && input.clusterName === clusterName);
    for (const connection of connections) await disconnectRegistry(connection);
    return connections.length > 0;
}

/** kind makes its network and never removes it. A stopped container, another cluster's say, still needs it. */
async function removeUnusedNetwork(name: string, clusterName: string): Promise<void> {
    if (name === "bridge" || name === "host" || name === "none") return;
    const [found, users] = await Promise.all([network(name), containersOn(name)]);
    if (!found) return;
    if (users.length > 0 && (!(await takeOff(name, clusterName)) || (await containersOn(name)).length > 0))
        return;
    if (!isKinds(found)) {
        progress(`Docker network ${name} stays: kind did not make it`);
        return;
    }
    // Another cluster may have come to it meanwhile: Docker refuses then, rightly.
    const removed = await run(["docker", "network", "rm", name], { timeoutSeconds: 30, allowFailure: true });
    progress(
        removed.exitCode === 0
            ? `Removed Docker network ${name}`
            : `Docker network ${name} stays: ${removed.stderr.trim()}`,
    );
}
