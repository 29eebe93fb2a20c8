// What is alike in the clusters that a tool of this machine makes: minikube, MicroK8s, k3d.
import * as pulumi from "@pulumi/pulumi";
import { PortProtocol, type LocalClusterInput } from "../../steps/cluster/contract";
import { owner, ownerForLooks } from "../claim";
import { defaultKubeconfigFile } from "../names";
import { stepInvoke, stepResource, type StepInput } from "../step";
import { clusterOutputs, standsBy, type Cluster, type ClusterOutputs } from "./cluster";
import type { KindPortMappingArgs } from "./kindCluster";

/** What a component says of its cluster; the rest is defaults. */
export type LocalCluster = Pick<LocalClusterInput, "tool"> &
    Partial<Omit<StepInput<"createLocalCluster">, "tool" | "name" | "portMappings" | "owner">> & {
        name: pulumi.Input<string>;
        portMappings?: pulumi.Input<pulumi.Input<KindPortMappingArgs>[]>;
    };

/** Makes the cluster's resource, and what sees to the file of its kubeconfig. Gives the outputs to register. */
export function localCluster(
    component: Cluster,
    name: string,
    { tool, waitSeconds, kubeconfigFile, portMappings, ...given }: LocalCluster,
): ClusterOutputs {
    const parent = component;
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
    return standsBy(component, name, cluster.command, clusterOutputs(cluster.output, kept));
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
