import { readFileSync } from "node:fs";
import { hostname, release } from "node:os";
import type { ClusterOutput, KindClusterInput } from "../contract";
import {
    checkAdminKubeconfig,
    kindFile,
    kindEnvironment,
    kubeconfigOf,
    writeAdminKubeconfig,
} from "./adminKubeconfig";
import { knownToState } from "../lib/claim";
import { containers, needDaemon, standsStill, startAgain, type Container } from "../lib/docker";
import { messageOf, StepError } from "../lib/errors";
import { needTools } from "../lib/programs/programs";
import { expandHome, readOptional, withPrivateFile } from "../lib/files";
import { removeCluster, untilDeleted } from "./kind/kindCluster";
import * as kind from "./kind/kind";
import { controlPlaneOf, describe, passes, patiently } from "./kind/kindFacts";
import { untilTakesPods } from "./serverFacts";
import { run, RunError } from "../lib/run";
import { orUndo, progress, step, stopIfEnding } from "../lib/step";

/**
 * A kind cluster that answers and whose node is Ready, and the file of its admin kubeconfig. One that this owner made before is
 * adopted, and started if it stands still; one that an ended run left half made is made anew; anybody else's is refused.
 */
export async function createKindCluster(input: KindClusterInput): Promise<ClusterOutput> {
    await needTools("docker", "kind");
    await untilDeleted(input);
    stopIfEnding();
    const listed = containers(`label=${kind.clusterLabel}=${input.name}`);
    // When no daemon answers, needDaemon says it better.
    listed.catch(() => undefined);
    const docker = await needDaemon();
    const existing = await listed;
    const procStatus = (await readOptional("/proc/self/status")) ?? "";
    const facts = kind.hostFacts(docker, { hostname: hostname(), kernel: release(), procStatus });
    const config = kind.kindConfig(input, facts);
    if (!kind.isOurs(existing, input.owner))
        throw new StepError(kind.notOurs(input.name, existing, input.owner));
    await checkAdminKubeconfig(kindFile(input.name, input.kubeconfigFile));

    if (existing.length > 0) {
        const found = kind.controlPlane(existing);
        const whole = found !== undefined && (await isWhole(found));
        // What the state knows was made to its end, and is a user's: only its own deletion ends it.
        if (whole && (kind.isMadeFrom(existing, config) || knownToState())) return adopt(input, existing);
        if (knownToState()) throw new StepError(broken(input.name));
        progress(
            `a run that ended left cluster "${input.name}" half made, or made otherwise: making it anew`,
        );
        await removeCluster(input);
    }
    return orUndo(
        () => make(input, config),
        () => removeCluster(input),
    );
}

/** Whether a cluster was made to its end, as its control plane tells, running or not. Anything else that keeps Docker from telling is an error. */
async function isWhole({ Id, Name }: Container): Promise<boolean> {
    const found = await run(["docker", "cp", `${Id}:${kind.completeMark}`, "-"], {
        timeoutSeconds: 30,
        allowFailure: true,
    });
    if (found.exitCode === 0) return true;
    if (/could not find the file|no such file|no such container:path/i.test(found.stderr)) return false;
    throw new StepError(
        `Docker: it does not tell what is in container ${Name.slice(1)}: ${found.stderr.trim()}`,
    );
}

function broken(name: string): string {
    return (
        `KindCluster "${name}": its control plane is not one that was made to its end, though the stack knows the cluster; nothing was touched. ` +
        "Look at it with `docker ps` and `docker logs`; `npm run down`, or `pulumi destroy`, removes it"
    );
}

/**
 * The output of a cluster that was made before. What stands still is started, and it may take as long to serve again as a new one. One
 * that does not is left as it is: what is in it is its users'.
 */
async function adopt(input: KindClusterInput, found: Container[]): Promise<ClusterOutput> {
    const started = await startAll(found);
    const existing = started ? await containers(`label=${kind.clusterLabel}=${input.name}`) : found;
    try {
        return await patiently(input.waitSeconds, async () => {
            const kubeconfigFile = await keep(input, await kubeconfigOf(input.name));
            const output = await describe(input.name, kubeconfigFile, existing);
            await merge(input);
            progress(`cluster "${input.name}" is there already`);
            return output;
        });
    } catch (error) {
        if (!passes(error)) throw error;
        throw new StepError(
            `KindCluster "${input.name}": it did not serve within ${input.waitSeconds} s (${messageOf(error)}); nothing in it was touched. ` +
                `Look at \`docker logs ${kind.nodeNameOf(controlPlaneOf(existing, input.name))}\`, or raise waitSeconds if the machine is slow`,
            { cause: error },
        );
    }
}

/** Starts the containers that stand still; tells whether there were any. */
async function startAll(cluster: Container[]): Promise<boolean> {
    const stopped = cluster.filter(standsStill);
    for (const container of stopped) {
        progress(`container ${container.Name.slice(1)} stands still: started again`);
        await startAgain(container);
    }
    return stopped.length > 0;
}

async function make(input: KindClusterInput, config: string): Promise<ClusterOutput> {
    return withPrivateFile(undefined, async (temporaryFile) => {
        const argv = [
            "kind",
            "create",
            "cluster",
            `--name=${input.name}`,
            "--config=-",
            `--kubeconfig=${temporaryFile}`,
        ];
        argv.push(`--wait=${input.waitSeconds}s`, ...(input.image ? [`--image=${input.image}`] : []));
        const create = () =>
            run(argv, {
                input: config,
                env: kindEnvironment,
                timeoutSeconds: input.waitSeconds + 600,
                onLine: (line) => {
                    const text = kind.progressOf(line);
                    if (text) progress(text);
                },
            });
        try {
            await create().catch((error: unknown) => {
                if (!lostNetwork(error)) throw error;
                progress("another cluster's end has removed kind's network meanwhile: once more");
                return create();
            });
        } catch (error) {
            throw error instanceof RunError && error.result.exitCode !== 127
                ? kindFailed(input, error)
                : error;
        }
        const kubeconfigFile = await keep(input, readFileSync(temporaryFile, "utf8"));
        const cluster = await containers(`label=${kind.clusterLabel}=${input.name}`);
        const controlPlane = controlPlaneOf(cluster, input.name);
        const [output] = await Promise.all([
            // kind waits for its control plane alone.
            patiently(input.waitSeconds, () => describe(input.name, kubeconfigFile, cluster)),
            run(["docker", "exec", controlPlane.Id, "touch", kind.completeMark], { timeoutSeconds: 30 }),
            merge(input),
            untilTakesPods(`KindCluster "${input.name}"`, kubeconfigFile, input.waitSeconds),
        ]);
        return output;
    });
}

/** Whether the network that kind shares among its clusters went, with the last one of before, after kind had seen that it is there. */
export function lostNetwork(error: unknown): boolean {
    return error instanceof RunError && /network \S+ not found/.test(error.result.stderr);
}

/** kind's words on why it failed, and what to look at. */
function kindFailed(input: KindClusterInput, error: RunError): StepError {
    const output = `${error.result.stderr}\n${error.result.stdout}`.trim().split("\n").slice(-25).join("\n");
    return new StepError(
        `KindCluster "${input.name}": kind could not create it (${error.reason}); it was removed again. kind's last words:\n${output}`,
        { cause: error },
    );
}

/** Writes the cluster's admin kubeconfig into its file. */
function keep(input: KindClusterInput, text: string): Promise<string> {
    return writeAdminKubeconfig(kindFile(input.name, input.kubeconfigFile), text);
}

/** Adds the cluster to the kubeconfig file that the user named, as kind does it. */
async function merge(input: KindClusterInput): Promise<void> {
    if (input.mergeKubeconfigFile === undefined) return;
    const file = expandHome(input.mergeKubeconfigFile);
    await run(["kind", "export", "kubeconfig", "--name", input.name, "--kubeconfig", file], {
        env: kindEnvironment,
    });
}

step(module, "createKindCluster", kind.kindClusterInput, createKindCluster);
