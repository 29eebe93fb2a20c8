import { isOf } from "../lib/claim";
import { rm } from "node:fs/promises";
import { dirname } from "node:path";
import { agentFiles, runningAgents } from "./agent/agent";
import { bootstrapTokenInput, revokeTokens } from "./bootstrap";
import { expandHome } from "../lib/files";
import { ownerOf } from "./folder";
import { ifClusterAnswers } from "../lib/kube/kube";
import { stored, type Of } from "../lib/schema";
import { progress, step } from "../lib/step";

const needed = stored(bootstrapTokenInput, "kubeconfigFile", "owner", "nodeName", "file");

/** Revokes the node's tokens and removes its bootstrap kubeconfig. */
export async function deleteBootstrapToken(input: Of<typeof needed>): Promise<Record<string, never>> {
    await ifClusterAnswers(input.kubeconfigFile, (kube) => revokeTokens(kube, input), progress);
    // The file goes though the cluster may not have answered.
    const file = expandHome(input.file);
    const whose = await ownerOf(dirname(file));
    if (whose !== undefined && isOf(whose.owner, input.owner) && whose.nodeName === input.nodeName) {
        await rm(file, { force: true });
        // A node that never came to run left its log, and nobody else would remove it.
        if (runningAgents(agentFiles(dirname(file))).length === 0)
            await rm(dirname(file), { recursive: true, force: true });
    }
    return {};
}

step(module, "deleteBootstrapToken", needed, deleteBootstrapToken);
