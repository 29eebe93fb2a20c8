import type { ClusterOutput } from "../../contract";
import { gatewayOf, network, type Container } from "../../lib/docker";
import { StepError } from "../../lib/errors";
import { clusterOf, KubeError, withKube } from "../../lib/kube/kube";
import { RunError } from "../../lib/run";
import { pause } from "../../lib/step";
import * as kind from "./kind";
import { unready } from "../readiness";
import { serverFacts } from "../serverFacts";

/** A node of the cluster is not Ready. */
export class NotReady extends StepError {}

/** Whether a cluster that has just been started or made may be without this fault soon: it answers before it knows who may do what. */
export function passes(error: unknown): boolean {
    return (
        error instanceof NotReady ||
        error instanceof RunError ||
        (error instanceof KubeError && (error.unanswered || error.reason === "Forbidden"))
    );
}

/** Looks again and again at a cluster that has just been started or made, for so long; then what was wrong last is the error. */
export async function patiently<T>(waitSeconds: number, look: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + waitSeconds * 1000;
    for (;;) {
        try {
            return await look();
        } catch (error) {
            if (!passes(error) || Date.now() > deadline) throw error;
            await pause(500);
        }
    }
}

export function controlPlaneOf(cluster: Container[], name: string): Container {
    const found = kind.controlPlane(cluster);
    if (!found) throw new StepError(`KindCluster "${name}": it has no control plane container`);
    return found;
}

/** What the stack needs to know of a cluster. Fails when a node is not Ready: kind itself only warns of that. */
export async function describe(
    name: string,
    kubeconfigFile: string,
    cluster: Container[],
): Promise<ClusterOutput> {
    const networkName = kind.networkOf([controlPlaneOf(cluster, name)]);
    const [entry, facts, nodeAddress] = await Promise.all([
        clusterOf(kubeconfigFile),
        withKube(kubeconfigFile, serverFacts),
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
        kubernetesVersion: facts.kubernetesVersion,
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
