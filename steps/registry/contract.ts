/** The part of the contract that is about registries: how they are spoken to, and who may pull from them. */

import type { ObserveInput, ObserveOutput } from "../host/contract";

/** How a step speaks to registries. No login is in it: that stays in docker's config file, or in its credential helper. */
export interface RegistryAccess {
    /** Registries (host:port) that are spoken to over plain HTTP. */
    insecureRegistries: string[];
    /** PEM file of certificate authorities that are trusted beside the host's own; unset: none. */
    trustedCaFile?: string;
    /** Docker's config file with the logins; unset: `$DOCKER_CONFIG/config.json`, else `~/.docker/config.json`. */
    dockerConfigFile?: string;
}

/** claimTag, deleteTag */
export interface ArtifactTagInput extends RegistryAccess {
    /** `registry/repository:tag` */
    reference: string;
    /** Digest that the tag must lead to; one that leads elsewhere is somebody else's by now, and is left alone. */
    digest: string;
}

/** clearRegistry */
export interface ClearRegistryInput {
    /** Name of the registry's container. */
    containerName: string;
    /** See ObserveLossOutput: a change of it makes room again. */
    lost?: string;
}

/** observeRegistry */
export interface ObserveRegistryInput extends ObserveInput {
    /** Name of the registry's container. */
    containerName: string;
}

/** connectRegistry, disconnectRegistry */
export interface ConnectRegistryInput {
    /** Name of the kind cluster, and whose it must be: see KindClusterInput. */
    clusterName: string;
    owner: string;
    /** Docker network of the cluster: ClusterOutput.network. */
    network: string;
    /** Name of the registry's container. */
    containerName: string;
    /** Port that the registry listens on in its container. */
    containerPort: number;
    /** The registry as this host names it: host:port. */
    address: string;
    /** The container itself: another one of that name is to be connected too. Unset: it is not known. */
    containerId?: string;
    /** See ObserveOutput. */
    because?: string;
}

/** connectRegistry */
export interface ConnectRegistryOutput {
    /** The registry as the cluster's containers name it: `<container name>:<port>`. */
    inClusterAddress: string;
    /** The cluster's nodes whose container runtime finds the registry under both names. */
    nodes: string[];
}

/** observeConnection */
export interface ObserveConnectionOutput extends ObserveOutput {
    /** What connectRegistry told last. Unset: nothing is known of it. */
    last?: ConnectRegistryOutput;
}

/** describeLogin: reads only, so that each preview can run it. */
export interface DescribeLoginInput {
    /** host or host:port */
    registry: string;
    /** See RegistryAccess. */
    dockerConfigFile?: string;
    /** Makes the fingerprint one that tells nothing to whoever knows another stack's: any text. */
    salt: string;
    /** Whether wasm-oci, which finds logins, may be built where it is nowhere, which takes minutes. */
    mayBuild: boolean;
}

/** describeLogin. The fingerprint is to be kept like a secret: guesses could be tried against it, if slowly. */
export interface DescribeLoginOutput {
    /** False where the login was not looked at, as wasm-oci would have to be built for that. */
    known: boolean;
    /** Changes with the login; null: there is none for that registry. */
    fingerprint: string | null;
}

/** createPullSecret, deletePullSecret */
export interface PullSecretInput {
    /** Admin kubeconfig: a file. */
    kubeconfigFile: string;
    owner: string;
    namespace: string;
    /** Name of the Secret. */
    name: string;
    /** The registry that the login is for: host or host:port. */
    registry: string;
    /** See RegistryAccess. */
    dockerConfigFile?: string;
    /** DescribeLoginOutput.fingerprint: a change of it makes createPullSecret run again. Secret. */
    fingerprint: string | null;
    /** See ObserveOutput. */
    because?: string;
}

/** createPullSecret. Holds no secret: the login goes from docker's config file to the cluster. */
export interface PullSecretOutput {
    /** Name of the Secret; null: there is no login for that registry, and so no Secret. */
    name: string | null;
}

/** awaitRegistry: changes nothing; waits until the registry answers at `/v2/` (200 or 401). */
export interface AwaitRegistryInput {
    /** host:port */
    address: string;
    /** Speak plain HTTP instead of HTTPS. */
    plainHttp: boolean;
    /** How long it may take to answer, in seconds. */
    timeoutSeconds: number;
    /** Its container, which is started where it has stopped, and its volume where that keeps the data. Unset: it is in none of ours. */
    container?: { id: string; name: string; volume?: string };
    /** See ObserveLossOutput. */
    because?: string;
    lost?: string;
}

/** awaitRegistry */
export interface AwaitRegistryOutput {
    /** The address, as it was given. */
    address: string;
}
