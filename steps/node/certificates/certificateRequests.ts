import { createPublicKey } from "node:crypto";
import { rm } from "node:fs/promises";
import type { CertificateApprovalInput } from "../../contract";
import type { AgentFiles } from "../agent/agent";
import { readOptional } from "../../lib/files";
import { ifClusterAnswers, type Kube } from "../../lib/kube/kube";
import {
    bootstrapGroup,
    certificateSeconds,
    ipv4,
    nodeName,
    object,
    optional,
    owner,
    processId,
    seconds,
    text,
} from "../../lib/schema";
import { progress } from "../../lib/step";

/** Input of approveCertificates and deleteCertificateRequests. */
export const certificateApprovalInput = object<CertificateApprovalInput>({
    kubeconfigFile: text,
    owner,
    nodeName,
    nodeIp: ipv4,
    bootstrapGroup,
    stateDir: text,
    timeoutSeconds: seconds,
    agentPid: optional(processId),
    certificateDurationSeconds: optional(certificateSeconds),
});

export const certificateRequests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

/** A CertificateSigningRequest of certificates.k8s.io/v1: what the steps look at themselves. */
export interface CertificateSigningRequest {
    metadata: { name: string };
    spec: {
        /** PEM, base64. */
        request: string;
        signerName: string;
        username?: string;
        groups?: string[];
    };
    status?: {
        conditions?: { type: string; status: string; reason?: string; message?: string }[];
        certificate?: string;
    };
}

/** Whether nobody has decided on it. */
export function isUndecided(csr: CertificateSigningRequest): boolean {
    return (csr.status?.conditions ?? []).length === 0;
}

/**
 * Whether an object is named as the agent's requests are: `krustlet-<node>-client-` and some letters. No "-" among these: the
 * requests of a node "a-client" begin with `krustlet-a-client-` too, and are none of node "a".
 */
export function isNamedAsOf(name: string, nodeName: string): boolean {
    return ["client", "serving"].some((purpose) => {
        const prefix = `krustlet-${nodeName}-${purpose}-`;
        return name.startsWith(prefix) && !name.slice(prefix.length).includes("-");
    });
}

/**
 * Forgets what an agent that has ended was about to get: deletes the undecided requests for a key which it handed over (its own
 * for certain, whoever filed them), then the keys. An agent that is started makes new ones, and a request for an old one would
 * seem to be a stranger's, or, where it was approved, the new agent's.
 */
export async function forgetRequests(kubeconfigFile: string, files: AgentFiles): Promise<void> {
    const keys = await handedOver(files);
    if (keys.length > 0)
        await ifClusterAnswers(kubeconfigFile, (kube) => deleteUndecided(kube, keys), progress);
    for (const file of Object.values(files.publicKeys)) await rm(file, { force: true });
}

/** The keys that an agent handed over, for which it asks for certificates. */
export async function handedOver({ publicKeys }: AgentFiles): Promise<Buffer[]> {
    const pems = await Promise.all(Object.values(publicKeys).map(readOptional));
    return pems.map(publicKeyOf).filter((key) => key !== undefined);
}

async function deleteUndecided(kube: Kube, keys: Buffer[]): Promise<void> {
    const { items } = await kube.get<{ items: CertificateSigningRequest[] }>(certificateRequests);
    for (const csr of items) {
        if (!isUndecided(csr) || !keys.some((key) => holdsKey(csr, key))) continue;
        await kube.delete(`${certificateRequests}/${encodeURIComponent(csr.metadata.name)}`);
        progress(`certificate request ${csr.metadata.name} of an earlier agent was deleted`);
    }
}

/** Whether a key (SubjectPublicKeyInfo, DER) is in a request, which has it as it is. */
export function holdsKey({ spec }: CertificateSigningRequest, key: Buffer): boolean {
    const pem = Buffer.from(spec.request, "base64").toString("utf8");
    const [, body] = /-----BEGIN [A-Z ]+-----([^-]*)-----END /.exec(pem) ?? [];
    return body !== undefined && Buffer.from(body, "base64").includes(key);
}

/** The SubjectPublicKeyInfo (DER) of a public key in PEM; undefined when it is none. */
function publicKeyOf(pem: string | undefined): Buffer | undefined {
    try {
        return pem === undefined ? undefined : createPublicKey(pem).export({ format: "der", type: "spki" });
    } catch {
        return undefined;
    }
}
