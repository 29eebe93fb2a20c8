import type { CertificateApprovalInput, CertificateApprovalOutput } from "../../contract";
import {
    agentFiles,
    checkAgent,
    endAgents,
    logOf,
    readRecord,
    whileAgentLives,
    type AgentFiles,
    type AgentRecord,
} from "../agent/agent";
import { endBootstrap, tokenServes } from "../bootstrap";
import { hasCertificate, type Purpose } from "./certificates";
import {
    certificateApprovalInput,
    certificateRequests,
    forgetRequests,
    isUndecided,
    type CertificateSigningRequest,
} from "./certificateRequests";
import { decide, needApprover, sendDecision, type Decision } from "./deciding";
import { StepError } from "../../lib/errors";
import { readOptional } from "../../lib/files";
import { clusterOf, KubeError, withKube, type Kube } from "../../lib/kube/kube";
import { noteJoined, relaunch } from "../agent/launch";
import { seemsToRun } from "../daemon/daemon";
import { orUndo, pause, progress, step } from "../../lib/step";

/**
 * Approves the node's two certificate requests, the client's and then the serving certificate's, once each has turned up and
 * passed every check of krustlet-approver; then the node's bootstrap token is revoked. The token goes on every failure too.
 *
 * Any other undecided request that bears the node's name is denied, with the reasons, once. That does not keep the node from
 * joining: the step goes on until the node has its certificates, and fails at the end, naming each request and what was wrong
 * with it. The next run finds the certificates there and looks at no request, so that whoever may file requests can make an
 * `up` fail once for each time that a node joins, not for ever. (The approver denies later ones.)
 *
 * What a failed or killed run left is mended: launchNode does not run again when only this step failed, so an agent that has
 * ended, or whose token ended before it had a certificate, is started again from here, as launchNode had started it.
 */
export async function approveCertificates(
    input: CertificateApprovalInput,
): Promise<CertificateApprovalOutput> {
    const files = agentFiles(input.stateDir);
    const [{ certificateAuthorityData }, record] = await Promise.all([
        clusterOf(input.kubeconfigFile),
        readRecord(files),
    ]);
    const authority = Buffer.from(certificateAuthorityData, "base64").toString("utf8");
    const has = (purpose: Purpose) => hasCertificate(purpose, files, input, authority);
    const missing: Purpose[] = [];
    for (const purpose of ["client", "serving"] as const) {
        if (!(await has(purpose))) missing.push(purpose);
    }
    if (missing.length === 0) {
        const { bootstrapFile } = await checkAgent(files, input.nodeName);
        // A run that was killed may have left it.
        if ((await readOptional(bootstrapFile)) !== undefined)
            await withKube(input.kubeconfigFile, (kube) => endBootstrap(kube, input, bootstrapFile));
        progress(`node "${input.nodeName}" has its certificates already`);
        return { client: null, serving: null };
    }
    return withKube(input.kubeconfigFile, (kube) =>
        orUndo(
            async () => {
                const program = await needApprover();
                return new Approval(kube, program, input, files, () => has("client")).run(missing);
            },
            async () => {
                await endBootstrap(kube, input, record?.bootstrapFile);
                if (await has("client")) return;
                // Without its token it would wait for nothing.
                await endAgents(files, progress);
                await forgetRequests(input.kubeconfigFile, files);
            },
        ),
    );
}

/** One run: the requests that it has decided on, and the strangers' that it came across. */
class Approval {
    private readonly approved: CertificateApprovalOutput = { client: null, serving: null };
    /** By name of the request: who filed it, and what was wrong with it. */
    private readonly strangers = new Map<string, string>();

    constructor(
        private readonly kube: Kube,
        private readonly program: string,
        private readonly input: CertificateApprovalInput,
        private readonly files: AgentFiles,
        private readonly isCertified: () => Promise<boolean>,
    ) {}

    async run(missing: Purpose[]): Promise<CertificateApprovalOutput> {
        const { input, files, kube } = this;
        const deadline = Date.now() + input.timeoutSeconds * 1000;
        const record = await this.runningAgent();
        // Looked at before the client certificate is given: with it the agent registers the Node.
        const nodeTaken =
            missing.includes("client") && !record.joined
                ? kube.find(`/api/v1/nodes/${input.nodeName}`).then((node) => node !== undefined)
                : Promise.resolve(false);
        // It is waited for when the first request has come; until then nobody hears of its failure.
        nodeTaken.catch(() => undefined);

        await this.tellingOfStrangers(async (signal) => {
            const waitsFor = () => missing.filter((purpose) => this.approved[purpose] === null);
            const onRequest = async ({ object }: { object: CertificateSigningRequest }) => {
                await this.settle(object, nodeTaken);
                return waitsFor().length === 0 ? true : undefined;
            };
            await kube.watch(certificateRequests, input.timeoutSeconds, onRequest, signal);
            if (signal.aborted) return;
            if (waitsFor().length > 0) throw await this.timedOut(waitsFor());
            // It is issued and in use when the agent has written it down; a serving request comes only after that.
            while (!(await this.isCertified())) {
                if (Date.now() > deadline) throw await this.timedOut(["client"]);
                await pause(50);
            }
        });
        await noteJoined(files, await checkAgent(files, input.nodeName));
        await endBootstrap(kube, input, record.bootstrapFile);
        if (this.strangers.size > 0) throw this.intruded();
        return this.approved;
    }

    /** The agent, started again where a failed run has left it ended or without a token. */
    private async runningAgent(): Promise<AgentRecord> {
        const { input, files, kube } = this;
        const record = await readRecord(files);
        if (record === undefined) return checkAgent(files, input.nodeName);
        const certified = await this.isCertified();
        const mayGoOn =
            (await seemsToRun(record)) && (certified || (await tokenServes(kube, record.bootstrapFile)));
        return mayGoOn ? record : relaunch(files, record, certified, input);
    }

    /** Does what needs a living agent. Whatever fails: that others meddled may be why. */
    private async tellingOfStrangers(act: (signal: AbortSignal) => Promise<void>): Promise<void> {
        try {
            await whileAgentLives(this.files, this.input.nodeName, act);
        } catch (error) {
            if (this.strangers.size === 0 || !(error instanceof StepError)) throw error;
            throw new StepError(
                `${error.message}
Requests in this node's name that did not fit:${this.list()}`,
                {
                    cause: error,
                },
            );
        }
    }

    private async settle(csr: CertificateSigningRequest, nodeTaken: Promise<boolean>): Promise<void> {
        const { nodeName, nodeIp, bootstrapGroup, certificateDurationSeconds } = this.input;
        const { stateDir } = this.files;
        const { name } = csr.metadata;
        await checkAgent(this.files, nodeName);
        const decision = await decide(this.program, csr, {
            node: {
                ...{ nodeName, nodeIp, bootstrapGroup, certificateDurationSeconds, stateDir },
                nodeTaken: isUndecided(csr) && (await nodeTaken),
            },
        });
        const { verdict, purpose } = decision;
        if (verdict === "not-ours") return;
        if (verdict === "refuse" || purpose === null) {
            const what = `(filed by ${decision.requester}): ${decision.reasons.join("; ")}`;
            if (isUndecided(csr)) {
                const denied = await this.deny(csr, decision);
                if (denied !== undefined) this.tell(name, `${denied} ${what}`);
            } else if (decision.grantedToStranger) {
                this.tell(name, `was approved by somebody else and must be looked into ${what}`);
            }
            return;
        }
        if (verdict === "approve" && !(await sendDecision(this.kube, csr, decision))) return;
        if (this.approved[purpose] !== null && verdict !== "approve") return;
        this.approved[purpose] = name;
        progress(`certificate request ${name} (${purpose}) is approved`);
    }

    /** What was done about it; undefined when it has changed meanwhile and will be seen again. */
    private async deny(csr: CertificateSigningRequest, decision: Decision): Promise<string | undefined> {
        try {
            return (await sendDecision(this.kube, csr, decision)) ? "was denied" : undefined;
        } catch (error) {
            if (!(error instanceof KubeError && error.reason === "Forbidden")) throw error;
            return "could not be denied (the kubeconfig's user may not decide for its signer)";
        }
    }

    private tell(name: string, what: string): void {
        if (!this.strangers.has(name)) progress(`certificate request ${name} ${what}`);
        this.strangers.set(name, what);
    }

    private list(): string {
        return [...this.strangers].map(([name, what]) => `\n  ${name} ${what}`).join("");
    }

    private async timedOut(missing: Purpose[]): Promise<StepError> {
        const { input, files } = this;
        return new StepError(
            `CertificateApproval of node "${input.nodeName}": no fitting certificate request (${missing.join(", ")}) turned up ` +
                `and was signed within timeoutSeconds ${input.timeoutSeconds}\n${await logOf(files, await readRecord(files))}`,
        );
    }

    private intruded(): StepError {
        return new StepError(
            `CertificateApproval of node "${this.input.nodeName}": certificates were asked for in this node's name by others:` +
                `${this.list()}\nThe node itself has its own certificates and nothing is left to undo. Find out who files such ` +
                "requests in this cluster; then run `up` again, which goes on from here.",
        );
    }
}

step(module, "approveCertificates", certificateApprovalInput, approveCertificates);
