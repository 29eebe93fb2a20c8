import type { AgentFiles, AgentRecord } from "../agent";
import {
    isUndecided,
    withApproval,
    withDenial,
    type CertificateSigningRequest,
    type Decision,
    type Expectations,
} from "./approval";
import { tokenIdIn, usernameOf } from "../bootstrap";
import { certificateRequests } from "./certificateRequests";
import { publicKeyOf } from "./csr";
import { readOptional } from "../../lib/files";
import { KubeError } from "../../lib/kube/kube";

/** What approveCertificates and the approver know of a node before they look at any request. */
export interface NodeFacts {
    nodeName: string;
    nodeIp: string;
    bootstrapGroup: string;
    certificateDurationSeconds?: number;
}

/** What the requests must be, as it is known at this moment: the agent hands a key over just before it files a request. */
export async function expectationsOf(
    node: NodeFacts,
    files: AgentFiles,
    record: Pick<AgentRecord, "bootstrapFile" | "launchedAt">,
    nodeTaken: boolean,
): Promise<Expectations> {
    const [bootstrap, client, serving] = await Promise.all(
        [record.bootstrapFile, files.publicKeys.client, files.publicKeys.serving].map(readOptional),
    );
    const tokenId = tokenIdIn(bootstrap);
    return {
        nodeName: node.nodeName,
        nodeIp: node.nodeIp,
        bootstrapGroup: node.bootstrapGroup,
        bootstrapUsername: tokenId === undefined ? undefined : usernameOf(tokenId),
        publicKeys: { client: publicKeyOf(client), serving: publicKeyOf(serving) },
        launchedAt: record.launchedAt,
        durationSeconds: node.certificateDurationSeconds,
        nodeTaken,
    };
}

/** Where a decision is sent to. */
export interface Replacing {
    replace(path: string, body: object): Promise<void>;
}

/**
 * Sends the decision on exactly what was looked at. False when there is nothing to send (it was decided before), and when the
 * request has changed since: then it will be seen again.
 */
export async function sendDecision(
    api: Replacing,
    csr: CertificateSigningRequest,
    decision: Decision,
): Promise<boolean> {
    if (!isUndecided(csr)) return false;
    const body = decision.verdict === "refuse" ? withDenial(csr, decision.reasons) : withApproval(csr);
    try {
        await api.replace(`${certificateRequests}/${encodeURIComponent(csr.metadata.name)}/approval`, body);
        return true;
    } catch (error) {
        if (error instanceof KubeError && ["Conflict", "NotFound"].includes(error.reason)) return false;
        throw error;
    }
}
