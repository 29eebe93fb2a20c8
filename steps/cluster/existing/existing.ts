import type { CopyKubeconfigInput, FindClusterInput, FindClusterOutput, WorkloadPlace } from "../../contract";
import { WorkloadKind } from "../../workload/contract";
import { boolean, dnsLabel, ipv4, list, object, oneOf, optional, sha256Hex, text } from "../../lib/schema";
import type { AdminKubeconfig } from "../adminKubeconfig";

export const findClusterFields = {
    kubeconfigFile: text,
    context: text,
    nodeAddress: optional(ipv4),
    workloads: list(
        object<WorkloadPlace>({
            kind: oneOf(Object.values(WorkloadKind)),
            namespace: dnsLabel,
            service: optional(boolean),
        }),
    ),
    pullSecretNamespaces: list(dnsLabel),
};

/** Input of findCluster. */
export const findClusterInput = object<FindClusterInput>(findClusterFields);

/** Input of copyKubeconfig and removeKubeconfig. */
export const copyKubeconfigInput = object<CopyKubeconfigInput>({
    source: text,
    context: text,
    kubeconfigFile: text,
    found: object<FindClusterOutput>({
        server: text,
        kubernetesVersion: text,
        network: optional(text),
        nodeAddress: ipv4,
        identity: text,
        kubeconfigDigest: sha256Hex,
    }),
});

/** The stack's own file of the cluster's kubeconfig. */
export function ownFile({
    context,
    kubeconfigFile,
}: Pick<CopyKubeconfigInput, "context" | "kubeconfigFile">): AdminKubeconfig {
    return { argument: "ExistingCluster.copyFile", entryName: context, kubeconfigFile };
}
