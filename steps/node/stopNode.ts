import { currentClaim, describeOwner, isOf } from "../lib/claim";
import { rm } from "node:fs/promises";
import { agentFiles, endAgents, nodeInput, readRecord, runningAgents, type AgentFiles } from "./agent/agent";
import { runs } from "./daemon/daemon";
import { removeUnusedImages } from "./daemon/image";
import { drain, removePodsOf } from "./drain";
import { forgetRequests } from "./certificates/certificateRequests";
import { approverFiles, endApprovers } from "./certificates/approverFiles";
import { ownerOf } from "./folder";
import { ifClusterAnswers, KubeError, type Kube } from "../lib/kube/kube";
import { entries, markUndone } from "../lib/journal";
import { stored, type Of } from "../lib/schema";
import { progress, step } from "../lib/step";

const needed = stored(nodeInput, "kubeconfigFile", "owner", "nodeName", "stateDir", "drainTimeoutSeconds");

/** How long pods may take to leave a node that says nothing of it, in seconds. */
const drainSeconds = 60;

/**
 * Takes the pods of the node away, ends its agent (and an approver that an ended run left), deletes its Node object and lease, and
 * removes its folder.
 */
export async function stopNode(input: Of<typeof needed>): Promise<Record<string, never>> {
    const { kubeconfigFile, nodeName: name, drainTimeoutSeconds = drainSeconds } = input;
    const files = agentFiles(input.stateDir);
    const record = await readRecord(files);
    const whose = await ownerOf(files.stateDir);
    if (whose !== undefined && (!isOf(whose.owner, input.owner) || whose.nodeName !== name)) {
        progress(
            `${files.stateDir} is of node "${whose.nodeName}" of ${describeOwner(whose.owner)}: left alone`,
        );
        return {};
    }
    // Without its agent no pod of it would end.
    const doesRun = whose !== undefined && (await isRunning(files));
    const drained = (kube: Kube) =>
        ifAllowed("drained", name, drain(kube, name, drainTimeoutSeconds, progress));
    const answers = !doesRun || (await inCluster(kubeconfigFile, name, drained));
    // First the agent, or it would make its Node anew.
    if (whose !== undefined) {
        await Promise.all([
            endAgents(files, progress),
            endApprovers(approverFiles(input.stateDir), progress),
        ]);
        await forgetApprover(input.stateDir);
    }
    if (answers && whose !== undefined) await forgetRequests(kubeconfigFile, files);
    if (answers) await inCluster(kubeconfigFile, name, (kube) => deleteNode(kube, name));
    if (whose === undefined) return {};
    await rm(files.stateDir, { recursive: true, force: true });
    if (record?.container !== undefined) await removeUnusedImages();
    return {};
}

/** Forgets the approver of a node's folder, whose own end the engine leaves out where the node goes. */
async function forgetApprover(stateDir: string): Promise<void> {
    const claim = currentClaim();
    if (claim === undefined) return;
    for (const entry of await entries(claim)) {
        const { undo, input } = entry;
        const isIts = undo === "stopApprover" && "stateDir" in input && input.stateDir === stateDir;
        if (isIts) await markUndone(claim, entry);
    }
}

/** Whether any agent of the node's runs: as a process, or where only Docker sees it. */
async function isRunning(files: AgentFiles): Promise<boolean> {
    if (runningAgents(files).length > 0) return true;
    const record = await readRecord(files);
    return record?.container !== undefined && (await runs(record));
}

/** Does something about the node where the cluster answers, and has a Wasm node of that name. Returns whether it answers. */
function inCluster(
    kubeconfigFile: string,
    name: string,
    act: (kube: Kube) => Promise<void>,
): Promise<boolean> {
    return ifClusterAnswers(
        kubeconfigFile,
        async (kube) => {
            const path = `/api/v1/nodes/${name}`;
            const node = await kube.find<{ metadata: { labels?: Record<string, string> } }>(path);
            if (node === undefined) return;
            if (node.metadata.labels?.["kubernetes.io/arch"] === "wasm32-wasi") return act(kube);
            progress(`node "${name}" of the cluster is no Wasm node: left alone`);
        },
        progress,
    );
}

async function deleteNode(kube: Kube, name: string): Promise<void> {
    await Promise.all([
        kube.delete(`/api/v1/nodes/${name}`),
        kube.delete(`/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${name}`),
    ]);
    await ifAllowed("rid of its pods", name, removePodsOf(kube, name));
    progress(`Node "${name}" and its lease were deleted`);
}

/** A kubeconfig that may remove the node need not be one that may do as much with pods: that keeps nobody from removing it. */
async function ifAllowed(what: string, name: string, done: Promise<void>): Promise<void> {
    try {
        await done;
    } catch (error) {
        if (!(error instanceof KubeError && error.reason === "Forbidden")) throw error;
        progress(`node "${name}" is not ${what}: ${error.message}`);
    }
}

step(module, "stopNode", needed, stopNode);
