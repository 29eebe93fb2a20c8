import { spawn } from "node:child_process";
import { closeSync, mkdirSync, openSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import type { NodeInput, NodeOutput } from "./contract";
import * as agent from "./lib/agent";
import { makeBootstrapToken, tokenServes } from "./lib/bootstrap";
import { hasCertificate } from "./lib/certificates";
import { StepError } from "./lib/errors";
import { claimFolder, expandHome, sha256OfFile } from "./lib/files";
import { clusterOf, withKube } from "./lib/kube";
import { blocking, listeners } from "./lib/ports";
import { endProcess, isAlive, processOf, type ProcessId } from "./lib/processes";
import { findProgram } from "./lib/programs";
import { orUndo, pause, progress, step } from "./lib/step";

/** How long an agent is watched that neither fails nor shows that it works, in milliseconds. */
const watchMilliseconds = 1500;

/**
 * Starts the node's agent as a process of its own session, so that it outlives this step and whoever started it. An agent
 * that runs already from the same binary with the same command line is kept; another one of this node is replaced.
 */
export async function launchNode(input: NodeInput): Promise<NodeOutput> {
    const program = await findProgram(input.program);
    if (program === undefined) {
        throw new StepError(
            `KrustletNode.program: "${input.program}" is no program on PATH or in that place; ` +
                "`npm run doctor` shows which tools are missing and what to do",
        );
    }
    const files = agent.agentFiles(input.stateDir);
    await claimFolder(files.stateDir, input);
    const [cluster, programSha256] = await Promise.all([clusterOf(input.kubeconfig), sha256OfFile(program)]);
    const argv = agent.agentArgv(program, input);
    const wanted = {
        argvHash: agent.hashOf([argv, agent.agentEnvironment(input, {})]),
        programSha256,
        clusterHash: agent.hashOf(cluster.certificateAuthorityData),
    };

    const record = await agent.readRecord(files);
    const output = (pid: number): NodeOutput => ({
        pid,
        logFile: files.logFile,
        dataDir: files.dataDir,
        kubeconfigFile: files.kubeconfigFile,
    });
    if (
        record &&
        isAlive(record) &&
        Object.entries(wanted).every(([key, value]) => record[key as keyof typeof wanted] === value)
    ) {
        progress(`agent ${record.pid} of node "${input.nodeName}" runs already`);
        return output(record.pid);
    }
    await agent.endAgents(files, progress);
    checkAddress(input);
    const authority = Buffer.from(cluster.certificateAuthorityData, "base64").toString("utf8");
    if (!(await hasCertificate("client", files, input, authority))) {
        // What an earlier cluster signed is of no use in this one.
        await rm(files.kubeconfigFile, { force: true });
        await ensureToken(input);
    }
    const started = await start(input, files, argv, wanted);
    return output(started.pid);
}

/** The agent would fail on these too, but less clearly. */
function checkAddress(input: NodeInput): void {
    const own = Object.values(networkInterfaces()).flatMap(
        (addresses) => addresses?.map(({ address }) => address) ?? [],
    );
    if (!own.includes(input.nodeIp)) {
        throw new StepError(
            `KrustletNode "${input.nodeName}": nodeIp ${input.nodeIp} is no address of this host (it has ${own.join(", ")}); ` +
                "the gateway address of the cluster's Docker network is the one to give",
        );
    }
    const other = blocking(listeners(), input.nodeIp, input.port);
    if (other) {
        throw new StepError(
            `KrustletNode "${input.nodeName}": port ${input.port} of ${input.nodeIp} is in use: something listens on ` +
                `${other.address}:${other.port}; end it (\`ss -ltnp\` names it) or give the node another port`,
        );
    }
}

/** A node without a certificate needs a bootstrap token; the one in its file may have been revoked or run out. */
async function ensureToken(input: NodeInput): Promise<void> {
    const file = expandHome(input.bootstrapFile);
    if (await withKube(input.kubeconfig, (kube) => tokenServes(kube, file))) return;
    progress(`the bootstrap token of node "${input.nodeName}" serves no more; making another one`);
    const { kubeconfig, owner, nodeName, bootstrapGroup: group, tokenTtlSeconds, bootstrapFile } = input;
    await makeBootstrapToken({ kubeconfig, owner, nodeName, group, tokenTtlSeconds, file: bootstrapFile });
}

async function start(
    input: NodeInput,
    files: agent.AgentFiles,
    argv: string[],
    wanted: Pick<agent.AgentRecord, "argvHash" | "programSha256" | "clusterHash">,
): Promise<ProcessId> {
    mkdirSync(files.dataDir, { recursive: true, mode: 0o700 });
    const log = openSync(files.logFile, "a", 0o600);
    const logOffset = statSync(files.logFile).size;
    const launchedAt = Date.now();
    const child = spawn(argv[0], argv.slice(1), {
        // Its own session: signals for this step's group, and the end of it, are not for the agent.
        detached: true,
        stdio: ["ignore", log, log],
        cwd: "/",
        env: agent.agentEnvironment(input, process.env),
    });
    closeSync(log);
    child.on("error", () => undefined);
    child.unref();
    const process_ = child.pid === undefined ? undefined : processOf(child.pid);
    const record: agent.AgentRecord = {
        pid: process_?.pid ?? 0,
        startTime: process_?.startTime ?? "",
        launchedAt,
        logOffset,
        ...wanted,
        bootstrapFile: expandHome(input.bootstrapFile),
    };
    const died = () =>
        new StepError(
            `KrustletNode "${input.nodeName}": its agent ended at once; ${agent.logOf(files, record)}`,
        );
    if (process_ === undefined) throw died();
    return orUndo(
        async () => {
            await agent.writeRecord(files, record);
            progress(`agent ${record.pid} of node "${input.nodeName}" started; its log: ${files.logFile}`);
            const end = launchedAt + watchMilliseconds;
            while (Date.now() < end && !works(input, files, launchedAt)) {
                if (!isAlive(record)) throw died();
                await pause(20);
            }
            if (!isAlive(record)) throw died();
            return record;
        },
        async () => {
            await endProcess(record, 5);
            await rm(files.pidFile, { force: true });
        },
    );
}

/** It listens, or has come as far as asking for its certificate. */
function works(input: NodeInput, files: agent.AgentFiles, launchedAt: number): boolean {
    const asked = statSync(files.publicKeys.client, { throwIfNoEntry: false });
    if (asked && asked.mtimeMs >= launchedAt) return true;
    return blocking(listeners(), input.nodeIp, input.port) !== undefined;
}

step(module, "launchNode", agent.nodeInput, launchNode);
