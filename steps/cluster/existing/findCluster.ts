import type { FindClusterInput, FindClusterOutput } from "../../contract";
import { StepError } from "../../lib/errors";
import { expandHome } from "../../lib/files";
import { Kube, KubeError } from "../../lib/kube/kube";
import { accessOf, clusterOf } from "../../lib/kube/access";
import { readKubeconfig } from "../../lib/kube/kubeconfig";
import { step } from "../../lib/step";
import { findNodePlace, type ClusterSight } from "../nodeAddress";
import { serverFacts } from "../serverFacts";
import { findClusterInput } from "./existing";
import { digestOfKubeconfig, onlyContext } from "./onlyContext";
import { missingRights, nameOf, rightsFor } from "./rights";

/**
 * A cluster that somebody else made: that it answers, which one it is, where it reaches this host, and that the kubeconfig allows all
 * that a stack does there. All that is missing comes in one message. Changes nothing.
 */
export async function findCluster(input: FindClusterInput): Promise<FindClusterOutput> {
    const file = expandHome(input.kubeconfigFile);
    const copy = await onlyContext(await readKubeconfig(file), file, input.context);
    const { server } = await clusterOf(file, input.context);
    const kube = new Kube(await accessOf(file, input.context));
    const missing = await asking(input, server, () => missingRights(kube, rightsFor(input)));
    if (missing.length > 0) {
        const rights = missing.map((right) => `\n- ${nameOf(right)}`).join("");
        throw new StepError(
            `${called(input)}: whoever this context is for may not do ${missing.length} of the things that the stack does at ` +
                `${server}; bind a ClusterRole with them, or give the context of an administrator:${rights}`,
        );
    }
    const { kubernetesVersion, identity, nodeAddresses } = await asking(input, server, () =>
        serverFacts(kube),
    );
    return {
        server,
        kubernetesVersion,
        ...(await placeOf(input, { server, nodeAddresses })),
        identity,
        kubeconfigDigest: digestOfKubeconfig(copy),
    };
}

function called({ context, kubeconfigFile }: FindClusterInput): string {
    return `ExistingCluster "${context}" of ${kubeconfigFile}`;
}

/** Where nothing answers, or nobody is let in, the answer is to name what was asked. */
async function asking<T>(input: FindClusterInput, server: string, questions: () => Promise<T>): Promise<T> {
    try {
        return await questions();
    } catch (error) {
        if (!(error instanceof KubeError)) throw error;
        throw new StepError(`${called(input)}: ${server}: ${error.message}`, { cause: error });
    }
}

async function placeOf(
    input: FindClusterInput,
    sight: ClusterSight,
): Promise<Pick<FindClusterOutput, "nodeAddress" | "network">> {
    if (input.nodeAddress !== undefined) return { nodeAddress: input.nodeAddress };
    const place = await findNodePlace(sight);
    if (typeof place !== "string") return place;
    throw new StepError(
        `${called(input)}: nodeAddress cannot be found: ${place}; give nodeAddress, the IPv4 address of this host by which the ` +
            "cluster reaches it",
    );
}

step(module, "findCluster", findClusterInput, findCluster);
