/** The part of the contract that is about clusters. */
import type { ObserveInput, ObserveOutput } from "../host/contract";
import type { WorkloadKind } from "../workload/contract";

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
    /** See ObserveOutput. */
    because?: string;
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

/** observeKindCluster: changes nothing but a lost kubeconfig file, so that each preview can run it. */
export interface ObserveKindClusterInput {
    /** Name of the cluster's resource. */
    resource: string;
    /** See KindClusterInput. */
    owner: string;
    kubeconfigFile: string;
    /** What makes it another cluster. */
    wanted: Pick<
        KindClusterInput,
        | "name"
        | "image"
        | "kubeadmConfigPatches"
        | "containerdConfigPatches"
        | "verifyKubelets"
        | "nodes"
        | "portMappings"
    >;
}

/** observeKindCluster, observeLocalCluster */
export interface ObserveClusterOutput extends ObserveOutput {
    /** What it told of the cluster, if that stands and is not to be made anew. */
    last?: ClusterOutput;
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
    /** See ObserveOutput. */
    because?: string;
    /** Why the cluster's own step ran last: its nodes may have other addresses since. */
    clusterBecause?: string;
}

/** observeKubelets */
export interface ObserveKubeletsInput extends ObserveInput {
    /** File of the admin kubeconfig. */
    kubeconfigFile: string;
}

/** approveKubeletCertificates */
export interface KubeletApprovalOutput {
    /** Each of kind's nodes with the name of its approved request; null where it had a certificate already. */
    requests: Record<string, string | null>;
}

/** Workloads that will run in a cluster: their rights are checked first. */
export interface WorkloadPlace {
    /** Pod, Deployment, Job, CronJob or DaemonSet. */
    kind: WorkloadKind;
    namespace: string;
    /** Whether it has a Service. */
    service?: boolean;
}

/** findCluster: only looks, so that each preview can run it. */
export interface FindClusterInput {
    /** A kubeconfig file with the context. It is not changed. */
    kubeconfigFile: string;
    context: string;
    /** IPv4 address of this host by which the cluster reaches a node here. Unset: found. */
    nodeAddress?: string;
    /** What will run there. */
    workloads: WorkloadPlace[];
    /** Namespaces in which a Secret with the login of a registry will be made. */
    pullSecretNamespaces: string[];
}

/** findCluster */
export interface FindClusterOutput extends Omit<ClusterOutput, "name" | "context" | "kubeconfigFile"> {
    /** SHA-256 of all that leads to the cluster, its credential too: another one, another copy. */
    kubeconfigDigest: string;
}

/** copyKubeconfig, removeKubeconfig */
export interface CopyKubeconfigInput {
    /** The kubeconfig file that the context is copied from. */
    source: string;
    context: string;
    /** The file of the stack's own that it is copied to (mode 0600). */
    kubeconfigFile: string;
    /** What findCluster found. */
    found: FindClusterOutput;
}

/** Tools that make a cluster on this machine, each by its own commands; kind has steps of its own. */
export const LocalClusterTool = { Minikube: "minikube", MicroK8s: "microk8s", K3d: "k3d" } as const;
export type LocalClusterTool = (typeof LocalClusterTool)[keyof typeof LocalClusterTool];

/** createLocalCluster, deleteLocalCluster */
export interface LocalClusterInput {
    tool: LocalClusterTool;
    /** Name of the cluster, as its tool shows it. */
    name: string;
    /** Whose cluster it is: see KindClusterInput.owner. */
    owner: string;
    /** How long it may take to be Ready, in seconds. */
    waitSeconds: number;
    /** Where the admin kubeconfig is kept (mode 0600), a file of this cluster alone. */
    kubeconfigFile: string;
    /** What is made, in the tool's own words: minikube's Kubernetes version, MicroK8s' snap channel, k3d's image. */
    version?: string;
    /** minikube's driver. */
    driver?: string;
    /** Nodes of minikube, servers of k3d. */
    servers?: number;
    /** Agents of k3d. */
    agents?: number;
    /** See KindClusterInput. */
    portMappings: NonNullable<KindClusterInput["portMappings"]>;
    /** See ObserveOutput. */
    because?: string;
}

/** observeLocalCluster: changes nothing but a lost kubeconfig file, so that each preview can run it. */
export interface ObserveLocalClusterInput {
    /** Name of the cluster's resource. */
    resource: string;
    /** See LocalClusterInput. */
    owner: string;
    kubeconfigFile: string;
    /** What makes it another cluster. */
    wanted: Omit<LocalClusterInput, "owner" | "kubeconfigFile" | "waitSeconds" | "because">;
}

/** What the preflight is told of the cluster: exactly one. */
export interface PreflightCluster {
    kind?: {
        name: string;
        /** See KindClusterInput. */
        mergeKubeconfigFile?: string;
        portMappings?: KindClusterInput["portMappings"];
    };
    existing?: FindClusterInput;
    local?: Pick<LocalClusterInput, "tool" | "name">;
}
