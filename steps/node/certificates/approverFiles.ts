import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { ApproverInput } from "../../contract";
import { keptOf } from "../agent/agent";
import { endProgram } from "../daemon/daemon";
import type { NodeFacts } from "./deciding";
import { expandHome } from "../../lib/files";
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
    network: optional(text),
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
    /** Its credential at the API server, as a kubeconfig in JSON; it renews the token in it. */
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

/** The approver's command line: its folder, the container that it is in, if any, and nothing that is secret. */
export function approverArgv(program: string, files: ApproverFiles, container?: string): string[] {
    return [program, "watch", mark(files), ...(container === undefined ? [] : [`--container=${container}`])];
}

/** By this argument an approver is known to be of a folder. */
function mark(files: ApproverFiles): string {
    return `--state-dir=${files.stateDir}`;
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
    return endProgram("approver", files, () => runningApprovers(files), note);
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
    /** Name of the agent's container, where it is in one: its address then is the node's, whatever `nodeIp` was. */
    nodeHost?: string;
}
