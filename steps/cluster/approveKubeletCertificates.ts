import { X509Certificate } from "node:crypto";
import type { KubeletApprovalInput, KubeletApprovalOutput } from "../contract";
import {
    certificateRequests,
    type CertificateSigningRequest,
} from "../node/certificates/certificateRequests";
import { decide, needApprover, sendDecision, type Decision } from "../node/certificates/deciding";
import { containers } from "../lib/docker";
import { StepError } from "../lib/errors";
import { clusterLabel } from "./kind/kind";
import { checkOurs } from "./kind/kindCluster";
import {
    awaitsServing,
    certificatesIn,
    denialNote,
    kindNodes,
    kubeletApprovalInput,
    nodesOf,
    servesAs,
    servingSigner,
    startOf,
    type KindNode,
    type KubeletFacts,
} from "./kubelets";
import { clusterOf, withKube, type Kube } from "../lib/kube/kube";
import { needTools } from "../lib/programs/programs";
import { run } from "../lib/run";
import { pause, progress, step } from "../lib/step";

/** Folder of a kubelet's keys and certificates in its container. */
const pki = "/var/lib/kubelet/pki";

/**
 * Approves the request of each of kind's own kubelets for a serving certificate, once it has passed every check, and waits
 * until the kubelet has it: what was issued must be for a key that is in that container. Any other undecided request for one in
 * that node's name is denied. A kubelet that has a certificate already is not waited for: what it asks for is decided on.
 */
export async function approveKubeletCertificates(
    input: KubeletApprovalInput,
): Promise<KubeletApprovalOutput> {
    const requests: Record<string, string | null> = {};
    if (!(input.verifyKubelets ?? true)) return { requests };
    await needTools("docker");
    const [cluster, { certificateAuthorityData }] = await Promise.all([
        containers(`label=${clusterLabel}=${input.clusterName}`),
        clusterOf(input.kubeconfigFile),
    ]);
    await checkOurs(input.clusterName, cluster, input.owner);
    const nodes = kindNodes(cluster);
    if (nodes.length === 0) throw new StepError(`KindCluster "${input.clusterName}": it has no node`);

    const authority = Buffer.from(certificateAuthorityData, "base64").toString("utf8");
    const missing: KindNode[] = [];
    for (const node of nodes) {
        if (await servingKey(node, authority)) requests[node.name] = null;
        else missing.push(node);
    }
    const approved = await withKube(input.kubeconfigFile, async (kube) => {
        const { items } = await kube.get<{ items: CertificateSigningRequest[] }>(certificateRequests);
        const asked = items.filter((request) => nodes.some(({ name }) => awaitsServing(request, name)));
        if (missing.length > 0 || asked.length > 0)
            return approve(kube, await needApprover(), input, { nodes, missing, asked, authority });
        progress(`the kubelets of cluster "${input.clusterName}" have their serving certificates already`);
        return {};
    });
    return { requests: { ...requests, ...approved } };
}

/** What is known of a cluster's kubelets before any request is decided on. */
interface Kubelets {
    nodes: KindNode[];
    /** Those that have no serving certificate, which are waited for. */
    missing: KindNode[];
    /** What those ask for that may have one: it is of another address, or ends before long. */
    asked: CertificateSigningRequest[];
    authority: string;
}

async function approve(
    kube: Kube,
    program: string,
    input: KubeletApprovalInput,
    { nodes, missing, asked, authority }: Kubelets,
): Promise<Record<string, string>> {
    /** By node: the requests that were approved, and the keys that they are for. */
    const approved = new Map<string, { request: string; publicKey: string | null }[]>();
    const refused = new Map<string, string>();

    const onRequest = async ({ object: csr }: { object: CertificateSigningRequest }) => {
        const request = csr.metadata.name;
        // The signer's answer changes a request that is dealt with.
        if ([...approved.values()].flat().some((one) => one.request === request)) return undefined;
        const found = await decisionOn(program, csr, nodes);
        if (found === undefined) return undefined;
        const { node, decision } = found;
        const { verdict, decided, reasons, publicKey } = decision;
        // One that has changed meanwhile will be seen again.
        if (decided !== null && !(await sendDecision(kube, csr, decision))) return undefined;
        if (verdict === "refuse") {
            if (!refused.has(request)) progress(denialNote(request, node, decision));
            refused.set(request, reasons.join("; "));
            return undefined;
        }
        approved.set(node.name, [...(approved.get(node.name) ?? []), { request, publicKey }]);
        progress(`certificate request ${request} (serving) of kubelet ${node.name} is approved`);
        return undefined;
    };

    /** By node: the request whose certificate its kubelet has taken. */
    const taken: Record<string, string> = {};
    const waitsFor = () => missing.filter(({ name }) => !(name in taken));
    const untilTaken = async (signal: AbortSignal) => {
        while (!signal.aborted) {
            for (const node of waitsFor()) {
                const own = approved.has(node.name) ? await servingKey(node, authority) : undefined;
                const found = approved.get(node.name)?.find(({ publicKey }) => own === publicKey);
                if (found) taken[node.name] = found.request;
            }
            if (waitsFor().length === 0) return;
            await pause(200);
        }
    };

    for (const object of asked) await onRequest({ object });
    if (missing.length === 0) return {};
    // A kubelet that is started anew files another request: all that are its own are approved until it has one.
    const over = new AbortController();
    const end = () => {
        over.abort();
    };
    await Promise.all([
        kube.watch(certificateRequests, input.timeoutSeconds, onRequest, over.signal).finally(end),
        untilTaken(over.signal).finally(end),
    ]);
    if (waitsFor().length === 0) return taken;
    const details = [
        ...[...approved.values()]
            .flat()
            .map(({ request }) => `${request} was approved, and its certificate not taken`),
        ...[...refused].map(([name, reasons]) => `${name} was denied: ${reasons}`),
    ];
    throw new StepError(
        `KindCluster "${input.clusterName}": kubelets without a serving certificate of the cluster after timeoutSeconds ` +
            `${input.timeoutSeconds}: ${waitsFor()
                .map(({ name }) => name)
                .join(", ")}${details.map((line) => `\n  ${line}`).join("") || "; they asked for none"}`,
    );
}

/** What is to be done about a request that is, rightly or not, for the serving certificate of one of the nodes. */
async function decisionOn(
    program: string,
    csr: CertificateSigningRequest,
    nodes: KindNode[],
): Promise<{ node: KindNode; decision: Decision } | undefined> {
    if (csr.spec.signerName !== servingSigner) return undefined;
    for (const node of nodesOf(csr.spec.username, nodes)) {
        const { name, address } = node;
        const kubelet = { name, address, ...(await factsOf(node)) };
        const decision = await decide(program, csr, { kubelet });
        if (decision.verdict !== "not-ours") return { node, decision };
    }
    return undefined;
}

/** Key (SubjectPublicKeyInfo, DER, base64) of the cluster's serving certificate that the kubelet has; undefined: it has none. */
async function servingKey(node: KindNode, authority: string): Promise<string | undefined> {
    const [leaf] = certificatesIn(
        await inContainer(node, certificatesOf(`${pki}/kubelet-server-current.pem`)),
    );
    if (leaf === undefined || !servesAs(leaf, node, authority)) return undefined;
    return new X509Certificate(leaf).publicKey.export({ format: "der", type: "spki" }).toString("base64");
}

/** In one process of the container: each costs a tenth of a second of both processors, while all else in the cluster is made. */
async function factsOf(node: KindNode): Promise<KubeletFacts> {
    const told = await inContainer(
        node,
        // It may have renewed the one that kubeadm made.
        certificatesOf(`${pki}/kubelet-client-*.pem`),
        "grep -o 'client-certificate-data: .*' /etc/kubernetes/kubelet.conf",
        "cat /proc/$(systemctl show --property=MainPID --value kubelet)/stat || echo",
        "cat /proc/uptime; date +%s%3N",
    );
    const embedded = /client-certificate-data: "?([A-Za-z0-9+/=]+)/.exec(told)?.[1] ?? "";
    const [processStat, uptime, now] = told.trimEnd().split("\n").slice(-3);
    return {
        clientCertificates: [
            ...certificatesIn(told),
            ...certificatesIn(Buffer.from(embedded, "base64").toString("utf8")),
        ],
        startedAt: startOf(processStat, uptime, Number(now)),
    };
}

/** Shows the certificates in files of a kubelet. Their keys stand in the same files, and stay where they are. */
function certificatesOf(files: string): string {
    return `for f in ${files}; do [ ! -e "$f" ] || sed -n '/BEGIN CERTIFICATE/,/END CERTIFICATE/p' "$f"; done`;
}

async function inContainer(node: KindNode, ...commands: string[]): Promise<string> {
    const argv = ["docker", "exec", node.container, "/bin/sh", "-c", commands.join("\n")];
    return (await run(argv, { timeoutSeconds: 30 })).stdout;
}

step(module, "approveKubeletCertificates", kubeletApprovalInput, approveKubeletCertificates);
