// The serving certificates of kind's own kubelets: what their requests must be.
import { createHash, X509Certificate } from "node:crypto";
import type { KubeletApprovalInput } from "../contract";
import {
    decide,
    printable,
    signers,
    type CertificateSigningRequest,
    type Decision,
} from "../node/certificates/approval";
import { holds } from "../node/certificates/certificates";
import type { ParsedRequest } from "../node/certificates/csr";
import type { Container } from "../lib/docker";
import { networkOf, nodeContainers, nodeNameOf } from "./kind";
import { boolean, clusterName, object, optional, owner, seconds, text } from "../lib/schema";

/** Input of approveKubeletCertificates. */
export const kubeletApprovalInput = object<KubeletApprovalInput>({
    kubeconfigFile: text,
    clusterName,
    owner,
    verifyKubelets: optional(boolean),
    timeoutSeconds: seconds,
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

/** Whether it is such a node's request for a serving certificate, rightly or not. */
export function asksToServeAs(
    csr: CertificateSigningRequest,
    parsed: ParsedRequest | Error,
    name: string,
): boolean {
    const user = `system:node:${name}`;
    const inSubject =
        !(parsed instanceof Error) &&
        parsed.subject.some(({ attribute, value }) => attribute === "CN" && value === user);
    return csr.spec.signerName === signers.serving && (csr.spec.username === user || inSubject);
}

/** Key of a requester's `extra` in which the API server (1.32 and later) says by which very credential it knew the requester. */
const credentialId = "authentication.kubernetes.io/credential-id";

/** What `credentialId` says of a client certificate (PEM). */
export function credentialOf(certificate: string): string {
    const sha256 = createHash("sha256").update(new X509Certificate(certificate).raw).digest("hex");
    return `X509SHA256=${sha256}`;
}

/** The time that a request bears is cut off to whole seconds. */
const precisionMilliseconds = 1000;

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

/**
 * Decides on a kubelet's request for a serving certificate. Pure. All is checked as for a Krustlet node, but for the key: a
 * kubelet keeps that in memory until it has its certificate, and hands nothing over. In its place stand the credential that the
 * request was filed with, which must be one that lies in the node's own container (whoever has its key is root there), and
 * the time: the kubelet that runs must have been there already, for one that was started since has made another key.
 */
export function decideForKubelet(
    csr: CertificateSigningRequest,
    parsed: ParsedRequest | Error,
    node: KindNode,
    { clientCertificates, startedAt }: KubeletFacts,
): Decision {
    const expected = {
        nodeName: node.name,
        // kind gives its kubelets their IPv4 address as --node-ip: on a network that has IPv6 too, they name no other.
        nodeIp: node.address,
        // No kubelet of kind's joins by a token of ours, and a client certificate is none of our business.
        bootstrapGroup: "",
        bootstrapUsername: undefined,
        publicKeys: {
            client: undefined,
            serving: parsed instanceof Error ? undefined : parsed.publicKey,
        },
        launchedAt: startedAt ?? Infinity,
        // kind leaves the life of it to the signer; and a Node of this name is what it should be.
        durationSeconds: undefined,
        nodeTaken: false,
    };
    const decision = decide(csr, parsed, expected);
    const given = credentialsIn(csr.spec.extra);
    const own = clientCertificates.map(credentialOf);
    const created = Date.parse(csr.metadata.creationTimestamp ?? "");
    const reasons = [
        ...(decision.verdict === "refuse" ? decision.reasons : []),
        ...(given.length === 1 && own.includes(given[0])
            ? []
            : [
                  `it was filed with credential ${printable(given.join(", ")) || "unknown"}, not with one that the kubelet of ${node.name} holds`,
              ]),
        ...(startedAt !== undefined && created + precisionMilliseconds > startedAt
            ? []
            : [startedSince(node)]),
    ];
    return reasons.length > 0 ? { verdict: "refuse", purpose: decision.purpose, reasons } : decision;
}

/** Why a request is denied whose kubelet has gone: the one that runs now has another key, and files a request of its own. */
function startedSince(node: KindNode): string {
    return `the kubelet that runs on ${node.name} was started after it was filed`;
}

/**
 * How the denial of a request is told. One that the node's own kubelet filed (by its credential) before it was started anew has
 * nothing else against it: each creation of a cluster has such a request, for kubeadm restarts the kubelet.
 */
export function denialNote(request: string, node: KindNode, reasons: string[]): string {
    return reasons.length === 1 && reasons[0] === startedSince(node)
        ? `certificate request ${request} of kubelet ${node.name} is out of date and denied, as usual when a cluster is made: ` +
              "kubeadm has restarted the kubelet since, which asks again with a new key"
        : `certificate request ${request} is denied: ${reasons.join("; ")}`;
}

function credentialsIn(extra: unknown): string[] {
    if (typeof extra !== "object" || extra === null) return [];
    const values: unknown = (extra as Record<string, unknown>)[credentialId];
    return Array.isArray(values) ? values.map(String) : [];
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
