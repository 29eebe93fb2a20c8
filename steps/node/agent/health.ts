import type { NodeInput } from "../../contract";
import type { AgentFiles, AgentRecord } from "./agent";
import { hasCertificate } from "../certificates/certificates";
import { clusterOf, lookInto } from "../../lib/kube/kube";
import type { KubeNode } from "../nodeReady";

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
        // One that was deleted its agent makes anew.
        return node && silence(node);
    });
    return answer?.seen;
}

/** For how long a node must have been NotReady before its agent is taken to hang: three heartbeats, in milliseconds. */
const settlingMilliseconds = 30_000;

/** What the cluster says of a node that it has not heard of for longer than it lets pass, some 40 seconds. */
export function silence({ status }: KubeNode, now = Date.now()): string | undefined {
    const ready = status?.conditions?.find(({ type }) => type === "Ready");
    if (ready?.status !== "Unknown") return undefined;
    // A cluster that has just gone on, or been started, says so of every node until its next heartbeat.
    if (now - Date.parse(ready.lastTransitionTime ?? "") < settlingMilliseconds) return undefined;
    return `runs, but the cluster has not heard of it since ${ready.lastHeartbeatTime ?? "it joined"}`;
}
