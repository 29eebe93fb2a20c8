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

/** What the node's request must be, known from elsewhere than the cluster (but for `nodeTaken`). */
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
    /** Life that the agent asks for, in seconds; undefined: it leaves that to the signer. */
    durationSeconds: number | undefined;
    /** Whether the cluster has a Node of this name that this host's agent did not register. */
    nodeTaken: boolean;
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
            reasons: [
                `signer is ${printable(spec.signerName)}, not one of ${Object.values(signers).join(", ")}`,
            ],
        };
    }
    const conditions = csr.status?.conditions ?? [];
    const denied = conditions.filter(({ type }) => type !== "Approved");
    const reasons = [
        ...requesterFaults(csr, purpose, expected),
        ...requestFaults(csr, purpose, parsed, expected),
        ...denied.map(
            ({ type, reason, message }) =>
                `it was decided before: ${printable(`${type} (${reason ?? ""} ${message ?? ""})`)}`,
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
    const node = `system:node:${expected.nodeName}`;
    // A client certificate is asked for with the token once, and renewed by the node itself.
    const first = purpose === "client" && spec.username !== node;
    const username = first ? expected.bootstrapUsername : node;
    const groups = first
        ? // The API server puts every bootstrap token into the group of all of them too.
          [expected.bootstrapGroup, "system:bootstrappers", "system:authenticated"]
        : ["system:nodes", "system:authenticated"];
    const created = Date.parse(metadata.creationTimestamp ?? "");
    return [
        ...unless(
            username !== undefined && spec.username === username,
            `requester is ${printable(spec.username ?? "unknown")}, not ${username ?? "a token of this node"}`,
        ),
        ...unless(
            sameSet(spec.groups ?? [], groups),
            `requester's groups are ${show(spec.groups ?? [])}, not ${show(groups)}`,
        ),
        ...unless(
            created >= expected.launchedAt - clockSkewMilliseconds,
            `it was filed at ${metadata.creationTimestamp ?? "an unknown time"}, before the node was launched`,
        ),
        ...unless(
            !(first && expected.nodeTaken),
            `the cluster has a Node ${expected.nodeName} already, which this host's agent did not register; ` +
                "delete it if nothing uses it",
        ),
        ...lifeFaults(spec.expirationSeconds, expected.durationSeconds),
    ];
}

function lifeFaults(seconds: number | undefined, asked: number | undefined): string[] {
    if (asked !== undefined)
        return unless(seconds === asked, `expirationSeconds is ${seconds ?? "not set"}, not ${asked}`);
    return unless(
        // 10 minutes is the least that a signer gives; a year is what a node gets without asking.
        seconds === undefined || (seconds >= 600 && seconds <= 31_622_400),
        `expirationSeconds is ${seconds}, not between 600 and 31622400`,
    );
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
    if (parsed instanceof Error)
        return [...usageFaults, `its request cannot be read: ${printable(parsed.message)}`];

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
        ...unless(parsed.others.length === 0, `it asks for more: ${show(parsed.others)}`),
        ...unless(parsed.keyType === "P-256", `its key is ${parsed.keyType}, not P-256`),
        ...unless(key !== undefined, "the node's agent has handed over no public key"),
        ...unless(
            key === undefined || parsed.publicKey.equals(key),
            "its public key is not the one that the node's agent made",
        ),
        ...unless(parsed.signatureVerifies, "its own signature does not verify"),
    ];
}

/**
 * Whether a request bears the node's name, rightly or not: in its subject, as its requester, as the name that a serving
 * certificate would hold, or in its own name, where the agent's requests have it.
 */
export function bearsName(
    csr: CertificateSigningRequest,
    parsed: ParsedRequest | Error,
    nodeName: string,
): boolean {
    const user = `system:node:${nodeName}`;
    if (csr.spec.username === user || hasOurName(csr.metadata.name, nodeName)) return true;
    if (parsed instanceof Error) return false;
    return (
        parsed.subject.some(({ value }) => value === user) ||
        (csr.spec.signerName === signers.serving && parsed.alternativeNames.includes(`DNS:${nodeName}`))
    );
}

/**
 * Whether an object is named as the agent's requests are: `krustlet-<node>-client-` and some letters. No "-" among these: the
 * requests of a node "a-client" begin with `krustlet-a-client-` too, and are none of node "a".
 */
function hasOurName(name: string, nodeName: string): boolean {
    return (Object.keys(signers) as Purpose[]).some((purpose) => {
        const prefix = `krustlet-${nodeName}-${purpose}-`;
        return name.startsWith(prefix) && !name.slice(prefix.length).includes("-");
    });
}

/** Whether nobody has decided on it. */
export function isUndecided(csr: CertificateSigningRequest): boolean {
    return (csr.status?.conditions ?? []).length === 0;
}

/**
 * Whether somebody else's request for this node's name was granted since its launch, by somebody who may. It cannot be
 * denied any more, so it must be told of. The node's own, and its tokens', come from joining or renewing before.
 */
export function isGrantedToStranger(csr: CertificateSigningRequest, expected: Expectations): boolean {
    const { username, groups = [] } = csr.spec;
    const stranger =
        username !== `system:node:${expected.nodeName}` && !groups.includes(expected.bootstrapGroup);
    const granted = csr.status?.conditions?.some(({ type }) => type === "Approved") ?? false;
    return (
        stranger && granted && Date.parse(csr.metadata.creationTimestamp ?? "") >= expected.launchedAt - 1000
    );
}

/** The request as it is sent to its approval subresource, approved. */
export function withApproval(csr: CertificateSigningRequest): CertificateSigningRequest {
    return withCondition(csr, {
        type: "Approved",
        status: "True",
        reason: "KrustletStackApproved",
        message: "Requester, subject, names, usages, signature and public key are the node's",
    });
}

/** The request as it is sent to its approval subresource, denied. */
export function withDenial(csr: CertificateSigningRequest, reasons: string[]): CertificateSigningRequest {
    return withCondition(csr, {
        type: "Denied",
        status: "True",
        reason: "KrustletStackDenied",
        message: `It bears a node's name and is not that node's: ${reasons.join("; ")}`,
    });
}

function withCondition(
    csr: CertificateSigningRequest,
    condition: { type: string; status: string; reason: string; message: string },
): CertificateSigningRequest {
    return {
        ...csr,
        apiVersion: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        status: { ...csr.status, conditions: [...(csr.status?.conditions ?? []), condition] },
    };
}

/** What a stranger wrote, for a log or a terminal: one line without control characters, and not too long. */
export function printable(text: string): string {
    const line = text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, "\u{fffd}");
    return line.length > 200 ? `${line.slice(0, 197)}...` : line;
}

function sameSet(given: string[], wanted: string[]): boolean {
    return (
        given.length === wanted.length &&
        [...given].sort().every((one, index) => one === [...wanted].sort()[index])
    );
}

function show(values: string[]): string {
    if (values.length === 0) return "none";
    const shown = values.slice(0, 8).map(printable).join(", ");
    return values.length > 8 ? `${shown} and ${values.length - 8} more` : shown;
}

function unless(holds: boolean, reason: string): string[] {
    return holds ? [] : [reason];
}
