import {
    NamedKind,
    NodeRuntime,
    type PreflightInput,
    type WantedName,
    type PreflightOutput,
} from "../contract";
import { agentsOn } from "../node/agent/agent";
import { containerName } from "../node/daemon/container";
import { approverProgram } from "../node/certificates/deciding";
import { currentClaim } from "../lib/claim";
import * as dockerLib from "../lib/docker";
import { containerNamed, volume } from "../lib/docker";
import { messageOf, StepError } from "../lib/errors";
import { lookAt, type ClusterLook } from "../cluster/looks";
import { describe } from "../workload/modules";
import { mergeFileFaults } from "./mergeFile";
import { listeners } from "./ports";
import * as preflightLib from "./preflightProblems";
import { findProgram, isBuilt, missingTools, programFault } from "../lib/programs/programs";
import { step } from "../lib/step";
import { wasmOci, WasmOciError } from "../lib/wasmOci";

/** Looks for everything that would make the stack fail later, at once and without changing anything. */
export async function preflight(input: PreflightInput): Promise<PreflightOutput> {
    const cluster = lookAt(input.cluster, input.owner, namesToSee(input));
    const [docker, ...others] = await Promise.all([
        clusterAndDocker(input, cluster),
        tools(input, cluster),
        artifactTool(input),
        remoteRegistry(input),
        mergeFileFaults(input.cluster.kind?.mergeKubeconfigFile),
        ...input.modules.map((one) => faultsOf(() => describe(one))),
        ...input.nodes.map(nodePrograms),
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

/**
 * Services are looked at by looks of their own, once there is a kubeconfig; before that, which is before anything has been made, here.
 */
function namesToSee({ names = [] }: PreflightInput): WantedName[] {
    const claim = currentClaim();
    const isFirst = claim === undefined || claim.fresh === true;
    return isFirst ? names : names.filter(({ kind }) => kind !== NamedKind.Service);
}

/** The cluster, and all that only Docker can tell: none of it when a daemon is needed and none answers. */
async function clusterAndDocker(
    input: PreflightInput,
    cluster: ClusterLook,
): Promise<{ version: string; faults: string[] }> {
    const { localRegistry } = input;
    const questions = Promise.all([
        cluster.look(),
        localRegistry && containerNamed(localRegistry.containerName),
        localRegistry?.dataVolume === undefined ? undefined : volume(localRegistry.dataVolume),
        Promise.all(input.nodes.map((node) => containersInTheWay(node, input.owner))),
    ]);
    // When no daemon answers, dockerHost says it better.
    questions.catch(() => undefined);
    let host: dockerLib.DockerHost | undefined;
    try {
        if (cluster.docker || localRegistry !== undefined || preflightLib.inContainers(input))
            host = await dockerLib.dockerHost();
    } catch (error) {
        // A missing docker is among the missing tools.
        const known = (await findProgram("docker")) === undefined;
        return { version: "", faults: known ? [] : [messageOf(error)] };
    }
    const [look, registry, dataVolume, inTheWay] = await questions;
    const listening = listeners();
    return {
        version: host?.serverVersion ?? "",
        faults: [
            ...(localRegistry && host ? preflightLib.daemonFaults(await daemons(host.id)) : []),
            ...look.faults,
            ...(input.cluster.kind
                ? preflightLib.portMappingFaults(input.cluster.kind, look.own ?? [], listening)
                : []),
            ...(localRegistry
                ? preflightLib.registryFaults(localRegistry, input.owner, registry, listening)
                : []),
            ...(dataVolume ? preflightLib.volumeFaults(dataVolume, input.owner) : []),
            ...inTheWay.flat(),
            ...preflightLib.nodePortFaults(
                await Promise.all(
                    input.nodes
                        // Each container has all ports of its own.
                        .filter(({ runtime }) => runtime !== NodeRuntime.Container)
                        .map((node) => nodePort(node, input.owner)),
                ),
                look.nodeAddress,
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

async function containersInTheWay(
    { name, runtime }: PreflightInput["nodes"][number],
    owner: string,
): Promise<string[]> {
    if (runtime !== NodeRuntime.Container) return [];
    const names = (["agent", "approver"] as const).map((part) => containerName(owner, name, part));
    const found = await Promise.all(names.map(containerNamed));
    return names.flatMap((one, index) => preflightLib.containerFaults(name, one, owner, found[index]));
}

async function nodePort(
    { name, ip, port }: PreflightInput["nodes"][number],
    owner: string,
): Promise<preflightLib.NodePort> {
    // Any of the stack's own agents gives its port up to the one that is to have it.
    return { name, ip, port, heldByItsAgent: (await agentsOn(owner, ip, port)).length > 0 };
}

async function tools(input: PreflightInput, cluster: ClusterLook): Promise<string[]> {
    const needed = preflightLib.neededTools(input, cluster.programs);
    const found = await Promise.all(needed.map((tool) => findProgram(tool)));
    return missingTools(needed.filter((_, index) => found[index] === undefined));
}

async function artifactTool({ modules, remoteRegistry }: PreflightInput): Promise<string[]> {
    if (modules.length === 0 && remoteRegistry === undefined) return [];
    const fault = await programFault("wasm-oci");
    return fault === undefined ? [] : [`${modules.length > 0 ? "WasmArtifact" : "Registry"}: ${fault}`];
}

/** The agent, and the approver of its certificates. */
async function nodePrograms({ name, program }: PreflightInput["nodes"][number]): Promise<string[]> {
    const faults = await Promise.all([program, approverProgram].map(programFault));
    return faults.filter((fault) => fault !== undefined).map((fault) => `KrustletNode "${name}": ${fault}`);
}

/** Asks as the push and the node will: through the same proxy, with the same authorities. */
export async function remoteRegistry({
    remoteRegistry,
}: Pick<PreflightInput, "remoteRegistry">): Promise<string[]> {
    // Where wasm-oci is yet to be built, a look would take minutes: then the push tells what is wrong.
    if (remoteRegistry === undefined || !(await isBuilt("wasm-oci"))) return [];
    const { address, plainHttp, trustedCaFile } = remoteRegistry;
    const access = { insecureRegistries: plainHttp ? [address] : [], trustedCaFile };
    const command = ["ping", address, "--connect-timeout=5", "--read-timeout=5"];
    try {
        const { serves, status } = await wasmOci(command, access, `Registry: could not ask ${address}`);
        return serves === true ? [] : [preflightLib.noRegistry(address, plainHttp, Number(status))];
    } catch (error) {
        if (!(error instanceof WasmOciError)) throw error;
        return [error.message + preflightLib.otherProtocol(plainHttp, error.message)];
    }
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
