import { rm } from "node:fs/promises";
import type { NodeInput, NodeOutput } from "../contract";
import { checkAddress, podsHaveAddresses } from "./agent/address";
import * as agent from "./agent/agent";
import { agentPlace } from "./agent/inContainer";
import { approverFiles, endApprovers } from "./certificates/approverFiles";
import { endBootstrap, tokenServes } from "./bootstrap";
import { forgetRequests } from "./certificates/certificateRequests";
import { hasCertificate } from "./certificates/certificates";
import { uncordon } from "./drain";
import { messageOf } from "../lib/errors";
import { expandHome, readOptional, sha256OfFile, writePrivate } from "../lib/files";
import { claimFolder } from "./folder";
import { earlierRun } from "../lib/journal";
import { ifClusterAnswers, withKube } from "../lib/kube/kube";
import { parseKubeconfig } from "../lib/kube/kubeconfig";
import { faultOf } from "./agent/health";
import { ensureToken, nameOfAgent, noteAddress, startAgent } from "./agent/launch";
import { endDaemons, runs } from "./daemon/daemon";
import { imageOf, removeUnusedImages } from "./daemon/image";
import { clusterFrom } from "./daemon/onNetwork";
import { needProgram } from "../lib/programs/programs";
import { orUndo, progress, step } from "../lib/step";

/**
 * Starts the node's agent as a process of its own session, so that it outlives this step and whoever started it, or in a container on
 * the cluster's network. An agent that runs already from the same binary with the same command line, and asks registries by the same
 * environment, is kept; another one of this node is replaced.
 *
 * A bootstrap token is there only as long as a node needs it: one that has its client certificate, or cannot be launched, has
 * none; one that must join (again) gets a new one if the old one has ended.
 */
export function launchNode(input: NodeInput): Promise<NodeOutput> {
    return orUndo(
        async () => {
            const output = await launch(input);
            // Its removal may have been begun.
            if (earlierRun()?.done === false)
                await withKube(input.kubeconfigFile, (kube) => uncordon(kube, input.nodeName));
            return output;
        },
        () => endToken(input),
    );
}

async function launch(input: NodeInput): Promise<NodeOutput> {
    const program = await needProgram(input.program, "KrustletNode.program");
    const files = agent.agentFiles(input.stateDir);
    await claimFolder(files.stateDir, input);
    const podRoutes = (await podsHaveAddresses(input)) ? files.podRoutes : undefined;
    if (podRoutes === undefined && input.network !== undefined && input.podAddresses === undefined)
        progress(
            `no network program with routes to pods of node "${input.nodeName}" is known in the cluster: they have its address (podAddresses says otherwise)`,
        );
    const [cluster, programSha256, place] = await Promise.all([
        clusterFrom(input.network, input.kubeconfigFile),
        sha256OfFile(program),
        agentPlace(input, process.env, podRoutes),
    ]);
    const argv = agent.agentArgv(program, input, podRoutes);
    const wanted = {
        argvHash: agent.hashOf([argv, agent.agentEnvironment(input, {}), ...(place ? [place] : [])]),
        programSha256,
        clusterHash: agent.hashOf(cluster.certificateAuthorityData),
    };
    const authority = Buffer.from(cluster.certificateAuthorityData, "base64").toString("utf8");
    const record = await agent.readRecord(files);
    const certified =
        (await hasCertificate("client", files, input, authority)) &&
        // Where it is moved into a container or out of one, it asks for a credential that leads to the cluster from there.
        ((place ?? record?.place) === undefined || (await serverIn(files.kubeconfigFile)) === cluster.server);
    const bootstrapFile = expandHome(input.bootstrapFile);

    const output = ({ pid, container }: agent.AgentRecord): NodeOutput => ({
        pid,
        nodeIp: container?.address,
        logFile: files.logFile,
        dataDir: files.dataDir,
        kubeconfigFile: files.kubeconfigFile,
    });
    const asWanted = Object.entries(wanted).every(
        ([key, value]) => record?.[key as keyof typeof wanted] === value,
    );
    const mayGoOn = () =>
        certified || withKube(input.kubeconfigFile, (kube) => tokenServes(kube, bootstrapFile));
    const asIs = record !== undefined && asWanted && agent.changedVariables(record, process.env).length === 0;
    const running = record !== undefined && (await runs(record));
    if (asIs && running && (await mayGoOn()) && (await faultOf(input, files, record)) === undefined) {
        progress(`${nameOfAgent(record)} of node "${input.nodeName}" runs already`);
        if (certified) await endToken(input);
        return output(await noteAddress(files, record));
    }
    // Whatever can be wrong is looked for while the old one still runs.
    const { nodeIp } = input;
    const onPort = nodeIp === undefined ? [] : await agent.agentsOn(input.owner, nodeIp, input.port);
    if (nodeIp !== undefined) await checkAddress({ ...input, nodeIp }, onPort.length > 0);
    const supervisor = await needProgram("krustlet-supervisor", `KrustletNode "${input.nodeName}"`);
    if (place !== undefined) await imageOf([program, supervisor]);
    if (!certified) await withKube(input.kubeconfigFile, (kube) => ensureToken(kube, input));
    const launch = {
        ...wanted,
        argv,
        place,
        nodeIp,
        port: input.port,
        bootstrapFile,
        tokenTtlSeconds: input.tokenTtlSeconds,
        joined: certified || (record?.joined === true && record.clusterHash === wanted.clusterHash),
    };
    const credential = await readOptional(files.kubeconfigFile);
    const replace = async () => {
        // A node that was renamed, or gave its port to this one, is stopped or started elsewhere by its own resource, and only after this.
        await endDaemons("agent", onPort, progress);
        await agent.endAgents(files, progress);
        // It decides by what the node was, and would deny what one with another address asks for. It is started again once this one is
        // joined.
        if (record?.argvHash !== wanted.argvHash) await endApprovers(approverFiles(input.stateDir), progress);
        await forgetRequests(input.kubeconfigFile, files);
        // What an earlier cluster signed is of no use in this one.
        if (!certified) await rm(files.kubeconfigFile, { force: true });
        return startAgent(files, input.nodeName, launch);
    };
    const started = await replace().catch(async (error: unknown) => {
        if (running) await startOldAgain(files, input.nodeName, record, credential);
        throw error;
    });
    if (certified) await endToken(input);
    if (place !== undefined || record?.container !== undefined) await removeUnusedImages();
    return output(started);
}

/** The API server that the node's own kubeconfig leads to. */
async function serverIn(kubeconfigFile: string): Promise<unknown> {
    const config = parseKubeconfig((await readOptional(kubeconfigFile)) ?? "{}");
    return config instanceof Error ? undefined : config.clusters.at(0)?.body.server;
}

/** A change that fails leaves what ran running: the pods of the node are not to pay for it. */
async function startOldAgain(
    files: agent.AgentFiles,
    name: string,
    record: agent.AgentRecord,
    credential: string | undefined,
): Promise<void> {
    try {
        // By this it reaches the cluster from where it was; what it joined with is of the place where it was to go.
        if (credential !== undefined) await writePrivate(files.kubeconfigFile, credential);
        const again = await startAgent(files, name, record);
        progress(`the agent of before runs again (${nameOfAgent(again)})`);
    } catch (error) {
        progress(`the agent of before could not be started again: ${messageOf(error)}`);
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
