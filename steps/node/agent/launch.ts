import { mkdirSync, statSync } from "node:fs";
import {
    agentEnvironment,
    endAgents,
    type AgentFiles,
    type AgentLaunch,
    type AgentRecord,
    registryVariables,
    writeRecord,
} from "./agent";
import { makeBootstrapToken, tokenServes } from "../bootstrap";
import { forgetRequests } from "../certificates/certificateRequests";
import { startDaemon } from "../daemon/daemon";
import { expandHome } from "../../lib/files";
import { withKube, type Kube } from "../../lib/kube/kube";
import { blocking, listeners } from "../../host/ports";
import { progress } from "../../lib/step";

/** How long an agent is watched that neither fails nor shows that it works, in milliseconds. */
const watchMilliseconds = 1500;

/** Starts a node's agent as it is to be started; `name` is the node's. */
export async function startAgent(files: AgentFiles, name: string, launch: AgentLaunch): Promise<AgentRecord> {
    mkdirSync(files.dataDir, { recursive: true, mode: 0o700 });
    const record = await startDaemon(
        {
            title: `KrustletNode "${name}": its agent`,
            argv: launch.argv,
            env: agentEnvironment({ stateDir: files.stateDir }, process.env),
            logFile: files.logFile,
            pidFile: files.pidFile,
            works: (launchedAt) => works(files, launch, launchedAt),
            watchMilliseconds,
            mustShow: false,
        },
        { ...launch, registryVariables: registryVariables(process.env) },
    );
    progress(`agent ${record.pid} of node "${name}" started; its log: ${files.logFile}`);
    return record;
}

/** It listens, or has come as far as asking for its certificate. */
function works(files: AgentFiles, { nodeIp, port }: AgentLaunch, launchedAt: number): boolean {
    const asked = statSync(files.publicKeys.client, { throwIfNoEntry: false });
    if (asked && asked.mtimeMs >= launchedAt) return true;
    return blocking(listeners(), nodeIp, port) !== undefined;
}

/** What a node's bootstrap token needs to be made. */
export interface TokenNeeds {
    /** Admin kubeconfig of the cluster. */
    kubeconfigFile: string;
    owner: string;
    nodeName: string;
    bootstrapGroup: string;
    tokenTtlSeconds: number;
    bootstrapFile: string;
}

/** A node without a certificate needs a bootstrap token; the one in its file may have been revoked or run out. */
export async function ensureToken(kube: Kube, needs: TokenNeeds): Promise<void> {
    if (await tokenServes(kube, expandHome(needs.bootstrapFile))) return;
    progress(`node "${needs.nodeName}" has no bootstrap token that serves; making another one`);
    const { kubeconfigFile, owner, nodeName, bootstrapGroup: group, tokenTtlSeconds, bootstrapFile } = needs;
    await makeBootstrapToken({
        kubeconfigFile,
        owner,
        nodeName,
        group,
        tokenTtlSeconds,
        file: bootstrapFile,
    });
}

/**
 * Starts an agent again that was launched before: it has ended, or its token did before it had a certificate. What it asked
 * for is deleted: the new process has new keys.
 */
export async function relaunch(
    files: AgentFiles,
    record: AgentRecord,
    certified: boolean,
    needs: Omit<TokenNeeds, "tokenTtlSeconds" | "bootstrapFile">,
): Promise<AgentRecord> {
    await endAgents(files, progress);
    await forgetRequests(needs.kubeconfigFile, files);
    if (!certified)
        await withKube(needs.kubeconfigFile, (kube) => ensureToken(kube, { ...needs, ...record }));
    try {
        return await startAgent(files, needs.nodeName, record);
    } catch (error) {
        // How it is to be started must stay known: the step that is tried again starts it from there.
        await writeRecord(files, record);
        throw error;
    }
}

/** Notes that the agent's folder holds a client certificate of its cluster. */
export async function noteJoined(files: AgentFiles, record: AgentRecord): Promise<void> {
    if (!record.joined) await writeRecord(files, { ...record, joined: true });
}
