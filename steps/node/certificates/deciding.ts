import type { KubeletFacts, KindNode } from "../../cluster/kubelets";
import { certificateRequests, type CertificateSigningRequest } from "./certificateRequests";
import type { Purpose } from "./certificates";
import { KubeError, type Kube } from "../../lib/kube/kube";
import { needProgram } from "../../lib/programs/programs";
import { run } from "../../lib/run";

/** The program that decides on certificate requests (krustlet/approver): for the steps here, and for itself at renewals. */
export const approverProgram = "krustlet-approver";

/** What a node's approver knows of it before it looks at any request. The rest lies in the node's folder. */
export interface NodeFacts {
    nodeName: string;
    nodeIp: string;
    bootstrapGroup: string;
    certificateDurationSeconds?: number;
}

/** Whose request it should be. */
export type Asked =
    | {
          node: NodeFacts & {
              stateDir: string;
              /** Whether the cluster has a Node of this name that this host's agent did not register. */
              nodeTaken: boolean;
          };
      }
    | { kubelet: Pick<KindNode, "name" | "address"> & KubeletFacts };

/** What `krustlet-approver decide` answers: krustlet/approver/src/answer.rs says more. */
export interface Decision {
    verdict: "not-ours" | "approve" | "approved-already" | "refuse";
    /** That of its signer, where it has one. */
    purpose: Purpose | null;
    /** Each check that failed. */
    reasons: string[];
    /** Who filed it, fit for a terminal. */
    requester: string;
    /** The request as it is to be sent to its approval subresource; null where it was decided before. */
    decided: object | null;
    /** Whether it is a stranger's, and was granted by somebody who may since the node was launched. */
    grantedToStranger: boolean;
    /** Whether nothing is wrong with it but that the kubelet that filed it was started anew since. */
    outOfDate: boolean;
    /** What it is for: SubjectPublicKeyInfo, DER, in base64; null where it cannot be read. */
    publicKey: string | null;
}

/** The approver's file; it is built where it is nowhere. */
export function needApprover(): Promise<string> {
    return needProgram(approverProgram, "CertificateApproval");
}

/** Asks the approver (its file) what is to be done about a request. */
export async function decide(
    program: string,
    request: CertificateSigningRequest,
    asked: Asked,
): Promise<Decision> {
    const input = JSON.stringify({ request, ...asked });
    const { stdout } = await run([program, "decide"], { input, timeoutSeconds: 30 });
    return JSON.parse(stdout) as Decision;
}

/**
 * Sends the decision on exactly what was looked at. False when there is nothing to send (it was decided before), and when the
 * request has changed since: then it will be seen again.
 */
export async function sendDecision(
    api: Pick<Kube, "replace">,
    { metadata: { name } }: CertificateSigningRequest,
    { decided }: Decision,
): Promise<boolean> {
    if (decided === null) return false;
    try {
        await api.replace(`${certificateRequests}/${encodeURIComponent(name)}/approval`, decided);
        return true;
    } catch (error) {
        if (error instanceof KubeError && ["Conflict", "NotFound"].includes(error.reason)) return false;
        throw error;
    }
}
