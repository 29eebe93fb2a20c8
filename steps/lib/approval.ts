import type { Purpose } from "./certificates";
import type { ParsedRequest } from "./csr";

/** A CertificateSigningRequest of certificates.k8s.io/v1: what the decision looks at. */
export interface CertificateSigningRequest {
    apiVersion?: string;
    kind?: string;
    metadata: { name: string; creationTimestamp?: string; [other: string]: unknown };
    spec: {
        /** PEM, base64. */
        request: string;
        signerName: string;
        usages?: string[];
        username?: string;
        groups?: string[];
        expirationSeconds?: number;
        [other: string]: unknown;
    };
    status?: {
        conditions?: { type: string; status: string; reason?: string; message?: string }[];
        certificate?: string;
        [other: string]: unknown;
    };
}

/** What the node's request must be, known from elsewhere than the cluster. */
export interface Expectations {
    nodeName: string;
    nodeIp: string;
    /** Group of the bootstrap token. */
    bootstrapGroup: string;
    /** User of the bootstrap token: `system:bootstrap:<token id>`; undefined: no token is known. */
    bootstrapUsername: string | undefined;
    /** Public keys that the agent handed over (SubjectPublicKeyInfo, DER); undefined: it has not yet. */
    publicKeys: Record<Purpose, Buffer | undefined>;
    /** When the agent was launched, in milliseconds since 1970. */
    launchedAt: number;
}

export const signers: Record<Purpose, string> = {
    client: "kubernetes.io/kube-apiserver-client-kubelet",
    serving: "kubernetes.io/kubelet-serving",
};

/** How far the API server's clock may be behind this host's; times in Kubernetes are whole seconds besides. */
const clockSkewMilliseconds = 30_000;

/** What may happen to a request. `reasons` tells each check that failed. */
export type Decision =
    | { verdict: "approve"; purpose: Purpose }
    /** It is the node's and somebody approved it already: an ended run, or a person. */
    | { verdict: "approved already"; purpose: Purpose }
    | { verdict: "refuse"; purpose: Purpose | undefined; reasons: string[] };

/**
 * Decides on a request that bears the node's name. Pure: `parsed` is the PKCS #10 content, or why it cannot be read.
 * Everything must fit exactly; nothing is taken from the request that was not expected before it came.
 */
export function decide(
    csr: CertificateSigningRequest,
    parsed: ParsedRequest | Error,
    expected: Expectations,
): Decision {
    const { spec } = csr;
    const purpose = (Object.keys(signers) as Purpose[]).find((one) => signers[one] === spec.signerName);
    if (purpose === undefined) {
        return {
            verdict: "refuse",
            purpose,
            reasons: [`signer is ${spec.signerName}, not one of ${Object.values(signers).join(", ")}`],
        };
    }
    const conditions = csr.status?.conditions ?? [];
    const denied = conditions.filter(({ type }) => type !== "Approved");
    const reasons = [
        ...requesterFaults(csr, purpose, expected),
        ...requestFaults(csr, purpose, parsed, expected),
        ...denied.map(
            ({ type, reason, message }) =>
                `it was decided before: ${type} (${reason ?? ""} ${message ?? ""})`,
        ),
    ];
    if (reasons.length > 0) return { verdict: "refuse", purpose, reasons };
    return { verdict: conditions.length > 0 ? "approved already" : "approve", purpose };
}

/** Who asks, when, and for how long. */
function requesterFaults(
    { spec, metadata }: CertificateSigningRequest,
    purpose: Purpose,
    expected: Expectations,
): string[] {
    const username = purpose === "client" ? expected.bootstrapUsername : `system:node:${expected.nodeName}`;
    const groups =
        purpose === "client"
            ? // The API server puts every bootstrap token into the group of all of them too.
              [expected.bootstrapGroup, "system:bootstrappers", "system:authenticated"]
            : ["system:nodes", "system:authenticated"];
    const created = Date.parse(metadata.creationTimestamp ?? "");
    return [
        ...unless(
            username !== undefined && spec.username === username,
            `requester is ${spec.username ?? "unknown"}, not ${username ?? "a token of this node"}`,
        ),
        ...unless(
            sameSet(spec.groups ?? [], groups),
            `requester's groups are ${show(spec.groups ?? [])}, not ${show(groups)}`,
        ),
        ...unless(
            created >= expected.launchedAt - clockSkewMilliseconds,
            `it was filed at ${metadata.creationTimestamp ?? "an unknown time"}, before the node was launched`,
        ),
        // 10 minutes is the least that a signer gives; a year is what a node gets without asking.
        ...unless(
            spec.expirationSeconds === undefined ||
                (spec.expirationSeconds >= 600 && spec.expirationSeconds <= 31_622_400),
            `expirationSeconds is ${spec.expirationSeconds}, not between 600 and 31622400`,
        ),
    ];
}

/** What is asked for. */
function requestFaults(
    { spec }: CertificateSigningRequest,
    purpose: Purpose,
    parsed: ParsedRequest | Error,
    expected: Expectations,
): string[] {
    const usages = ["digital signature", purpose === "client" ? "client auth" : "server auth"];
    const usageFaults = unless(
        sameSet(spec.usages ?? [], usages),
        `usages are ${show(spec.usages ?? [])}, not ${show(usages)}`,
    );
    if (parsed instanceof Error) return [...usageFaults, `its request cannot be read: ${parsed.message}`];

    const subject = [`CN=system:node:${expected.nodeName}`, "O=system:nodes"];
    const names = purpose === "client" ? [] : [`DNS:${expected.nodeName}`, `IP:${expected.nodeIp}`];
    const asked = parsed.subject.map(({ attribute, value }) => `${attribute}=${value}`);
    const key = expected.publicKeys[purpose];
    return [
        ...usageFaults,
        ...unless(sameSet(asked, subject), `subject is ${show(asked)}, not ${show(subject)}`),
        ...unless(
            sameSet(parsed.alternativeNames, names),
            `names are ${show(parsed.alternativeNames)}, not ${show(names)}`,
        ),
        ...unless(parsed.others.length === 0, `it asks for more: ${parsed.others.join(", ")}`),
        ...unless(parsed.keyType === "P-256", `its key is ${parsed.keyType}, not P-256`),
        ...unless(key !== undefined, "the node's agent has handed over no public key"),
        ...unless(
            key === undefined || parsed.publicKey.equals(key),
            "its public key is not the one that the node's agent made",
        ),
        ...unless(parsed.signatureVerifies, "its own signature does not verify"),
    ];
}

/** Whether a request bears the node's name, rightly or not. */
export function bearsName(
    csr: CertificateSigningRequest,
    parsed: ParsedRequest | Error,
    nodeName: string,
): boolean {
    const user = `system:node:${nodeName}`;
    const inSubject =
        !(parsed instanceof Error) &&
        parsed.subject.some(({ attribute, value }) => attribute === "CN" && value === user);
    const asItself = csr.spec.username === user && Object.values(signers).includes(csr.spec.signerName);
    return inSubject || asItself;
}

/** The request as it is sent to its approval subresource. */
export function withApproval(csr: CertificateSigningRequest): CertificateSigningRequest {
    const approved = {
        type: "Approved",
        status: "True",
        reason: "KrustletStackApproved",
        message: "Requester, subject, names, usages, signature and public key are the node's",
    };
    return {
        ...csr,
        apiVersion: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        status: { ...csr.status, conditions: [...(csr.status?.conditions ?? []), approved] },
    };
}

function sameSet(given: string[], wanted: string[]): boolean {
    return (
        given.length === wanted.length &&
        [...given].sort().every((one, index) => one === [...wanted].sort()[index])
    );
}

function show(values: string[]): string {
    return values.length > 0 ? values.join(", ") : "none";
}

function unless(holds: boolean, reason: string): string[] {
    return holds ? [] : [reason];
}
