import type { KindClusterInput } from "../contract";
import { dockerHost } from "../lib/docker";
import { kindClusterInput } from "./kind";
import { removeCluster } from "./kindCluster";
import { step } from "../lib/step";

/** Removes the cluster, if it is this owner's, with its volumes, its network, its kubeconfig file and its merged context. */
export async function deleteKindCluster(input: KindClusterInput): Promise<Record<string, never>> {
    await dockerHost();
    await removeCluster(input);
    return {};
}

step(module, "deleteKindCluster", kindClusterInput, deleteKindCluster);
