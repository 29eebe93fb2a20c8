import { needDaemon } from "../lib/docker";
import { kindClusterInput } from "./kind/kind";
import { removeCluster } from "./kind/kindCluster";
import { stored, type Of } from "../lib/schema";
import { step } from "../lib/step";

const needed = stored(kindClusterInput, "name", "owner", "kubeconfigFile", "mergeKubeconfigFile");

/** Removes the cluster, if it is this owner's, with its volumes, its network, its kubeconfig file and its merged context. */
export async function deleteKindCluster(input: Of<typeof needed>): Promise<Record<string, never>> {
    await needDaemon();
    await removeCluster(input);
    return {};
}

step(module, "deleteKindCluster", needed, deleteKindCluster);
