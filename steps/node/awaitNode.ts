import type { AwaitNodeInput, AwaitNodeOutput } from "../contract";
import { agentFiles, checkAgent, logOf, whileAgentLives } from "./agent";
import { StepError } from "../lib/errors";
import { withKube } from "../lib/kube/kube";
import { describeConditions, isReady, type KubeNode } from "./nodeReady";
import { nodeName, object, optional, processId, seconds, text } from "../lib/schema";
import { progress, step } from "../lib/step";

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
            `KrustletNode "${name}": not Ready within timeoutSeconds ${timeoutSeconds}: ${describeConditions(last)}\n${logOf(files, record)}`,
        );
    }
    progress(`node "${name}" is Ready`);
    return {
        nodeName: name,
        hostname: ready.metadata.labels?.["kubernetes.io/hostname"] ?? name,
        kubeletVersion: ready.status?.nodeInfo?.kubeletVersion ?? "unknown",
    };
}

step(module, "awaitNode", input, awaitNode);
