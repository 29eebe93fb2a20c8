import { readFileSync } from "node:fs";
import type { PreflightInput, PreflightOutput } from "../contract";
import { agentFiles, readRecord } from "../node/agent";
import * as dockerLib from "../lib/docker";
import { containerNamed, containers, gatewayOf, network, volume } from "../lib/docker";
import { messageOf, StepError } from "../lib/errors";
import * as kind from "../cluster/kind";
import { describe } from "../workload/modules";
import { mergeFileFaults } from "./mergeFile";
import { listeners } from "./ports";
import * as preflightLib from "./preflightProblems";
import { findProgram, missingTools, programFault } from "../lib/programs";
import { isAlive } from "../lib/processes";
import { askRegistry } from "../registry/registry";
import { step } from "../lib/step";

/** Looks for everything that would make the stack fail later, at once and without changing anything. */
export async function preflight(input: PreflightInput): Promise<PreflightOutput> {
    const [docker, ...others] = await Promise.all([
        inDocker(input),
        tools(input),
        artifactTool(input),
        remoteRegistry(input),
        mergeFileFaults(input.cluster.mergeKubeconfigFile),
        ...input.modules.map((one) => faultsOf(() => describe(one))),
        ...input.nodes.map(agentProgram),
    ]);
    const faults = [...docker.faults, ...others.flat(), ...input.nodes.flatMap(preflightLib.folderFaults)];
    if (faults.length > 0) {
        const count = faults.length === 1 ? "a problem" : `${faults.length} problems`;
        throw new StepError(
            `${count} to mend before anything is created:\n${faults.map((one) => `- ${one}`).join("\n")}`,
        );
    }
    return { dockerVersion: docker.version };
}

/** All that only Docker can tell: none of it when no daemon answers. */
async function inDocker(input: PreflightInput): Promise<{ version: string; faults: string[] }> {
    const { localRegistry } = input;
    const questions = Promise.all([
        containers(`label=${kind.clusterLabel}=${input.cluster.name}`),
        localRegistry && containerNamed(localRegistry.containerName),
        localRegistry?.dataVolume === undefined ? undefined : volume(localRegistry.dataVolume),
    ]);
    // When no daemon answers, dockerHost says it better.
    questions.catch(() => undefined);
    let host: dockerLib.DockerHost;
    try {
        host = await dockerLib.dockerHost();
    } catch (error) {
        // A missing docker is among the missing tools.
        const known = (await findProgram("docker")) === undefined;
        return { version: "", faults: known ? [] : [messageOf(error)] };
    }
    const [cluster, registry, dataVolume] = await questions;
    const listening = listeners();
    return {
        version: host.serverVersion,
        faults: [
            ...(localRegistry ? preflightLib.daemonFaults(await daemons(host.id)) : []),
            ...(kind.isOurs(cluster, input.owner)
                ? []
                : [kind.notOurs(input.cluster.name, cluster, input.owner)]),
            ...(localRegistry
                ? preflightLib.registryFaults(localRegistry, input.owner, registry, listening)
                : []),
            ...(dataVolume ? preflightLib.volumeFaults(dataVolume, input.owner) : []),
            ...preflightLib.nodePortFaults(
                await Promise.all(input.nodes.map(nodePort)),
                await gatewayIfAny(kind.networkOf(cluster)),
                listening,
            ),
        ],
    };
}

/** The daemon that the steps speak to by the docker command, and the one that Pulumi's docker plugin makes the registry in. */
async function daemons(id: string): Promise<preflightLib.Daemons | undefined> {
    const context = await dockerLib.contextEndpoint();
    if (context === undefined || context.host === preflightLib.pluginEndpoint) return undefined;
    return { context, id, plugins: await dockerLib.daemonAt(preflightLib.pluginEndpoint) };
}

async function gatewayIfAny(name: string): Promise<string | undefined> {
    const found = await network(name);
    return found && gatewayOf(found);
}

async function nodePort({
    name,
    ip,
    port,
    stateDir,
}: PreflightInput["nodes"][number]): Promise<preflightLib.NodePort> {
    const record = await readRecord(agentFiles(stateDir));
    const argv =
        record && isAlive(record) ? readFileSync(`/proc/${record.pid}/cmdline`, "utf8").split("\0") : [];
    return { name, ip, port, heldByItsAgent: argv.includes(`--port=${port}`) };
}

async function tools(input: PreflightInput): Promise<string[]> {
    const needed = preflightLib.neededTools(input);
    const found = await Promise.all(needed.map((tool) => findProgram(tool)));
    return missingTools(needed.filter((_, index) => found[index] === undefined));
}

async function artifactTool({ modules }: PreflightInput): Promise<string[]> {
    const fault = modules.length > 0 ? await programFault("wasm-oci") : undefined;
    return fault === undefined ? [] : [`WasmArtifact: ${fault}`];
}

async function agentProgram({ name, program }: PreflightInput["nodes"][number]): Promise<string[]> {
    const fault = await programFault(program);
    return fault === undefined ? [] : [`KrustletNode "${name}": ${fault}`];
}

async function remoteRegistry({ remoteRegistry }: PreflightInput): Promise<string[]> {
    if (remoteRegistry === undefined) return [];
    const { address, ...how } = remoteRegistry;
    const answer = await askRegistry(address, how, 5);
    if (answer.serves) return [];
    return [
        `Registry: ${address} does not answer as a registry (${answer.what}; expected 200 or 401 at /v2/); check its name and the network` +
            preflightLib.otherProtocol(how.plainHttp, answer.what),
    ];
}

async function faultsOf(check: () => Promise<unknown>): Promise<string[]> {
    try {
        await check();
        return [];
    } catch (error) {
        return [messageOf(error)];
    }
}

step(module, "preflight", preflightLib.preflightInput, preflight);
