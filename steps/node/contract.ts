/** The part of the contract that is about nodes and their certificates. */

/** How a node's agent and its approver run on this host. */
export const NodeRuntime = { Process: "process", Container: "container" } as const;
export type NodeRuntime = (typeof NodeRuntime)[keyof typeof NodeRuntime];

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
    /** See NodeInput: the kubeconfig leads to the API server from there. */
    network?: string;
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
    /** IPv4 address that the node announces and listens on; unset: that of its container. */
    nodeIp?: string;
    /** Docker network of the container that the agent runs in; unset: it is a process of this host's. */
    network?: string;
    /** Port of the node's API (logs). */
    port: number;
    maxPods: number;
    labels: Record<string, string>;
    /** Registries (host:port) that are spoken to over plain HTTP. */
    insecureRegistries: string[];
    /** Where registries are found (host:port) instead of at the name that images have for them; unset: none. */
    registryMirrors?: Record<string, string>;
    /** PEM file of certificate authorities that the agent trusts for registries, beside the host's own; unset: none. */
    trustedCaFile?: string;
    /** Docker's config file with the agent's own logins of registries; unset: see RegistryAccess. */
    dockerConfigFile?: string;
    /** Folders of this host (absolute paths) below which pods may mount hostPath volumes; unset: none. */
    allowedHostPaths?: string[];
    /** Addresses and ranges that pods may send requests to though the node keeps them for itself; unset: none. */
    allowedEgress?: string[];
    /** Whether pods that serve have addresses of the node's pod range, in a container alone; unset: where the cluster's network routes to that. */
    podAddresses?: boolean;
    /** Whether components of WASI 0.3 are run; unset: they are not. */
    wasi03?: boolean;
    /** Where spans of the requests that pods answer are sent, the base URL of OTLP over HTTP; unset: nothing is recorded. */
    otlpEndpoint?: string;
    /** Share of the traces that begin at the node of which spans are recorded, from 0 to 1; unset: the agent's own default. */
    otlpSamplingRatio?: number;
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
    /** How long the pods may take to leave the node before it is removed, in seconds; 0: they end with it. Unset: 60. */
    drainTimeoutSeconds?: number;
    /** See ObserveOutput. */
    because?: string;
}

/** The same for a node that is a process of this host's. */
export type ProcessNodeInput = NodeInput & { nodeIp: string };

/** launchNode */
export interface NodeOutput {
    /** Id of the agent's process. */
    pid: number;
    /** IPv4 address of its container, where it is in one. */
    nodeIp?: string;
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
    /** See NodeInput. The approver is in a container of its own, and asks Docker for the address of the agent's. */
    network?: string;
    /** See CertificateApprovalInput.agentPid: where that was started anew, the approver may have ended with it. */
    agentPid?: number;
    /** See ObserveOutput. */
    because?: string;
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

/** observeNode: sees whether the agent still runs as launchNode left it. */
export interface ObserveNodeInput {
    /** Name of launchNode's resource. */
    resource: string;
    program: string;
    nodeName: string;
    stateDir: string;
}

/** observeApprover: sees whether the approver still runs as launchApprover left it. */
export interface ObserveApproverInput {
    /** Name of launchApprover's resource. */
    resource: string;
    nodeName: string;
    stateDir: string;
}
