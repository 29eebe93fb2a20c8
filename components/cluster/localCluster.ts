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
    Partial<Omit<StepInput<"createLocalCluster">, "tool" | "name" | "portMappings" | "owner" | "because">> & {
        name: pulumi.Input<string>;
        portMappings?: pulumi.Input<pulumi.Input<KindPortMappingArgs>[]>;
    };

/** Makes the cluster's resource, and what looks at it. Gives the outputs to register. */
export function localCluster(
    component: Cluster,
    name: string,
    { tool, waitSeconds, kubeconfigFile, portMappings, ...given }: LocalCluster,
): ClusterOutputs {
    const parent = component;
    const made = { ...given, tool, portMappings: portMappingsOf(portMappings) };
    const resource = `${name}-${tool}`;
    const file = pulumi.output(
        kubeconfigFile ??
            pulumi.output(given.name).apply((cluster) => defaultKubeconfigFile(`${tool}-${cluster}`)),
    );
    const observed = stepInvoke(
        "observeLocalCluster",
        { resource, owner: ownerForLooks(), kubeconfigFile: file, wanted: pulumi.output(made) },
        { parent },
    );
    const cluster = stepResource(
        resource,
        {
            create: "createLocalCluster",
            delete: "deleteLocalCluster",
            input: {
                ...made,
                owner: owner(),
                waitSeconds: waitSeconds ?? 300,
                kubeconfigFile: file,
                because: observed.because,
            },
            // What cannot be changed in a cluster that stands.
            triggers: [pulumi.jsonStringify(made)],
            stands: observed.last,
        },
        { parent },
    );
    return standsBy(component, name, cluster.command, clusterOutputs(cluster.output, observed));
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
