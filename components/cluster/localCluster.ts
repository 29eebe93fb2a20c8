// What is alike in the clusters that a tool of this machine makes: minikube, MicroK8s, k3d.
import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { PortProtocol, type LocalClusterInput } from "../../steps/cluster/contract";
import { owner, ownerForLooks } from "../claim";
import { defaultKubeconfigFile } from "../names";
import { stepInvoke, stepResource, type StepInput } from "../step";
import { clusterOutputs, type ClusterOutputs } from "./cluster";
import type { KindPortMappingArgs } from "./kindCluster";

/** What a component says of its cluster; the rest is defaults. */
export type LocalCluster = Pick<LocalClusterInput, "tool"> &
    Partial<Omit<StepInput<"createLocalCluster">, "tool" | "name" | "portMappings" | "owner">> & {
        name: pulumi.Input<string>;
        portMappings?: pulumi.Input<pulumi.Input<KindPortMappingArgs>[]>;
    };

/** The cluster's resource, and what sees to the file of its kubeconfig. */
export function localCluster(
    name: string,
    { tool, waitSeconds, kubeconfigFile, portMappings, ...given }: LocalCluster,
    parent: pulumi.ComponentResource,
): { outputs: ClusterOutputs; command: local.Command } {
    const made = { ...given, tool, portMappings: portMappingsOf(portMappings) };
    const input = {
        ...made,
        owner: owner(),
        waitSeconds: waitSeconds ?? 300,
        kubeconfigFile: pulumi.output(
            kubeconfigFile ??
                pulumi.output(given.name).apply((cluster) => defaultKubeconfigFile(`${tool}-${cluster}`)),
        ),
    };
    const cluster = stepResource(
        `${name}-${tool}`,
        {
            create: "createLocalCluster",
            delete: "deleteLocalCluster",
            input,
            // What cannot be changed in a cluster that stands.
            triggers: [pulumi.jsonStringify(made)],
        },
        { parent },
    );
    const kept = stepInvoke("keepLocalKubeconfig", { ...input, owner: ownerForLooks() }, { parent });
    return { outputs: clusterOutputs(cluster.output, kept), command: cluster.command };
}

/** Port mappings with their defaults. */
export function portMappingsOf(given: pulumi.Input<pulumi.Input<KindPortMappingArgs>[]> = []) {
    return pulumi.output(given).apply((mappings) =>
        mappings.map((mapping) => ({
            ...mapping,
            listenAddress: mapping.listenAddress ?? "127.0.0.1",
            protocol: mapping.protocol ?? PortProtocol.TCP,
        })),
    );
}
