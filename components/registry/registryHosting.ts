import type { local } from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { claimResource, owner } from "../claim";
import { clusterObjectOptions, withoutDeletedWith } from "../options";
import * as rules from "../rules";
import { stepInvoke, stepResource } from "../step";
import { checkArgs, required, text } from "../validation";
import { CONTAINER_PORT } from "./localRegistry";

export interface RegistryHostingArgs {
    /** The registry as this host names it: `LocalRegistry.address`. Required. Example: `localhost:5001`. */
    address: pulumi.Input<string>;
    /** Name of the registry's container: `LocalRegistry.containerName`. Required. Example: `kind-registry`. */
    containerName: pulumi.Input<string>;
    /** Port that the registry listens on in its container, over plain HTTP. Default: 5000. */
    containerPort?: pulumi.Input<number>;
    /** Name of the kind cluster: `KindCluster.name`. Required. */
    clusterName: pulumi.Input<string>;
    /** What tells this cluster from any other, made before or after it: `KindCluster.identity`. Required. */
    clusterIdentity: pulumi.Input<string>;
    /** Docker network of the cluster: `KindCluster.network`. Default: `kind`. */
    network?: pulumi.Input<string>;
    /**
     * The container itself, so that another one of its name is connected too: `LocalRegistry.container.id`. Default: it is not known.
     */
    containerId?: pulumi.Input<string>;
}

/** kind's page on registries like this one: what a tool shows to whoever asks how to use it. */
const HELP = "https://kind.sigs.k8s.io/docs/user/local-registry/";

const children = new Children<{ connection: local.Command; announcement: kubernetes.core.v1.ConfigMap }>();

/**
 * Brings a registry in a Docker container and a kind cluster together. An image that was pushed to `localhost:5001/app` on this
 * host runs in the cluster under that very name: the container joins the cluster's network, and the container runtime of each of
 * kind's nodes is told that the name leads there. Tools find the registry by the ConfigMap `local-registry-hosting` in
 * `kube-public`, as https://github.com/kubernetes/enhancements/tree/master/keps/sig-cluster-lifecycle/generic/1755-communicating-a-local-registry
 * has it. (A Wasm node that is a process on this host needs none of this; one in a container gets it as `registryMirrors`.)
 *
 * Deleting it takes the container off the network, if it was this that connected it, and deletes neither of the two.
 *
 * @example
 * new RegistryHosting("hosting", { address: registry.address, containerName: registry.containerName,
 *     clusterName: cluster.name, clusterIdentity: cluster.identity, network: cluster.network },
 *     cluster.inCluster());
 */
export class RegistryHosting extends pulumi.ComponentResource {
    /** The registry as containers on the cluster's network name it: `<container name>:5000`. */
    readonly inClusterAddress: pulumi.Output<string>;
    /** kind's nodes that find the registry under both names. */
    readonly nodes: pulumi.Output<string[]>;

    /**
     * @param opts `provider` must be the cluster's Kubernetes provider. `deletedWith` is for the ConfigMap; the container is
     * taken off the network, if it does not go itself with the whole stack.
     */
    constructor(name: string, args: RegistryHostingArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:RegistryHosting", name, {}, withoutDeletedWith(opts));
        const checked = checkArgs("RegistryHosting", name, args, {
            address: required(rules.registry, "registry.address"),
            containerName: required(rules.containerName, "registry.containerName"),
            containerPort: rules.port,
            clusterName: required(rules.clusterName, "cluster.name"),
            clusterIdentity: required(text, "cluster.identity"),
            network: text,
            containerId: text,
        });
        const inCluster = clusterObjectOptions(this, "RegistryHosting", name, opts);
        const { address, containerName, clusterName } = checked;
        const network = checked.network ?? "kind";

        const observed = stepInvoke(
            "observeConnection",
            { resource: `${name}-connection` },
            { parent: this },
        );
        const connection = stepResource(
            `${name}-connection`,
            {
                create: "connectRegistry",
                delete: "disconnectRegistry",
                input: {
                    clusterName,
                    owner: owner(),
                    network,
                    containerName,
                    containerPort: checked.containerPort ?? CONTAINER_PORT,
                    address,
                    containerId: checked.containerId,
                    because: observed.because,
                },
                // The old names are taken out of the nodes before the new ones are written.
                triggers: [checked.clusterIdentity, network, containerName, address],
                // Of another cluster, whose identity is to come, nothing is known.
                stands: pulumi
                    .all([observed.last, containerName, checked.clusterIdentity])
                    .apply(([last, named]) =>
                        last?.inClusterAddress.startsWith(`${named}:`) ? last : undefined,
                    ),
            },
            // Where the whole stack goes, its own container does, which leaves the network by that.
            {
                parent: this,
                deletedWith: checked.containerId === undefined ? undefined : claimResource(),
            },
        );
        this.inClusterAddress = connection.output.inClusterAddress;
        this.nodes = connection.output.nodes;

        const configMap = new kubernetes.core.v1.ConfigMap(
            `${name}-announcement`,
            {
                metadata: { name: "local-registry-hosting", namespace: "kube-public" },
                data: {
                    "localRegistryHosting.v1": pulumi
                        .all([address, this.inClusterAddress])
                        .apply(([host, inside]) => announcement(host, inside)),
                },
            },
            // Two of one name cannot be there at a time.
            { ...inCluster, deleteBeforeReplace: true },
        );
        children.keep(this, { connection: connection.command, announcement: configMap });

        this.registerOutputs({ inClusterAddress: this.inClusterAddress, nodes: this.nodes });
    }

    /** The Command that connects the container: `<name>-connection`. */
    get connection(): local.Command {
        return children.of(this).connection;
    }

    /** The ConfigMap that tools find the registry by: `<name>-announcement`. */
    get announcement(): kubernetes.core.v1.ConfigMap {
        return children.of(this).announcement;
    }
}

/** The announcement (YAML): the registry as this host, a node's container runtime and a pod name it. */
export function announcement(host: string, inside: string): string {
    return [
        `host: ${JSON.stringify(host)}`,
        `hostFromContainerRuntime: ${JSON.stringify(inside)}`,
        `hostFromClusterNetwork: ${JSON.stringify(inside)}`,
        `help: ${JSON.stringify(HELP)}`,
        "",
    ].join("\n");
}
