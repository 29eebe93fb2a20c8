import type { AwaitNodeInput, AwaitNodeOutput } from "../contract";
import { agentFiles, checkAgent, logOf, whileAgentLives } from "./agent/agent";
import { StepError } from "../lib/errors";
import { KubeError, withKube, type Kube } from "../lib/kube/kube";
import { describeConditions, isReady, pressureOf, type KubeNode } from "./nodeReady";
import { nodeName, object, optional, processId, seconds, text } from "../lib/schema";
import { pause, progress, step } from "../lib/step";

const input = object<AwaitNodeInput>({
    kubeconfigFile: text,
    nodeName,
    stateDir: text,
    timeoutSeconds: seconds,
    agentPid: optional(processId),
});

/** Waits until the node is Ready by word of the agent that runs now, not of an earlier one. */
export async function awaitNode({
    kubeconfigFile,
    nodeName: name,
    stateDir,
    timeoutSeconds,
}: AwaitNodeInput): Promise<AwaitNodeOutput> {
    const files = agentFiles(stateDir);
    const { launchedAt } = await checkAgent(files, name);
    let last: KubeNode | undefined;
    const ready = await withKube(kubeconfigFile, (kube) =>
        whileAgentLives(files, name, (signal) =>
            kube.watch<KubeNode, KubeNode>(
                `/api/v1/nodes?fieldSelector=metadata.name%3D${name}`,
                timeoutSeconds,
                ({ object: node }) => {
                    last = node;
                    return Promise.resolve(isReady(node, launchedAt) ? node : undefined);
                },
                signal,
            ),
        ),
    );
    if (ready === undefined) {
        const record = await checkAgent(files, name);
        throw new StepError(
            `KrustletNode "${name}": not Ready within timeoutSeconds ${timeoutSeconds}: ${describeConditions(last)}\n${await logOf(files, record)}`,
        );
    }
    await withKube(kubeconfigFile, (kube) => checkReached(kube, name), requestSeconds);
    progress([`node "${name}" is Ready`, pressureOf(ready)].filter(Boolean).join("; "));
    return {
        nodeName: name,
        hostname: ready.metadata.labels?.["kubernetes.io/hostname"] ?? name,
        kubeletVersion: ready.status?.nodeInfo?.kubeletVersion ?? "unknown",
    };
}

/** How long the API server may take to reach the node, and how long that is tried, in seconds: it may yet have to learn where that is. */
const requestSeconds = 3;
const tryingSeconds = 8;

/** Makes sure that the API server reaches the node, as it does for each `kubectl logs`: a firewall may be in between. */
async function checkReached(kube: Kube, name: string): Promise<void> {
    const deadline = Date.now() + tryingSeconds * 1000;
    for (;;) {
        try {
            await kube.getText(`/api/v1/nodes/${name}/proxy/healthz`);
            return;
        } catch (error) {
            if (!(error instanceof KubeError)) throw error;
            // Not everybody who may make pods may ask for that; then the first `kubectl logs` tells.
            if (error.reason === "Forbidden") return;
            if (Date.now() > deadline) {
                throw new StepError(
                    `KrustletNode "${name}": it is Ready, but the cluster's API server does not reach it (${error.message}), and no log could be read; ` +
                        "let the cluster's network through to the node's address and port (a firewall on this host?), or give nodeIp an " +
                        "address of this host that the cluster's own nodes reach",
                );
            }
            await pause(250);
        }
    }
}

step(module, "awaitNode", input, awaitNode);
