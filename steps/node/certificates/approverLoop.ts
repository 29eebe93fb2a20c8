import { setTimeout as sleep } from "node:timers/promises";
import { readRecord, type AgentFiles } from "../agent";
import { bearsName, decide, isUndecided, printable, type CertificateSigningRequest } from "./approval";
import * as own from "./approverFiles";
import { certificateRequests, readRequest } from "./certificateRequests";
import { readRecordOf } from "../daemon";
import { expectationsOf, sendDecision } from "./deciding";
import { messageOf } from "../../lib/errors";
import { writePrivate } from "../../lib/files";
import { Kube, KubeError } from "../../lib/kube/kube";

/** How long things take, in milliseconds. */
export interface Pace {
    /** One watch. The list that follows it also finds what a watch may have missed. */
    watch: number;
    /** Between two tries: the first, and the most that it grows to. */
    retry: number;
    retryMost: number;
}

export const usualPace: Pace = { watch: 240_000, retry: 1000, retryMost: 30_000 };

/** How long one answer may take, in seconds. */
const answerSeconds = 15;

interface Requests {
    metadata: { resourceVersion: string };
    items: CertificateSigningRequest[];
}

/**
 * Decides on what is asked for in one node's name while no `up` runs: the node's renewals are approved, all else is denied.
 * Requests of the bootstrap group are left to approveCertificates, which runs as long as a token of that group is there.
 */
export class Approver {
    private readonly api: Kube;
    /** Names of the requests that it may not decide on, so that each is told of once. */
    private readonly untouchable = new Set<string>();
    /** What is wrong at the moment, so that it is told of when it begins, not each time it is met. */
    private readonly troubles: { answer?: string; renewal?: string } = {};

    constructor(
        private readonly agent: AgentFiles,
        private readonly files: own.ApproverFiles,
        private readonly settings: own.ApproverSettings,
        private credential: own.Credential,
        private readonly log: (line: string) => void,
        private readonly pace: Pace = usualPace,
    ) {
        // Asked for each request, so that a renewed token is used from then on.
        this.api = new Kube(() => {
            const { server, authorityPem, token } = this.credential;
            return { server, authorityPem, authorization: `Bearer ${token}` };
        }, answerSeconds);
    }

    /** Runs until the signal, until another approver has taken its place, or until it has no valid credential any more. */
    async run(signal: AbortSignal): Promise<"ended" | "replaced" | "expired"> {
        let wait = this.pace.retry;
        while (!signal.aborted) {
            if (!(await this.isCurrent())) return "replaced";
            if (Date.now() >= this.credential.expiresAt) return "expired";
            try {
                await this.renewCredential();
                await this.round(signal);
                wait = this.pace.retry;
            } catch (error) {
                if (signal.aborted) break;
                this.trouble("answer", messageOf(error));
                wait = Math.min(wait * 2, this.pace.retryMost);
            }
            // Also after a round that went well: a server that ends each watch at once is not to be pressed.
            await sleep(wait, undefined, { signal }).catch(() => undefined);
        }
        return "ended";
    }

    /** All requests there are, then what changes. */
    private async round(signal: AbortSignal): Promise<void> {
        const { metadata, items } = await this.api.get<Requests>(certificateRequests);
        const names = new Set(items.map((csr) => csr.metadata.name));
        for (const name of this.untouchable) if (!names.has(name)) this.untouchable.delete(name);
        for (const csr of items) await this.settle(csr);
        await writePrivate(this.files.contactFile, `${new Date().toISOString()}\n`);
        if (this.troubles.answer !== undefined) this.log("the API server answers again");
        delete this.troubles.answer;

        const untilRenewal = own.renewalTime(this.credential) - Date.now();
        // A renewal that is due and failed is tried again in a minute.
        const most = untilRenewal > 0 ? untilRenewal : 60_000;
        const seconds = Math.max(1, Math.ceil(Math.min(this.pace.watch, most) / 1000));
        await this.api.watchOnce<CertificateSigningRequest, never>(
            `${certificateRequests}?resourceVersion=${metadata.resourceVersion}`,
            seconds,
            async ({ type, object }) => {
                if (type === "ADDED" || type === "MODIFIED") await this.settle(object);
                return undefined;
            },
            signal,
        );
    }

    private async settle(csr: CertificateSigningRequest): Promise<void> {
        const { settings } = this;
        const { name } = csr.metadata;
        if (!isUndecided(csr) || this.untouchable.has(name)) return;
        if (csr.spec.groups?.includes(settings.bootstrapGroup)) return;
        const parsed = await readRequest(csr);
        if (!bearsName(csr, parsed, settings.nodeName)) return;
        const record = await readRecord(this.agent);
        // No agent: nothing can be the node's, and no time is after its launch.
        const launched = record ?? { bootstrapFile: this.agent.pidFile, launchedAt: Infinity };
        const expected = await expectationsOf(settings, this.agent, launched, false);
        const decision = decide(csr, parsed, expected);
        try {
            if (!(await sendDecision(this.api, csr, decision))) return;
        } catch (error) {
            if (!(error instanceof KubeError && error.reason === "Forbidden")) throw error;
            this.untouchable.add(name);
            this.log(
                `certificate request ${printable(name)} bears the node's name, for signer ${printable(csr.spec.signerName)}, ` +
                    "on which this approver may not decide: it is left undecided",
            );
            return;
        }
        const who = `filed by ${printable(csr.spec.username ?? "nobody")}`;
        this.log(
            decision.verdict === "refuse"
                ? `certificate request ${printable(name)} (${who}) was denied: ${decision.reasons.join("; ")}`
                : `certificate request ${printable(name)} (${decision.purpose}, ${who}) was approved`,
        );
    }

    /** Its token is renewed by itself: it has the right to ask for one of its own ServiceAccount. The old one serves on. */
    private async renewCredential(): Promise<void> {
        if (Date.now() < own.renewalTime(this.credential)) return;
        try {
            const { path, body } = own.tokenRequest(this.settings);
            const { status } = await this.api.post<own.TokenAnswer>(path, body);
            const { server, authorityPem } = this.credential;
            const next = own.credentialOf(server, authorityPem, status.token);
            await own.writeCredential(this.files, next);
            this.credential = next;
            delete this.troubles.renewal;
            this.log(`the credential was renewed, until ${new Date(next.expiresAt).toISOString()}`);
        } catch (error) {
            this.trouble("renewal", `the credential could not be renewed: ${messageOf(error)}`);
        }
    }

    /** Whether the record names this process. Its launcher writes it just after the start, so none yet is fine. */
    private async isCurrent(): Promise<boolean> {
        const record = await readRecordOf(this.files.pidFile);
        return record === undefined ? process.uptime() < 10 : record.pid === process.pid;
    }

    private trouble(kind: "answer" | "renewal", message: string): void {
        if (message !== this.troubles[kind]) this.log(message);
        this.troubles[kind] = message;
    }
}
