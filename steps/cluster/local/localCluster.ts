// What is done alike with every cluster that a tool of this machine makes.
import { describeOwner, isOf, knownToState } from "../../lib/claim";
import {
    LocalClusterTool,
    type ClusterOutput,
    type LocalClusterInput,
    type ObserveLocalClusterInput,
} from "../../contract";
import { messageOf, StepError } from "../../lib/errors";
import { KubeError, withKube } from "../../lib/kube/kube";
import { clusterOf } from "../../lib/kube/access";
import { parseKubeconfig } from "../../lib/kube/kubeconfig";
import { needTools } from "../../lib/programs/programs";
import { RunError } from "../../lib/run";
import {
    integer,
    localClusterName,
    object,
    oneOf,
    optional,
    owner,
    seconds,
    text,
    type Fields,
} from "../../lib/schema";
import { orUndo, pause, progress, stopIfEnding } from "../../lib/step";
import {
    checkAdminKubeconfig,
    removeAdminKubeconfig,
    writeAdminKubeconfig,
    type AdminKubeconfig,
} from "../adminKubeconfig";
import { onlyContext } from "../existing/onlyContext";
import { portMappings } from "../kind/kind";
import { findNodePlace } from "../nodeAddress";
import { unready } from "../readiness";
import { serverFacts, untilTakesPods, type ServerFacts } from "../serverFacts";
import { k3d } from "./k3d";
import { microk8s } from "./microk8s";
import { minikube } from "./minikube";
import { untilAlone, type FoundCluster, type LocalTool } from "./tool";

/** What makes it another cluster. */
export const wantedFields: Fields<ObserveLocalClusterInput["wanted"]> = {
    tool: oneOf(Object.values(LocalClusterTool)),
    name: localClusterName,
    version: optional(text),
    driver: optional(text),
    servers: optional(integer(1, 20)),
    agents: optional(integer(0, 20)),
    portMappings,
};

/** Input of createLocalCluster and deleteLocalCluster. */
export const localClusterInput = object<LocalClusterInput>({
    ...wantedFields,
    owner,
    waitSeconds: seconds,
    kubeconfigFile: text,
    because: optional(text),
});

/** Input of observeLocalCluster. */
export const observeLocalClusterInput = object<ObserveLocalClusterInput>({
    resource: text,
    owner,
    kubeconfigFile: text,
    wanted: object<ObserveLocalClusterInput["wanted"]>(wantedFields),
});

export const localTools: Record<LocalClusterTool, LocalTool> = { minikube, microk8s, k3d };

/** Why a cluster may not be touched; undefined: it is the owner's. */
export function foreign(
    tool: LocalTool,
    name: string,
    { owner }: FoundCluster,
    whose: string,
): string | undefined {
    if (isOf(owner, whose)) return undefined;
    const by = owner === undefined ? "was not made by this stack" : `belongs to ${describeOwner(owner)}`;
    return (
        `${tool.component}.name: a cluster "${name}" exists and ${by}, so ${whose} does not touch it; choose another name, use it as ` +
        `an existing cluster, or remove it with \`${tool.removal(name).join(" ")}\` if nobody needs it`
    );
}

/**
 * A cluster of this owner's that answers and whose nodes are Ready. One that is there is kept, and started if it stands still;
 * anybody else's is refused. A new one that does not come up is removed again; one that was there never is.
 */
export async function bringUp(tool: LocalTool, input: LocalClusterInput): Promise<ClusterOutput> {
    await needTools(...tool.programs);
    await untilAlone(tool, input.name);
    stopIfEnding();
    await checkAdminKubeconfig(fileOf(tool, input));
    const found = await tool.find(input.name);
    if (found !== undefined) {
        const fault = foreign(tool, input.name, found, input.owner);
        if (fault !== undefined) throw new StepError(fault);
        if (found.running) progress(`cluster "${input.name}" is there already`);
        else await saying(tool, input, "could not start it", () => tool.start(input));
        return describe(tool, input);
    }
    return orUndo(
        async () => {
            await saying(tool, input, "could not create it", () => tool.create(input));
            return describe(tool, input);
        },
        // What the state knows is a user's, whatever the tool said of it: only its own deletion ends it.
        () => (knownToState() ? Promise.resolve() : takeDown(tool, input)),
    );
}

/** Removes the owner's cluster and the file of its kubeconfig. None there is fine. */
export async function takeDown(
    tool: LocalTool,
    input: Pick<LocalClusterInput, "name" | "owner" | "kubeconfigFile">,
): Promise<void> {
    await needTools(...tool.programs);
    await untilAlone(tool, input.name);
    const found = await tool.find(input.name);
    const fault = found && foreign(tool, input.name, found, input.owner);
    if (fault !== undefined) {
        progress(`${fault}: left alone`);
        return;
    }
    if (found !== undefined) await tool.remove(input.name);
    await removeAdminKubeconfig(fileOf(tool, input));
}

function fileOf(
    tool: LocalTool,
    { name, kubeconfigFile }: Pick<LocalClusterInput, "name" | "kubeconfigFile">,
): AdminKubeconfig {
    return { argument: `${tool.component}.kubeconfigFile`, entryName: tool.contextOf(name), kubeconfigFile };
}

/** Writes the file of a cluster's admin kubeconfig, as its tool has it. */
export async function write(
    tool: LocalTool,
    input: Pick<LocalClusterInput, "name" | "kubeconfigFile">,
): Promise<string> {
    const context = tool.contextOf(input.name);
    const source = await tool.kubeconfig(input.name);
    const config = parseKubeconfig(source);
    if (config instanceof Error)
        throw new StepError(`${tool.component} "${input.name}": what its tool gave ${config.message}`);
    return writeAdminKubeconfig(fileOf(tool, input), await onlyContext(config, "/", context));
}

async function describe(tool: LocalTool, input: LocalClusterInput): Promise<ClusterOutput> {
    const called = `${tool.component} "${input.name}"`;
    const kubeconfigFile = await write(tool, input);
    const { server } = await clusterOf(kubeconfigFile);
    const deadline = Date.now() + input.waitSeconds * 1000;
    for (;;) {
        const { fault, facts } = await look(kubeconfigFile);
        if (facts !== undefined) {
            const place = await findNodePlace({ server, nodeAddresses: facts.nodeAddresses });
            if (typeof place === "string")
                throw new StepError(`${called}: no address for a Wasm node: ${place}`);
            await untilTakesPods(called, kubeconfigFile, input.waitSeconds);
            return {
                name: input.name,
                kubeconfigFile,
                context: tool.contextOf(input.name),
                server,
                kubernetesVersion: facts.kubernetesVersion,
                ...place,
                identity: facts.identity,
            };
        }
        if (Date.now() > deadline) {
            throw new StepError(
                `${called}: ${fault} after waitSeconds ${input.waitSeconds}; raise waitSeconds if the machine is slow`,
            );
        }
        await pause(500);
    }
}

/** The cluster as it answers now, or why it does not serve yet. */
async function look(
    kubeconfigFile: string,
): Promise<{ facts: ServerFacts; fault?: undefined } | { facts?: undefined; fault: string }> {
    try {
        const facts = await withKube(kubeconfigFile, serverFacts);
        const names = facts.nodes.map(({ metadata }) => metadata.name);
        const fault = names.length === 0 ? "no node has joined" : unready(facts.nodes, names);
        return fault === undefined ? { facts } : { fault };
    } catch (error) {
        if (!(error instanceof KubeError && error.unanswered)) throw error;
        return { fault: error.message };
    }
}

/** A tool's failure in its own words. */
async function saying(
    tool: LocalTool,
    { name }: LocalClusterInput,
    what: string,
    act: () => Promise<void>,
): Promise<void> {
    try {
        await act();
    } catch (error) {
        if (!(error instanceof RunError)) throw error;
        throw new StepError(`${tool.component} "${name}": ${tool.programs[0]} ${what}: ${messageOf(error)}`, {
            cause: error,
        });
    }
}
