import type { CertificateApprovalInput } from "../contract";
import type { CertificateSigningRequest } from "./approval";
import { parseRequest, type ParsedRequest } from "./csr";
import { bootstrapGroup, integer, ipv4, nodeName, object, optional, processId, secret, text } from "./schema";

/** Input of approveCertificates and deleteCertificateRequests. */
export const certificateApprovalInput = object<CertificateApprovalInput>({
    kubeconfig: secret,
    nodeName,
    nodeIp: ipv4,
    bootstrapGroup,
    stateDir: text,
    timeoutSeconds: integer(1, 3600),
    agentPid: optional(processId),
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
