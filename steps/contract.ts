/**
 * What goes into each step and what comes out: one JSON object on standard input, one on standard output. The components
 * build the inputs and read the outputs; the steps do the reverse. This file is all that the two sides share.
 *
 * A step that undoes another one gets the same input as the one that it undoes, for that is what Pulumi stores.
 * Paths may begin with `~/`, which the step expands: the state stays the same for another user's home folder.
 */

import type {
    ArtifactTagInput,
    ConnectRegistryInput,
    ConnectRegistryOutput,
    DescribeLoginInput,
    DescribeLoginOutput,
    PullSecretInput,
    PullSecretOutput,
    RegistryAccess,
    ResolveArtifactInput,
    ResolveArtifactOutput,
} from "./registryContract";

export type * from "./registryContract";

/** createKindCluster, deleteKindCluster */
export interface KindClusterInput {
    /** Name of the kind cluster, as `kind get clusters` shows it. */
    name: string;
    /** Whose cluster it is: `<project>/<stack>`. A cluster of that name with another owner is never touched. */
    owner: string;
    /** Node image; unset: kind's own default. */
    image?: string;
    /** How long kind may wait for the control plane to be Ready, in seconds. */
    waitSeconds: number;
    /** Where the admin kubeconfig is kept (mode 0600), a file of this cluster alone. */
    kubeconfigFile: string;
    /** A kubeconfig file to merge the cluster into. Unset: none; the user's own is not touched. */
    mergeKubeconfigFile?: string;
    /** More kubeadmConfigPatches for every node (YAML documents), after the ones that this host needs. */
    kubeadmConfigPatches: string[];
    /** More containerdConfigPatches (TOML), after the ones that this host needs. */
    containerdConfigPatches: string[];
    /**
     * Whether the API server verifies the serving certificates of kubelets, and kind's own kubelets ask for theirs (see
     * approveKubeletCertificates). Unset: yes.
     */
    verifyKubelets?: boolean;
}

/** createKindCluster. Holds no secret: the kubeconfig is in its file alone. */
export interface KindClusterOutput {
    name: string;
    /** Absolute path of the admin kubeconfig for the host: the API server at a loopback port. */
    kubeconfigFile: string;
    /** Name of its only context: `kind-<name>`. */
    context: string;
    /** URL of the API server. */
    server: string;
    /** Kubernetes version of the control plane: `v1.36.4`. */
    kubernetesVersion: string;
    /** Docker network of the cluster's containers: `kind`. */
    network: string;
    /** IPv4 address of this host on that network; the API server reaches the host by it. */
    gatewayAddress: string;
    /** UID of the cluster's kube-system namespace: another cluster of the same name has another one. */
    identity: string;
}

/** keepKubeconfig: writes nothing but a lost file, so that each preview can run it. */
export interface KeepKubeconfigInput {
    /** Name of the kind cluster. */
    clusterName: string;
    /** See KindClusterInput. */
    owner: string;
    kubeconfigFile: string;
}

/** keepKubeconfig */
export interface KeepKubeconfigOutput {
    /** Whether the file is there; false: there is no whole cluster of this owner's yet that it could be got from. */
    kept: boolean;
}

/** approveKubeletCertificates */
export interface KubeletApprovalInput {
    /** File of the admin kubeconfig. */
    kubeconfigFile: string;
    /** Name of the kind cluster. */
    clusterName: string;
    /** Whose cluster it must be: see KindClusterInput.owner. */
    owner: string;
    /** Whether the cluster's kubelets ask for serving certificates at all: KindClusterInput.verifyKubelets. Unset: yes. */
    verifyKubelets?: boolean;
    /** How long all of them may take to have theirs, in seconds. */
    timeoutSeconds: number;
}

/** approveKubeletCertificates */
export interface KubeletApprovalOutput {
    /** Each of kind's nodes with the name of its approved request; null where it had a certificate already. */
    requests: Record<string, string | null>;
}

/** createBootstrapToken, deleteBootstrapToken */
export interface BootstrapTokenInput {
    /** File of the cluster's admin kubeconfig. */
    kubeconfigFile: string;
    owner: string;
    nodeName: string;
    /** The token's group, beginning with `system:bootstrappers:`. */
    group: string;
    /** Life of the token in seconds. */
    tokenTtlSeconds: number;
    /** Where the bootstrap kubeconfig is written, mode 0600. */
    file: string;
}

/** createBootstrapToken. Holds no secret: the token is in the file alone. */
export interface BootstrapTokenOutput {
    /** Path of the bootstrap kubeconfig, as it was given. */
    file: string;
    /** User name that the token stands for: `system:bootstrap:<token id>`. */
    username: string;
    /** RFC 3339. */
    expiresAt: string;
}

/** launchNode, stopNode */
export interface NodeInput {
    /** File of the admin kubeconfig: the Node object is deleted with it, and a bootstrap token that ran out is replaced. */
    kubeconfigFile: string;
    owner: string;
    /** The agent: a name on PATH or a path. */
    program: string;
    nodeName: string;
    /** IPv4 address that the node announces and listens on. */
    nodeIp: string;
    /** Port of the node's API (logs). */
    port: number;
    maxPods: number;
    labels: Record<string, string>;
    /** Registries (host:port) that are spoken to over plain HTTP. */
    insecureRegistries: string[];
    /** PEM file of certificate authorities that the agent trusts for registries, beside the host's own; unset: none. */
    trustedCaFile?: string;
    /** Folders of this host (absolute paths) below which pods may mount hostPath volumes; unset: none. */
    allowedHostPaths?: string[];
    /** Folder of all that the node leaves on this host (mode 0700): see NodeOutput. */
    stateDir: string;
    /** The bootstrap kubeconfig. */
    bootstrapFile: string;
    bootstrapGroup: string;
    tokenTtlSeconds: number;
    /** Life of the node's certificates, from 600 to 31622400 seconds; unset: the agent asks for none, and the signer decides. */
    certificateDurationSeconds?: number;
    /** After which share of a certificate's life the agent renews it, from 1 to 95 percent; unset: the agent's own default. */
    certificateRenewalPercent?: number;
}

/** launchNode */
export interface NodeOutput {
    /** Id of the agent's process. */
    pid: number;
    /** `<stateDir>/agent.log` */
    logFile: string;
    /** `<stateDir>/data`: keys, certificates, modules, container logs. */
    dataDir: string;
    /** `<stateDir>/kubeconfig`: the node's own credential. */
    kubeconfigFile: string;
}

/** approveCertificates, deleteCertificateRequests */
export interface CertificateApprovalInput {
    /** File of the admin kubeconfig. */
    kubeconfigFile: string;
    /** Whose node it is: its bootstrap token is revoked once it has its client certificate. */
    owner: string;
    nodeName: string;
    nodeIp: string;
    /** The bootstrap group whose token the node joins with. */
    bootstrapGroup: string;
    /** The node's folder; the agent's public keys are in `data/keys` of it. */
    stateDir: string;
    /**
     * The agent's process (NodeOutput.pid), where the node is a process on this host. Not needed to decide anything: an
     * agent that was started anew may have new requests, so a new number makes this step run again; and a process that has
     * ended need not be waited for.
     */
    agentPid?: number;
    /** See NodeInput: the requests must ask for exactly this, or for 600 to 31622400 seconds where it is unset. */
    certificateDurationSeconds?: number;
    /** How long both requests may take to turn up, in seconds. */
    timeoutSeconds: number;
}

/** approveCertificates */
export interface CertificateApprovalOutput {
    /** Names of the approved requests; null where the node had a valid certificate already. */
    client: string | null;
    serving: string | null;
}

/** launchApprover, stopApprover */
export interface ApproverInput {
    /** File of the admin kubeconfig: gets the approver its credential, and is not given to it. */
    kubeconfigFile: string;
    owner: string;
    nodeName: string;
    nodeIp: string;
    /** Whoever is of this group is decided on by approveCertificates, not by the approver. */
    bootstrapGroup: string;
    /** The node's folder; what the approver leaves is in it: `approver.log` and others (all 0600). */
    stateDir: string;
    /** Namespace and name of the ServiceAccount that it is at the API server. */
    namespace: string;
    serviceAccount: string;
    /** Life of its tokens, from 600 to 86400 seconds; it renews them when half of it is over. */
    tokenSeconds: number;
    /** See CertificateApprovalInput. */
    certificateDurationSeconds?: number;
    /** See CertificateApprovalInput.agentPid: where that was started anew, the approver may have ended with it. */
    agentPid?: number;
}

/** launchApprover */
export interface ApproverOutput {
    /** Id of the approver's process. */
    pid: number;
    /** `<stateDir>/approver.log` */
    logFile: string;
}

/** awaitNode */
export interface AwaitNodeInput {
    /** File of the admin kubeconfig. */
    kubeconfigFile: string;
    nodeName: string;
    stateDir: string;
    /** See CertificateApprovalInput.agentPid. */
    agentPid?: number;
    /** How long the node may take to be Ready, in seconds. */
    timeoutSeconds: number;
}

/** awaitNode */
export interface AwaitNodeOutput {
    nodeName: string;
    /** The node's `kubernetes.io/hostname` label, by which workloads select it. */
    hostname: string;
    /** The agent's version as the Node object tells it. */
    kubeletVersion: string;
}

/** describeModule: reads only, so that each preview can run it. Exactly one of `file` and `source`. */
export interface DescribeModuleInput {
    /** A WebAssembly file. */
    file?: string;
    /** Folder of a cargo project with one binary. */
    source?: string;
}

/** describeModule */
export interface DescribeModuleOutput {
    /** SHA-256 (hex) of the file, or of the sources that the module is built from. */
    sha256: string;
}

/** buildModule */
export interface BuildModuleInput {
    /** Folder of a cargo project with one binary. */
    source: string;
}

/** buildModule */
export interface BuildModuleOutput {
    /** The WebAssembly file. */
    file: string;
    sha256: string;
    sizeBytes: number;
}

/** pushArtifact */
export interface PushArtifactInput extends RegistryAccess {
    file: string;
    /** SHA-256 (hex) that the file must have. */
    sha256: string;
    /** `registry/repository:tag` */
    reference: string;
    /** Form of the artifact: `wasm` (the agreed one) or `wasm-to-oci`; unset: `wasm`. */
    format?: string;
}

/** pushArtifact */
export interface PushArtifactOutput {
    /** Digest of the manifest: `sha256:…` */
    digest: string;
    /** `registry/repository@sha256:…`: what workloads run. */
    reference: string;
    sizeBytes: number;
}

/** awaitRegistry: changes nothing; waits until the registry answers at `/v2/` (200 or 401). */
export interface AwaitRegistryInput {
    /** host:port */
    address: string;
    /** Speak plain HTTP instead of HTTPS. */
    plainHttp: boolean;
    /** How long it may take to answer, in seconds. */
    timeoutSeconds: number;
}

/** awaitRegistry */
export interface AwaitRegistryOutput {
    /** The address, as it was given. */
    address: string;
}

/** awaitWorkload: changes nothing; waits until a workload is Ready or complete. */
export interface AwaitWorkloadInput {
    /** Path of a kubeconfig (mode 0600) that may read the workload, its pods, their events and their logs. */
    kubeconfigFile: string;
    /** `Pod`, `Deployment`, `Job`, `CronJob` or `DaemonSet`. */
    kind: string;
    namespace: string;
    /** Name of the object. */
    name: string;
    /** UID of the object: another one of that name is not waited for. */
    uid: string;
    /** `metadata.generation` of the object: a change of its spec makes a new one, and this step run again. */
    generation: number;
    /** How long it may take, in seconds. */
    timeoutSeconds: number;
}

/** awaitWorkload */
export interface AwaitWorkloadOutput {
    kind: string;
    namespace: string;
    name: string;
}

/** preflight: reads only, so that each preview can run it. All problems come in one message. */
export interface PreflightInput {
    owner: string;
    cluster: { name: string };
    /** The local registry; unset when a remote one is used. */
    localRegistry?: {
        containerName: string;
        port: number;
        /** Volume that keeps its data; unset: none is kept. */
        dataVolume?: string;
    };
    /** A remote registry that must answer. */
    remoteRegistry?: {
        /** host or host:port */
        address: string;
        plainHttp: boolean;
        /** See RegistryAccess. */
        trustedCaFile?: string;
    };
    nodes: { name: string; port: number; stateDir: string; program: string }[];
    /** Modules of the workloads; see DescribeModuleInput. */
    modules: DescribeModuleInput[];
}

/** preflight */
export interface PreflightOutput {
    /** Version of the Docker daemon. */
    dockerVersion: string;
}

/** Every step: its input and its output. */
export interface Steps {
    preflight: { input: PreflightInput; output: PreflightOutput };
    createKindCluster: { input: KindClusterInput; output: KindClusterOutput };
    deleteKindCluster: { input: KindClusterInput; output: Record<string, never> };
    keepKubeconfig: { input: KeepKubeconfigInput; output: KeepKubeconfigOutput };
    approveKubeletCertificates: { input: KubeletApprovalInput; output: KubeletApprovalOutput };
    createBootstrapToken: { input: BootstrapTokenInput; output: BootstrapTokenOutput };
    deleteBootstrapToken: { input: BootstrapTokenInput; output: Record<string, never> };
    launchNode: { input: NodeInput; output: NodeOutput };
    stopNode: { input: NodeInput; output: Record<string, never> };
    approveCertificates: { input: CertificateApprovalInput; output: CertificateApprovalOutput };
    deleteCertificateRequests: { input: CertificateApprovalInput; output: Record<string, never> };
    launchApprover: { input: ApproverInput; output: ApproverOutput };
    stopApprover: { input: ApproverInput; output: Record<string, never> };
    awaitNode: { input: AwaitNodeInput; output: AwaitNodeOutput };
    describeModule: { input: DescribeModuleInput; output: DescribeModuleOutput };
    buildModule: { input: BuildModuleInput; output: BuildModuleOutput };
    pushArtifact: { input: PushArtifactInput; output: PushArtifactOutput };
    awaitRegistry: { input: AwaitRegistryInput; output: AwaitRegistryOutput };
    resolveArtifact: { input: ResolveArtifactInput; output: ResolveArtifactOutput };
    claimTag: { input: ArtifactTagInput; output: ResolveArtifactOutput };
    deleteTag: { input: ArtifactTagInput; output: Record<string, never> };
    connectRegistry: { input: ConnectRegistryInput; output: ConnectRegistryOutput };
    disconnectRegistry: { input: ConnectRegistryInput; output: Record<string, never> };
    describeLogin: { input: DescribeLoginInput; output: DescribeLoginOutput };
    createPullSecret: { input: PullSecretInput; output: PullSecretOutput };
    deletePullSecret: { input: PullSecretInput; output: Record<string, never> };
    awaitWorkload: { input: AwaitWorkloadInput; output: AwaitWorkloadOutput };
}
