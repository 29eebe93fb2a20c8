import { describeOwner, isOf } from "../lib/claim";
import { rm } from "node:fs/promises";
import { agentFiles, endAgents, nodeInput } from "./agent";
import { approverFiles, endApprovers } from "./certificates/approverFiles";
import { ownerOf } from "./folder";
import { ifClusterAnswers, type Kube } from "../lib/kube/kube";
import { stored, type Of } from "../lib/schema";
import { progress, step } from "../lib/step";

const needed = stored(nodeInput, "kubeconfigFile", "owner", "nodeName", "stateDir");

/** Ends the node's agent (and an approver that an ended run left), deletes its Node object and lease, and removes its folder. */
export async function stopNode(input: Of<typeof needed>): Promise<Record<string, never>> {
    const files = agentFiles(input.stateDir);
    const whose = await ownerOf(files.stateDir);
    if (whose !== undefined && (!isOf(whose.owner, input.owner) || whose.nodeName !== input.nodeName)) {
        progress(
            `${files.stateDir} is of node "${whose.nodeName}" of ${describeOwner(whose.owner)}: left alone`,
        );
        return {};
    }
    // First the agent, or it would make its Node anew.
    if (whose !== undefined) {
        await Promise.all([
            endAgents(files, progress),
            endApprovers(approverFiles(input.stateDir), progress),
        ]);
    }
    await ifClusterAnswers(input.kubeconfigFile, (kube) => deleteNode(kube, input.nodeName), progress);
    if (whose !== undefined) await rm(files.stateDir, { recursive: true, force: true });
    return {};
}

async function deleteNode(kube: Kube, name: string): Promise<void> {
    const node = await kube.find<{ metadata: { labels?: Record<string, string> } }>(`/api/v1/nodes/${name}`);
    if (node === undefined) return;
    if (node.metadata.labels?.["kubernetes.io/arch"] !== "wasm32-wasi") {
        progress(`node "${name}" of the cluster is no Wasm node: left alone`);
        return;
    }
    await Promise.all([
        kube.delete(`/api/v1/nodes/${name}`),
        kube.delete(`/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${name}`),
    ]);
    progress(`Node "${name}" and its lease were deleted`);
}

step(module, "stopNode", needed, stopNode);
