import { rm } from "node:fs/promises";
import type { CertificateApprovalInput } from "../../contract";
import type { AgentFiles } from "../agent";
import type { CertificateSigningRequest } from "./approval";
import { parseRequest, publicKeyOf, type ParsedRequest } from "./csr";
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

/** The PKCS #10 content of a request, or why it cannot be read. */
export async function readRequest(csr: CertificateSigningRequest): Promise<ParsedRequest | Error> {
    try {
        return await parseRequest(Buffer.from(csr.spec.request, "base64").toString("utf8"));
    } catch (error) {
        return error instanceof Error ? error : new Error(String(error));
    }
}

/**
 * Forgets what an agent that has ended was about to get: deletes the undecided requests for a key which it handed over (its own
 * for certain, whoever filed them), then the keys. An agent that is started makes new ones, and a request for an old one would
 * seem to be a stranger's, or, where it was approved, the new agent's.
 */
export async function forgetRequests(kubeconfigFile: string, files: AgentFiles): Promise<void> {
    const pubs = Object.values(files.publicKeys);
    const pems = await Promise.all(pubs.map(readOptional));
    const keys = pems.map(publicKeyOf).filter((key) => key !== undefined);
    if (keys.length > 0)
        await ifClusterAnswers(kubeconfigFile, (kube) => deleteUndecided(kube, keys), progress);
    for (const file of pubs) await rm(file, { force: true });
}

async function deleteUndecided(kube: Kube, keys: Buffer[]): Promise<void> {
    const { items } = await kube.get<{ items: CertificateSigningRequest[] }>(certificateRequests);
    for (const csr of items) {
        if ((csr.status?.conditions ?? []).length > 0) continue;
        const parsed = await readRequest(csr);
        if (parsed instanceof Error || !keys.some((key) => key.equals(parsed.publicKey))) continue;
        await kube.delete(`${certificateRequests}/${encodeURIComponent(csr.metadata.name)}`);
        progress(`certificate request ${csr.metadata.name} of an earlier agent was deleted`);
    }
}
