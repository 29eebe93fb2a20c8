import type { CertificateApprovalInput, CertificateApprovalOutput } from "./contract";
import { agentFiles, checkAgent, logOf, whileAgentLives, type AgentFiles } from "./lib/agent";
import {
    bearsName,
    decide,
    withApproval,
    type CertificateSigningRequest,
    type Expectations,
} from "./lib/approval";
import { tokenIdIn, usernameOf } from "./lib/bootstrap";
import { hasCertificate, type Purpose } from "./lib/certificates";
import { certificateApprovalInput, certificateRequests, readRequest } from "./lib/certificateRequests";
import { publicKeyOf } from "./lib/csr";
import { StepError } from "./lib/errors";
import { readOptional } from "./lib/files";
import { clusterOf, KubeError, withKube, type Kube } from "./lib/kube";
import { progress, step } from "./lib/step";

/**
 * Approves the node's two certificate requests, the client's and then the serving certificate's, once each has turned up and
 * passed every check of `decide`. Other requests that bear the node's name are left undecided, and told of.
 */
export async function approveCertificates(
    input: CertificateApprovalInput,
): Promise<CertificateApprovalOutput> {
    const files = agentFiles(input.stateDir);
    const [{ certificateAuthorityData }] = await Promise.all([
        clusterOf(input.kubeconfig),
        checkAgent(files, input.nodeName),
    ]);
    const authority = Buffer.from(certificateAuthorityData, "base64").toString("utf8");
    const missing: Purpose[] = [];
    for (const purpose of ["client", "serving"] as const) {
        if (!(await hasCertificate(purpose, files, input, authority))) missing.push(purpose);
    }
    if (missing.length === 0) {
        progress(`node "${input.nodeName}" has its certificates already`);
        return { client: null, serving: null };
    }
    return withKube(input.kubeconfig, (kube) => approve(kube, input, files, missing));
}

async function approve(
    kube: Kube,
    input: CertificateApprovalInput,
    files: AgentFiles,
    missing: Purpose[],
): Promise<CertificateApprovalOutput> {
    const approved: CertificateApprovalOutput = { client: null, serving: null };
    const refused = new Map<string, string>();
    const waitsFor = () => missing.filter((purpose) => approved[purpose] === null);

    const onRequest = async ({ object: csr }: { object: CertificateSigningRequest }) => {
        const { name } = csr.metadata;
        const parsed = await readRequest(csr);
        if (!bearsName(csr, parsed, input.nodeName)) return undefined;
        const decision = decide(csr, parsed, await expectations(input, files));
        if (decision.verdict === "refuse") {
            if (!refused.has(name))
                progress(`certificate request ${name} is not approved: ${decision.reasons.join("; ")}`);
            refused.set(name, decision.reasons.join("; "));
            return undefined;
        }
        // The signer's answer changes a request that is dealt with.
        if (approved[decision.purpose] !== null) return undefined;
        if (decision.verdict === "approve" && !(await sendApproval(kube, csr))) return undefined;
        approved[decision.purpose] = name;
        progress(`certificate request ${name} (${decision.purpose}) is approved`);
        return waitsFor().length === 0 ? approved : undefined;
    };

    const result = await whileAgentLives(files, input.nodeName, (signal) =>
        kube.watch(certificateRequests, input.timeoutSeconds, onRequest, signal),
    );
    if (result) return result;
    const record = await checkAgent(files, input.nodeName);
    const others = [...refused].map(([name, reasons]) => `\n  ${name} was not approved: ${reasons}`).join("");
    throw new StepError(
        `CertificateApproval of node "${input.nodeName}": no fitting certificate request (${waitsFor().join(", ")}) turned up within ` +
            `timeoutSeconds ${input.timeoutSeconds}${others}\n${logOf(files, record)}`,
    );
}

/** What the requests must be, as it is known at this moment: the agent hands a key over just before it files a request. */
async function expectations(input: CertificateApprovalInput, files: AgentFiles): Promise<Expectations> {
    const record = await checkAgent(files, input.nodeName);
    const [bootstrap, client, serving] = await Promise.all(
        [record.bootstrapFile, files.publicKeys.client, files.publicKeys.serving].map(readOptional),
    );
    const tokenId = tokenIdIn(bootstrap ?? "");
    return {
        nodeName: input.nodeName,
        nodeIp: input.nodeIp,
        bootstrapGroup: input.bootstrapGroup,
        bootstrapUsername: tokenId === undefined ? undefined : usernameOf(tokenId),
        publicKeys: { client: publicKeyOf(client), serving: publicKeyOf(serving) },
        launchedAt: record.launchedAt,
    };
}

/** Sends the approval of exactly what was looked at; false when the request has changed since, and will be seen again. */
async function sendApproval(kube: Kube, csr: CertificateSigningRequest): Promise<boolean> {
    try {
        await kube.replace(
            `${certificateRequests}/${encodeURIComponent(csr.metadata.name)}/approval`,
            withApproval(csr),
        );
        return true;
    } catch (error) {
        if (error instanceof KubeError && ["Conflict", "NotFound"].includes(error.reason)) return false;
        throw error;
    }
}

step(module, "approveCertificates", certificateApprovalInput, approveCertificates);
