import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { ApproverInput } from "../../contract";
import { keptOf } from "../agent";
import { endDaemons } from "../daemon";
import type { NodeFacts } from "./deciding";
import { StepError } from "../../lib/errors";
import { expandHome, readOptional, writePrivate } from "../../lib/files";
import { newKubeconfig } from "../../lib/kube/kubeconfig";
import { processesWith, type ProcessId } from "../../lib/processes";
import {
    bootstrapGroup,
    certificateSeconds,
    dnsLabel,
    integer,
    ipv4,
    nodeName,
    object,
    objectName,
    optional,
    owner,
    processId,
    text,
} from "../../lib/schema";

/** Input of launchApprover and stopApprover. */
export const approverInput = object<ApproverInput>({
    kubeconfigFile: text,
    owner,
    nodeName,
    nodeIp: ipv4,
    bootstrapGroup,
    stateDir: text,
    namespace: dnsLabel,
    serviceAccount: objectName,
    tokenSeconds: integer(600, 86_400),
    certificateDurationSeconds: optional(certificateSeconds),
    agentPid: optional(processId),
    because: optional(text),
});

/** Where everything of a node's approver is. */
export interface ApproverFiles {
    stateDir: string;
    logFile: string;
    pidFile: string;
    /** What it decides by: ApproverSettings. */
    settingsFile: string;
    /** Its credential at the API server, as a kubeconfig. */
    kubeconfigFile: string;
    /** Written anew whenever it has heard from the API server. */
    contactFile: string;
}

export function approverFiles(stateDir: string): ApproverFiles {
    const folder = expandHome(stateDir);
    return {
        stateDir: folder,
        logFile: join(folder, "approver.log"),
        pidFile: join(folder, "approver.pid"),
        settingsFile: join(folder, "approver.json"),
        kubeconfigFile: join(folder, "approver.kubeconfig"),
        contactFile: join(folder, "approver.contact"),
    };
}

/** The approver's command line: its folder, and nothing that is secret. `program` is its compiled file. */
export function approverArgv(node: string, program: string, files: ApproverFiles): string[] {
    return [
        node,
        // It sleeps nearly always: memory is better given back than kept for speed.
        "--max-semi-space-size=1",
        "--optimize-for-size",
        program,
        mark(files),
    ];
}

/** By this argument an approver is known to be of a folder. */
function mark(files: ApproverFiles): string {
    return `--approver-of=${files.stateDir}`;
}

/** The folder that an approver's command line names. */
export function stateDirIn(argv: string[]): string | undefined {
    return argv.find((argument) => argument.startsWith("--approver-of="))?.slice("--approver-of=".length);
}

/** Nothing of the caller's that could change what it does or leak into its log. */
export function approverEnvironment(callers: NodeJS.ProcessEnv): Record<string, string> {
    return keptOf(callers, "PATH", "HOME");
}

/** The running approvers of a node's folder. */
export function runningApprovers(files: ApproverFiles): ProcessId[] {
    return processesWith(mark(files));
}

/** Ends every approver of a node's folder. */
export function endApprovers(files: ApproverFiles, note: (line: string) => void): Promise<void> {
    return endDaemons("approver", runningApprovers(files), note);
}

/** Removes what an approver that has ended leaves, its log among it. */
export async function removeApproverFiles(files: ApproverFiles): Promise<void> {
    const left = [files.kubeconfigFile, files.settingsFile, files.contactFile, files.pidFile, files.logFile];
    for (const file of left) await rm(file, { force: true });
}

/** What an approver decides by, and who it is. */
export interface ApproverSettings extends NodeFacts {
    namespace: string;
    serviceAccount: string;
    tokenSeconds: number;
}

export async function readSettings(files: ApproverFiles): Promise<ApproverSettings> {
    const text = await readOptional(files.settingsFile);
    if (text === undefined) throw new StepError(`${files.settingsFile} is missing; launchApprover writes it`);
    return JSON.parse(text) as ApproverSettings;
}

/** An approver's credential, and where it is one. */
export interface Credential {
    server: string;
    /** PEM certificates that the API server's certificate must be signed by. */
    authorityPem: string;
    /** Bearer token. Secret. */
    token: string;
    /** When the token was given and when it ends, in milliseconds since 1970. */
    issuedAt: number;
    expiresAt: number;
}

/** The credential with that token, whose life the token itself tells. */
export function credentialOf(server: string, authorityPem: string, token: string): Credential {
    let claims: { iat?: number; exp?: number } = {};
    try {
        const payload = token.split(".")[1] ?? "";
        claims = JSON.parse(Buffer.from(payload, "base64url").toString("utf8")) as typeof claims;
    } catch {
        // Told below; the token itself must not be.
    }
    if (typeof claims.iat !== "number" || typeof claims.exp !== "number")
        throw new StepError("the approver's token is no ServiceAccount token with a life of its own");
    return { server, authorityPem, token, issuedAt: claims.iat * 1000, expiresAt: claims.exp * 1000 };
}

/** When half of its life is over: as much is left for a cluster that does not answer just then. */
export function renewalTime({ issuedAt, expiresAt }: Credential): number {
    return issuedAt + (expiresAt - issuedAt) / 2;
}

/** Writes a credential as a kubeconfig, which other tools can read too. */
export function writeCredential(
    files: ApproverFiles,
    { server, authorityPem, token }: Pick<Credential, "server" | "authorityPem" | "token">,
): Promise<void> {
    const certificateAuthorityData = Buffer.from(authorityPem).toString("base64");
    return writePrivate(
        files.kubeconfigFile,
        newKubeconfig({ name: "approver", fields: { token } }, { server, certificateAuthorityData }),
    );
}

export async function readCredential(files: ApproverFiles): Promise<Credential> {
    const text = await readOptional(files.kubeconfigFile);
    if (text === undefined)
        throw new StepError(`${files.kubeconfigFile} is missing; launchApprover writes it`);
    const config = JSON.parse(text) as {
        clusters: { cluster: { server: string; "certificate-authority-data": string } }[];
        users: { user: { token: string } }[];
    };
    const { cluster } = config.clusters[0];
    const authorityPem = Buffer.from(cluster["certificate-authority-data"], "base64").toString("utf8");
    return credentialOf(cluster.server, authorityPem, config.users[0].user.token);
}

/** The request for a token of a ServiceAccount, and where it is sent. */
export function tokenRequest({ namespace, serviceAccount, tokenSeconds }: ApproverSettings | ApproverInput): {
    path: string;
    body: object;
} {
    return {
        path: `/api/v1/namespaces/${namespace}/serviceaccounts/${serviceAccount}/token`,
        body: {
            apiVersion: "authentication.k8s.io/v1",
            kind: "TokenRequest",
            spec: { expirationSeconds: tokenSeconds },
        },
    };
}

/** What the API server answers to it. */
export interface TokenAnswer {
    status: { token: string };
}
