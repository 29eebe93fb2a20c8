// The serving certificates of kind's own kubelets: what is known of who may have them.
import { X509Certificate } from "node:crypto";
import type { KubeletApprovalInput } from "../contract";
import { isUndecided, type CertificateSigningRequest } from "../node/certificates/certificateRequests";
import { holds } from "../node/certificates/certificates";
import type { Decision } from "../node/certificates/deciding";
import type { Container } from "../lib/docker";
import { networkOf, nodeContainers, nodeNameOf } from "./kind/kind";
import { boolean, clusterName, object, optional, owner, seconds, text } from "../lib/schema";

/** Who signs the serving certificates of kubelets. */
export const servingSigner = "kubernetes.io/kubelet-serving";

/** Input of approveKubeletCertificates. */
export const kubeletApprovalInput = object<KubeletApprovalInput>({
    kubeconfigFile: text,
    clusterName,
    owner,
    verifyKubelets: optional(boolean),
    timeoutSeconds: seconds,
    because: optional(text),
    clusterBecause: optional(text),
});

/** A node of a kind cluster, as Docker tells of it. */
export interface KindNode {
    /** Name of the container, which is the node's too. */
    name: string;
    /** Id of the container. */
    container: string;
    /** IPv4 address on the cluster's network. */
    address: string;
}

/** What is read in a node's container of the kubelet that runs there. */
export interface KubeletFacts {
    /** Certificates (PEM) by which the API server knows it. */
    clientCertificates: string[];
    /** Start of its process, in milliseconds since 1970; undefined: none runs. */
    startedAt: number | undefined;
}

/** The nodes that a cluster's containers are: all but kind's load balancer. Throws when Docker does not tell enough of one. */
export function kindNodes(cluster: Container[]): KindNode[] {
    return nodeContainers(cluster).map((container) => {
        const name = nodeNameOf(container);
        const network = networkOf([container]);
        const address = container.NetworkSettings.Networks[network]?.IPAddress;
        if (!address)
            throw new Error(
                `container ${name}: it must have an IPv4 address on Docker's network ${network}, and has none`,
            );
        return { name, container: container.Id, address };
    });
}

/**
 * Start of a process (milliseconds since 1970), by its line in /proc/<pid>/stat, the text of /proc/uptime, and the time then.
 * Undefined when there is no such process.
 */
export function startOf(processStat: string, uptime: string, now: number): number | undefined {
    // The 20th field of what follows the program's name, which may hold anything: hundredths of a second since the machine's start.
    const ticks = processStat.slice(processStat.lastIndexOf(")") + 2).split(" ")[19];
    const seconds = /^([\d.]+) /.exec(uptime)?.[1];
    if (!/^\d+$/.test(ticks ?? "") || seconds === undefined) return undefined;
    return Math.round(now - Number(seconds) * 1000 + Number(ticks) * 10);
}

/** Whether a kubelet asked for a serving certificate, by its own credential, and nobody has decided on it. */
export function awaitsServing(request: CertificateSigningRequest, nodeName: string): boolean {
    const { signerName, username } = request.spec;
    return signerName === servingSigner && username === `system:node:${nodeName}` && isUndecided(request);
}

/** Those of the nodes that a request may be for: its requester's, or any where that is none of them. */
export function nodesOf(username: string | undefined, nodes: KindNode[]): KindNode[] {
    const own = nodes.filter(({ name }) => username === `system:node:${name}`);
    return own.length > 0 ? own : nodes;
}

/**
 * How the denial of a request is told. One that the node's own kubelet filed (by its credential) before it was started anew has
 * nothing else against it: each creation of a cluster has such a request, for kubeadm restarts the kubelet.
 */
export function denialNote(
    request: string,
    node: KindNode,
    { outOfDate, reasons }: Pick<Decision, "outOfDate" | "reasons">,
): string {
    return outOfDate
        ? `certificate request ${request} of kubelet ${node.name} is out of date and denied, as usual when a cluster is made: ` +
              "kubeadm has restarted the kubelet since, which asks again with a new key"
        : `certificate request ${request} is denied: ${reasons.join("; ")}`;
}

/** Every certificate in a text of PEM blocks. */
export function certificatesIn(text: string): string[] {
    return text.match(/-----BEGIN CERTIFICATE-----\n[A-Za-z0-9+/=\n]+-----END CERTIFICATE-----/g) ?? [];
}

/** Whether a certificate (PEM) lets the API server know the node, by its name and its address. */
export function servesAs(certificate: string, node: KindNode, authorityPem: string): boolean {
    if (!holds(certificate, authorityPem)) return false;
    const leaf = new X509Certificate(certificate);
    return leaf.checkIP(node.address) !== undefined && leaf.checkHost(node.name) !== undefined;
}
