/** The part of the contract that is about clusters. */

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
    /** Unset: one control plane. */
    nodes?: { role: KindNodeRole }[];
    /** Ports of the first control plane that this host listens on too. Unset: none. */
    portMappings?: {
        containerPort: number;
        hostPort: number;
        listenAddress: string;
        protocol: PortProtocol;
    }[];
}

/** What a node of a kind cluster is, in kind's own words. */
export const KindNodeRole = { ControlPlane: "control-plane", Worker: "worker" } as const;
export type KindNodeRole = (typeof KindNodeRole)[keyof typeof KindNodeRole];

/** What a port speaks. */
export const PortProtocol = { TCP: "TCP", UDP: "UDP", SCTP: "SCTP" } as const;
export type PortProtocol = (typeof PortProtocol)[keyof typeof PortProtocol];

/** What every step that makes or finds a cluster tells of it. Holds no secret: the kubeconfig is in its file alone. */
export interface ClusterOutput {
    name: string;
    /** Absolute path of the admin kubeconfig for this host. */
    kubeconfigFile: string;
    /** Name of its only context. */
    context: string;
    /** URL of the API server. */
    server: string;
    /** Kubernetes version of the control plane: `v1.36.4`. */
    kubernetesVersion: string;
    /** Docker network of the cluster's nodes; unset: they are in none of this host's. */
    network?: string;
    /** IPv4 address of this host by which the cluster reaches a node that is a process here. */
    nodeAddress: string;
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
