import {
    certificateApprovalInput,
    certificateRequests,
    handedOver,
    holdsKey,
    isNamedAsOf,
    isUndecided,
    type CertificateSigningRequest,
} from "./certificateRequests";
import { agentFiles } from "../agent/agent";
import { ifClusterAnswers, type Kube } from "../../lib/kube/kube";
import { stored, type Of } from "../../lib/schema";
import { progress, step } from "../../lib/step";

const needed = stored(certificateApprovalInput, "kubeconfigFile", "nodeName", "bootstrapGroup", "stateDir");

/**
 * Deletes the certificate requests that this node filed. Those on which nobody has decided, and which are for the keys of its agent of now, are
 * left: where the approval is replaced, that agent was started before, and would end without them. Whoever stops it deletes them.
 */
export async function deleteCertificateRequests(input: Of<typeof needed>): Promise<Record<string, never>> {
    await ifClusterAnswers(input.kubeconfigFile, (kube) => deleteOurs(kube, input), progress);
    return {};
}

async function deleteOurs(kube: Kube, input: Of<typeof needed>): Promise<void> {
    const awaited = await handedOver(agentFiles(input.stateDir));
    const { items } = await kube.get<{ items: CertificateSigningRequest[] }>(certificateRequests);
    for (const csr of items) {
        const { username, groups = [] } = csr.spec;
        // A group may be that of several nodes' tokens.
        const byToken =
            groups.includes(input.bootstrapGroup) && isNamedAsOf(csr.metadata.name, input.nodeName);
        if (!byToken && username !== `system:node:${input.nodeName}`) continue;
        if (isUndecided(csr) && awaited.some((key) => holdsKey(csr, key))) continue;
        await kube.delete(`${certificateRequests}/${encodeURIComponent(csr.metadata.name)}`);
        progress(`certificate request ${csr.metadata.name} was deleted`);
    }
}

step(module, "deleteCertificateRequests", needed, deleteCertificateRequests);
