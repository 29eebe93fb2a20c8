import { mkdirSync, statSync } from "node:fs";
import { connect } from "node:net";
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
import { running } from "../daemon/container";
import { startDaemon, type DaemonRecord } from "../daemon/daemon";
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
            place: launch.place,
            works: (record) => works(files, launch, record),
            watchMilliseconds,
            mustShow: false,
        },
        { ...launch, registryVariables: registryVariables(process.env) },
    );
    progress(`${nameOfAgent(record)} of node "${name}" started; its log: ${files.logFile}`);
    return record;
}

/** What an agent is called in messages: `agent 4711`. */
export function nameOfAgent({ pid, container }: Pick<AgentRecord, "pid" | "container">): string {
    return container === undefined ? `agent ${pid}` : `agent in container ${container.name}`;
}

/** It listens, or has come as far as asking for its certificate. */
function works(
    files: AgentFiles,
    { nodeIp, port }: AgentLaunch,
    { launchedAt, container }: DaemonRecord,
): boolean | Promise<boolean> {
    const asked = statSync(files.publicKeys.client, { throwIfNoEntry: false });
    if (asked && asked.mtimeMs >= launchedAt) return true;
    // What listens in a container is not among this host's own.
    if (container !== undefined) return answers(container.address, port);
    return blocking(listeners(), nodeIp, port) !== undefined;
}

/** Whether something takes a connection there. */
function answers(address: string, port: number): Promise<boolean> {
    return new Promise((resolve) => {
        const socket = connect({ host: address, port, timeout: 200 });
        const end = (found: boolean) => {
            socket.destroy();
            resolve(found);
        };
        socket.once("connect", () => {
            end(true);
        });
        for (const event of ["timeout", "error"]) {
            socket.once(event, () => {
                end(false);
            });
        }
    });
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
    /** See NodeInput. */
    network?: string;
}

/** A node without a certificate needs a bootstrap token; the one in its file may have been revoked or run out. */
export async function ensureToken(kube: Kube, needs: TokenNeeds): Promise<void> {
    if (await tokenServes(kube, expandHome(needs.bootstrapFile))) return;
    progress(`node "${needs.nodeName}" has no bootstrap token that serves; making another one`);
    const { kubeconfigFile, owner, nodeName, network, tokenTtlSeconds } = needs;
    await makeBootstrapToken({
        kubeconfigFile,
        owner,
        nodeName,
        network,
        group: needs.bootstrapGroup,
        tokenTtlSeconds,
        file: needs.bootstrapFile,
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
        await withKube(needs.kubeconfigFile, (kube) =>
            ensureToken(kube, { ...needs, ...record, network: record.place?.network }),
        );
    try {
        return await startAgent(files, needs.nodeName, record);
    } catch (error) {
        // How it is to be started must stay known: the step that is tried again starts it from there.
        await writeRecord(files, record);
        throw error;
    }
}

/** Notes the address that the agent's container has by now. */
export async function noteAddress(files: AgentFiles, record: AgentRecord): Promise<AgentRecord> {
    const now = record.container && (await running(record.container));
    if (record.container === undefined || now === undefined) return record;
    const noted = { ...record, container: { ...record.container, ...now } };
    if (now.address !== record.container.address) await writeRecord(files, noted);
    return noted;
}

/** Notes that the agent's folder holds a client certificate of its cluster. */
export async function noteJoined(files: AgentFiles, record: AgentRecord): Promise<void> {
    if (!record.joined) await writeRecord(files, { ...record, joined: true });
}
