import {
    certificateApprovalInput,
    certificateRequests,
    isNamedAsOf,
    type CertificateSigningRequest,
} from "./certificateRequests";
import { ifClusterAnswers, type Kube } from "../../lib/kube/kube";
import { stored, type Of } from "../../lib/schema";
import { progress, step } from "../../lib/step";

const needed = stored(certificateApprovalInput, "kubeconfigFile", "nodeName", "bootstrapGroup");

/** Deletes the certificate requests that this node filed, decided or not. */
export async function deleteCertificateRequests(input: Of<typeof needed>): Promise<Record<string, never>> {
    await ifClusterAnswers(input.kubeconfigFile, (kube) => deleteOurs(kube, input), progress);
    return {};
}

async function deleteOurs(kube: Kube, input: Of<typeof needed>): Promise<void> {
    const { items } = await kube.get<{ items: CertificateSigningRequest[] }>(certificateRequests);
    for (const csr of items) {
        const { username, groups = [] } = csr.spec;
        // A group may be that of several nodes' tokens.
        const byToken =
            groups.includes(input.bootstrapGroup) && isNamedAsOf(csr.metadata.name, input.nodeName);
        if (!byToken && username !== `system:node:${input.nodeName}`) continue;
        await kube.delete(`${certificateRequests}/${encodeURIComponent(csr.metadata.name)}`);
        progress(`certificate request ${csr.metadata.name} was deleted`);
    }
}

step(module, "deleteCertificateRequests", needed, deleteCertificateRequests);
