import { rm } from "node:fs/promises";
import { networkInterfaces } from "node:os";
import type { NodeInput, NodeOutput } from "../contract";
import * as agent from "./agent";
import { endBootstrap, tokenServes } from "./bootstrap";
import { forgetRequests } from "./certificates/certificateRequests";
import { hasCertificate } from "./certificates/certificates";
import { StepError } from "../lib/errors";
import { claimFolder, expandHome, readOptional, sha256OfFile } from "../lib/files";
import { clusterOf, ifClusterAnswers, withKube } from "../lib/kube";
import { ensureToken, startAgent } from "./launch";
import { blocking, listeners } from "../host/ports";
import { isAlive } from "../lib/processes";
import { needProgram } from "../lib/programs";
import { orUndo, progress, step } from "../lib/step";

/**
 * Starts the node's agent as a process of its own session, so that it outlives this step and whoever started it. An agent
 * that runs already from the same binary with the same command line is kept; another one of this node is replaced.
 *
 * A bootstrap token is there only as long as a node needs it: one that has its client certificate, or cannot be launched, has
 * none; one that must join (again) gets a new one if the old one has ended.
 */
export function launchNode(input: NodeInput): Promise<NodeOutput> {
    return orUndo(
        () => launch(input),
        () => endToken(input),
    );
}

async function launch(input: NodeInput): Promise<NodeOutput> {
    const program = await needProgram(input.program, "KrustletNode.program");
    const files = agent.agentFiles(input.stateDir);
    await claimFolder(files.stateDir, input);
    const [cluster, programSha256] = await Promise.all([
        clusterOf(input.kubeconfigFile),
        sha256OfFile(program),
    ]);
    const argv = agent.agentArgv(program, input);
    const wanted = {
        argvHash: agent.hashOf([argv, agent.agentEnvironment(input, {})]),
        programSha256,
        clusterHash: agent.hashOf(cluster.certificateAuthorityData),
    };
    const authority = Buffer.from(cluster.certificateAuthorityData, "base64").toString("utf8");
    const certified = await hasCertificate("client", files, input, authority);
    const bootstrapFile = expandHome(input.bootstrapFile);

    const record = await agent.readRecord(files);
    const output = (pid: number): NodeOutput => ({
        pid,
        logFile: files.logFile,
        dataDir: files.dataDir,
        kubeconfigFile: files.kubeconfigFile,
    });
    const asWanted = Object.entries(wanted).every(
        ([key, value]) => record?.[key as keyof typeof wanted] === value,
    );
    const mayGoOn = () =>
        certified || withKube(input.kubeconfigFile, (kube) => tokenServes(kube, bootstrapFile));
    if (record && isAlive(record) && asWanted && (await mayGoOn())) {
        progress(`agent ${record.pid} of node "${input.nodeName}" runs already`);
        if (certified) await endToken(input);
        return output(record.pid);
    }
    await agent.endAgents(files, progress);
    checkAddress(input);
    await forgetRequests(input.kubeconfigFile, files);
    if (!certified) {
        // What an earlier cluster signed is of no use in this one.
        await rm(files.kubeconfigFile, { force: true });
        await withKube(input.kubeconfigFile, (kube) => ensureToken(kube, input));
    }
    const started = await startAgent(files, input.nodeName, {
        ...wanted,
        argv,
        nodeIp: input.nodeIp,
        port: input.port,
        bootstrapFile,
        tokenTtlSeconds: input.tokenTtlSeconds,
        joined: certified || (record?.joined === true && record.clusterHash === wanted.clusterHash),
    });
    if (certified) await endToken(input);
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

/** Ends the node's token, if there may be one: its file goes after it. */
async function endToken(input: NodeInput): Promise<void> {
    if ((await readOptional(expandHome(input.bootstrapFile))) === undefined) return;
    await ifClusterAnswers(
        input.kubeconfigFile,
        (kube) => endBootstrap(kube, input, input.bootstrapFile),
        progress,
    );
}

step(module, "launchNode", agent.nodeInput, launchNode);
