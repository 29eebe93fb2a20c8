import { X509Certificate } from "node:crypto";
import type { AgentFiles } from "../agent/agent";
import { readOptional } from "../../lib/files";
import { userField } from "../../lib/kube/kubeconfig";

/** Which of a node's two certificates. */
export type Purpose = "client" | "serving";

/** Whether the cluster's authority signed it and it still holds, not yet in the last tenth of its life, when it is renewed. */
export function holds(pem: string, authorityPem: string, now = Date.now()): boolean {
    try {
        const [leaf, authority] = [new X509Certificate(pem), new X509Certificate(authorityPem)];
        const [start, end] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
        return (
            leaf.checkIssued(authority) && leaf.verify(authority.publicKey) && now < end - (end - start) / 10
        );
    } catch {
        return false;
    }
}

/** Whether the node holds a certificate that serves it in the cluster of that authority. */
export async function hasCertificate(
    purpose: Purpose,
    files: AgentFiles,
    node: { nodeName: string; nodeIp?: string },
    authorityPem: string,
): Promise<boolean> {
    const pem =
        purpose === "client" ? await clientCertificate(files) : await readOptional(files.servingCertificate);
    if (pem === undefined || !holds(pem, authorityPem)) return false;
    const certificate = new X509Certificate(pem);
    if (purpose === "client")
        return certificate.subject.split("\n").includes(`CN=system:node:${node.nodeName}`);
    const bearsAddress = node.nodeIp === undefined || certificate.checkIP(node.nodeIp) !== undefined;
    return bearsAddress && certificate.checkHost(node.nodeName) !== undefined;
}

/** The client certificate in the kubeconfig that the agent writes for itself. */
async function clientCertificate(files: AgentFiles): Promise<string | undefined> {
    const data = userField(await readOptional(files.kubeconfigFile), "client-certificate-data");
    return data === undefined ? undefined : Buffer.from(data, "base64").toString("utf8");
}
