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
import { containers, dockerHost, gatewayOf, network, type Container } from "../lib/docker";
import { StepError } from "../lib/errors";
import { needTools } from "../lib/programs";
import { expandHome, readOptional, withPrivateFile } from "../lib/files";
import { removeCluster } from "./kindCluster";
import * as kind from "./kind";
import { unready, type ClusterNode } from "./readiness";
import { clusterOf, KubeError, withKube } from "../lib/kube";
import { run, RunError } from "../lib/run";
import { orUndo, pause, progress, step } from "../lib/step";

/**
 * A kind cluster that answers and whose node is Ready, and the file of its admin kubeconfig. One that this owner made before from the same input is adopted; one
 * that an ended run left half made, or that was made from another input, is made anew; anybody else's is refused.
 */
export async function createKindCluster(input: KindClusterInput): Promise<ClusterOutput> {
    await needTools("docker", "kind");
    const listed = containers(`label=${kind.clusterLabel}=${input.name}`);
    // When no daemon answers, dockerHost says it better.
    listed.catch(() => undefined);
    const docker = await dockerHost();
    const existing = await listed;
    const procStatus = (await readOptional("/proc/self/status")) ?? "";
    const facts = kind.hostFacts(docker, { hostname: hostname(), kernel: release(), procStatus });
    const config = kind.kindConfig(input, facts);
    if (!kind.isOurs(existing, input.owner))
        throw new StepError(kind.notOurs(input.name, existing, input.owner));
    await checkAdminKubeconfig(kindFile(input.name, input.kubeconfigFile));

    if (existing.length > 0) {
        const adopted = kind.mayAdopt(existing, config) ? await adopt(input, existing) : undefined;
        if (adopted) return adopted;
        progress(
            `cluster "${input.name}" is not whole or was made from another configuration; making it anew`,
        );
        await removeCluster(input);
    }
    return orUndo(
        () => make(input, config),
        () => removeCluster(input),
    );
}

/** How long a cluster that was whole may take to serve again, in seconds: its machine may just have been busy. */
const serveAgainSeconds = 30;

/**
 * The output of a cluster that was made before; undefined when it is not whole or serves no more. Any other failure, a tool
 * that is missing say, tells nothing of the cluster and is no reason to make it anew.
 */
async function adopt(input: KindClusterInput, existing: Container[]): Promise<ClusterOutput | undefined> {
    const controlPlane = controlPlaneOf(existing, input.name);
    const mark = await run(["docker", "exec", controlPlane.Id, "test", "-e", kind.completeMark], {
        timeoutSeconds: 15,
        allowFailure: true,
    });
    if (mark.exitCode !== 0) return undefined;
    const kubeconfigFile = await keep(input, await kubeconfigOf(input.name));
    const deadline = Date.now() + serveAgainSeconds * 1000;
    for (;;) {
        try {
            const output = await describe(input.name, kubeconfigFile, existing);
            await merge(input);
            progress(`cluster "${input.name}" is there already`);
            return output;
        } catch (error) {
            const serves = !(error instanceof NotReady || (error instanceof KubeError && error.unanswered));
            if (serves) throw error;
            if (Date.now() > deadline) {
                progress(error.message);
                return undefined;
            }
            await pause(500);
        }
    }
}

/** A node of the cluster is not Ready. */
class NotReady extends StepError {}

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
        try {
            await run(argv, {
                input: config,
                env: kindEnvironment,
                timeoutSeconds: input.waitSeconds + 600,
                onLine: (line) => {
                    const text = kind.progressOf(line);
                    if (text) progress(text);
                },
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
            describe(input.name, kubeconfigFile, cluster),
            run(["docker", "exec", controlPlane.Id, "touch", kind.completeMark], { timeoutSeconds: 30 }),
            merge(input),
        ]);
        return output;
    });
}

/** kind's words on why it failed, and what to look at. */
function kindFailed(input: KindClusterInput, error: RunError): StepError {
    const output = `${error.result.stderr}\n${error.result.stdout}`.trim().split("\n").slice(-25).join("\n");
    return new StepError(
        `KindCluster "${input.name}": kind could not create it (${error.reason}); it was removed again. kind's last words:\n${output}`,
        { cause: error },
    );
}

function controlPlaneOf(cluster: Container[], name: string): Container {
    const found = kind.controlPlane(cluster);
    if (!found) throw new StepError(`KindCluster "${name}": it has no control plane container`);
    return found;
}

/** What the stack needs to know of a cluster. Fails when a node is not Ready: kind itself only warns of that. */
async function describe(name: string, kubeconfigFile: string, cluster: Container[]): Promise<ClusterOutput> {
    const networkName = kind.networkOf([controlPlaneOf(cluster, name)]);
    const [entry, facts, nodeAddress] = await Promise.all([
        clusterOf(kubeconfigFile),
        withKube(kubeconfigFile, async (kube) => {
            const [version, system, nodes] = await Promise.all([
                kube.get<{ gitVersion: string }>("/version"),
                kube.get<{ metadata: { uid: string } }>("/api/v1/namespaces/kube-system"),
                kube.get<{ items: ClusterNode[] }>("/api/v1/nodes"),
            ]);
            return { version: version.gitVersion, identity: system.metadata.uid, nodes: nodes.items };
        }),
        gateway(networkName),
    ]);
    const fault = unready(facts.nodes, kind.nodeContainers(cluster).map(kind.nodeNameOf));
    if (fault !== undefined) {
        throw new NotReady(`KindCluster "${name}": ${fault}; raise waitSeconds if the machine is slow`);
    }
    return {
        name,
        kubeconfigFile,
        context: `kind-${name}`,
        server: entry.server,
        kubernetesVersion: facts.version,
        network: networkName,
        nodeAddress,
        identity: facts.identity,
    };
}

async function gateway(networkName: string): Promise<string> {
    const found = await network(networkName);
    if (!found) throw new StepError(`Docker: network ${networkName} is gone`);
    return gatewayOf(found);
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
