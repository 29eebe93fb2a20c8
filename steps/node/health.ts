import type { NodeInput } from "../contract";
import type { AgentFiles, AgentRecord } from "./agent";
import { hasCertificate } from "./certificates/certificates";
import { clusterOf, lookInto } from "../lib/kube/kube";
import type { KubeNode } from "./nodeReady";

/**
 * What a running agent suffers from that it does not mend by itself, and that starting it again does; undefined: nothing, or nothing that
 * can be told, for a cluster that does not answer is a matter of its own.
 */
export async function faultOf(
    { kubeconfigFile, nodeName }: Pick<NodeInput, "kubeconfigFile" | "nodeName">,
    files: AgentFiles,
    { joined }: AgentRecord,
): Promise<string | undefined> {
    if (!joined) return undefined;
    const answer = await lookInto(kubeconfigFile, async (kube) => {
        const { certificateAuthorityData } = await clusterOf(kubeconfigFile);
        const authority = Buffer.from(certificateAuthorityData, "base64").toString("utf8");
        if (!(await hasCertificate("client", files, { nodeName }, authority)))
            return "has no valid certificate of this cluster any more";
        const node = await kube.find<KubeNode>(`/api/v1/nodes/${nodeName}`);
        return node === undefined ? "runs, but its Node is not in the cluster" : silence(node);
    });
    return answer?.seen;
}

/** What the cluster says of a node that it has not heard of for longer than it lets pass, some 40 seconds. */
function silence({ status }: KubeNode): string | undefined {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    return ready?.status === "Unknown"
        ? `runs, but the cluster has not heard of it since ${ready.lastHeartbeatTime ?? "it joined"}`
        : undefined;
}
