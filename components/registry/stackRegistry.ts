import * as pulumi from "@pulumi/pulumi";
import type { Cluster } from "../cluster/cluster";
import { REGISTRY_IMAGE, REGISTRY_PORT } from "../defaults";
import { ownName } from "../names";
import type { WasmStackRegistryArgs } from "../stack/wasmStackArgs";
import { LocalRegistry, localRegistryAddress } from "./localRegistry";
import type { RegistryHosting } from "./registryHosting";
import { RegistryPullSecret, secretNameOf } from "./registryPullSecret";

/** The registry of a stack, made or found, as the rest of the stack needs it. */
export interface StackRegistry {
    /** Where modules are pushed to, known as soon as the registry answers. */
    address: pulumi.Output<string>;
    /** Changes when the registry has lost what it held. */
    instance?: pulumi.Output<string>;
    /** The registry, where it is spoken to over plain HTTP. Known from the start. */
    insecureRegistries: pulumi.Output<string[]>;
    trustedCaFile?: string;
    dockerConfigFile?: string;
    /** The same for the nodes: where pods bring the login themselves, those that do not are not to pull with it. */
    nodeDockerConfigFile?: string;
    /** The container that it is in, where kind's own nodes are to pull from it. */
    containerName?: pulumi.Output<string>;
    /** The component, where it was made. */
    local?: LocalRegistry;
}

/** A value that is not known before the preflight has passed. */
export type Checked = <T extends string | number>(value: pulumi.Input<T>) => pulumi.Output<T>;

/** `ghcr.io` of `ghcr.io/you` */
export function hostOf(address: string): string {
    return address.split("/")[0];
}

/** Makes a local registry, or takes the one at `address`. */
export function stackRegistry(
    name: string,
    { address, plainHttp, trustedCaFile, dockerConfigFile, pullSecret, ...local }: WasmStackRegistryArgs,
    checked: Checked,
    parent: pulumi.ComponentResource,
): StackRegistry {
    if (address !== undefined) {
        return {
            address: checked(address),
            insecureRegistries: pulumi.output(plainHttp ? [hostOf(address)] : []),
            trustedCaFile,
            dockerConfigFile,
            nodeDockerConfigFile: pullSecret === false ? dockerConfigFile : undefined,
            containerName: local.containerName === undefined ? undefined : checked(local.containerName),
        };
    }
    const port = local.port ?? REGISTRY_PORT;
    const registry = new LocalRegistry(
        `${name}-registry`,
        { ...local, port: checked(port), image: checked(local.image ?? REGISTRY_IMAGE) },
        { parent },
    );
    return {
        address: registry.address,
        instance: registry.instance,
        insecureRegistries: pulumi.output(port).apply((known) => [localRegistryAddress(known)]),
        containerName: registry.containerName,
        local: registry,
    };
}

/** Lets the cluster's own nodes pull from the registry too, where it is in a container on this host and they can be told. */
export function hostRegistry(
    name: string,
    registry: StackRegistry,
    cluster: Cluster,
    parent: pulumi.ComponentResource,
): RegistryHosting | undefined {
    if (registry.containerName === undefined) return undefined;
    const { address, containerName } = registry;
    return cluster.hostRegistry?.(
        `${name}-registry-hosting`,
        { address: address.apply(hostOf), containerName, containerId: registry.local?.container.id },
        { parent },
    );
}

/** The pull Secret in the namespace of a workload; undefined where the stack makes none. */
export type PullSecrets = (workload: {
    name: string;
    namespace?: pulumi.Input<string>;
}) => RegistryPullSecret | undefined;

/** Makes the Secrets that pods pull with, one for each namespace of the workloads. */
export function pullSecrets(
    name: string,
    { address, pullSecret, dockerConfigFile }: WasmStackRegistryArgs,
    cluster: Cluster,
    checked: Checked,
    parent: pulumi.ComponentResource,
): PullSecrets {
    if (address === undefined || pullSecret === false) return () => undefined;
    const made = new Map<string, RegistryPullSecret>();
    return ({ name: workload, namespace = "default" }) => {
        // Which namespace one is that is still to come nobody knows here: such a workload has a Secret of its own.
        const own = typeof namespace !== "string";
        const key = own ? `${workload}-own` : namespace;
        const secret =
            made.get(key) ??
            new RegistryPullSecret(
                `${name}-pull-${key}`,
                {
                    kubeconfigFile: cluster.kubeconfigFile,
                    clusterIdentity: cluster.identity,
                    registry: checked(hostOf(address)),
                    namespace,
                    secretName: own ? secretNameOf(ownName(`pull-${workload}`)) : undefined,
                    dockerConfigFile,
                },
                { parent, deletedWith: cluster.inCluster().deletedWith },
            );
        made.set(key, secret);
        return secret;
    };
}
