import { createHash } from "node:crypto";
import { KindNodeRole, PortProtocol } from "../../contract";
import type { KindClusterInput, ObserveKindClusterInput } from "../../contract";
import { describeOwner, isOf, nameOf } from "../../lib/claim";
import type { Container, DockerHost, Network } from "../../lib/docker";
import {
    boolean,
    clusterName,
    ipv4,
    kubeconfigPath,
    list,
    object,
    oneOf,
    optional,
    owner,
    port,
    seconds,
    text,
    type Fields,
} from "../../lib/schema";

/** Ports of nodes that this host listens on. */
export const portMappings = list(
    object<NonNullable<KindClusterInput["portMappings"]>[number]>({
        containerPort: port,
        hostPort: port,
        listenAddress: ipv4,
        protocol: oneOf(Object.values(PortProtocol)),
    }),
);

/** Input of createKindCluster and deleteKindCluster. */
export const kindClusterInput = object<KindClusterInput>({
    name: clusterName,
    owner,
    image: optional(text),
    waitSeconds: seconds,
    kubeconfigFile: kubeconfigPath,
    mergeKubeconfigFile: optional(text),
    kubeadmConfigPatches: list(text),
    containerdConfigPatches: list(text),
    verifyKubelets: optional(boolean),
    nodes: optional(
        list(
            object<NonNullable<KindClusterInput["nodes"]>[number]>({
                role: oneOf(Object.values(KindNodeRole)),
            }),
        ),
    ),
    portMappings: optional(portMappings),
    because: optional(text),
});

const { fields } = kindClusterInput;

/** What makes it another cluster. */
export const wantedFields: Fields<ObserveKindClusterInput["wanted"]> = {
    name: fields.name,
    image: fields.image,
    kubeadmConfigPatches: fields.kubeadmConfigPatches,
    containerdConfigPatches: fields.containerdConfigPatches,
    verifyKubelets: fields.verifyKubelets,
    nodes: fields.nodes,
    portMappings: fields.portMappings,
};

/** Input of observeKindCluster. */
export const observeKindClusterInput = object<ObserveKindClusterInput>({
    resource: text,
    owner: fields.owner,
    kubeconfigFile: fields.kubeconfigFile,
    wanted: object<ObserveKindClusterInput["wanted"]>(wantedFields),
});

/** Label that kind gives each of a cluster's containers; its value is the cluster's name. */
export const clusterLabel = "io.x-k8s.kind.cluster";
/** Label that kind gives each of them; its value says which part it is. */
const roleLabel = "io.x-k8s.kind.role";

/**
 * Mount points that say whose cluster it is and what it was made from. A mount is there from the container's first moment,
 * so that even a half-made cluster tells; kind has no labels to set.
 */
const ownerMount = "/var/lib/krustlet-stack/owner/";
const configMount = "/var/lib/krustlet-stack/config/";
/** File in the control plane that says that the cluster was made to its end. */
export const completeMark = "/var/lib/krustlet-stack/complete";

/** What of a host needs patches for Kubernetes to run in a container there. */
export interface HostFacts {
    cgroupV1: boolean;
    /** Processes on the host cannot get CAP_SYS_RESOURCE, privileged containers included. */
    lacksSysResource: boolean;
}

/** Number of CAP_SYS_RESOURCE, from Linux' capability.h. */
const capSysResource = 24n;

/**
 * Facts of Docker's host. The bounding set of this process tells of it only where the daemon runs on this very machine: in
 * a virtual machine or elsewhere it is another one's, and is then taken to be complete.
 */
export function hostFacts(
    docker: Omit<DockerHost, "id">,
    here: { hostname: string; kernel: string; procStatus: string },
): HostFacts {
    const local = docker.name === here.hostname && docker.kernelVersion === here.kernel;
    const bounding = /^CapBnd:\s*([0-9a-f]+)$/m.exec(here.procStatus)?.[1];
    return {
        cgroupV1: docker.cgroupVersion === "1",
        lacksSysResource:
            local && bounding !== undefined && ((BigInt(`0x${bounding}`) >> capSysResource) & 1n) === 0n,
    };
}

/**
 * Makes the API server verify who it talks to when it gets logs from a node. In the form of kubeadm's older configuration: with
 * no apiVersion kind turns it into that of the configuration at hand, and adds it to the arguments that are there.
 */
const verifyingApiServer = {
    kind: "ClusterConfiguration",
    apiServer: { extraArgs: { "kubelet-certificate-authority": "/etc/kubernetes/pki/ca.crt" } },
};

/**
 * Has a new cluster's controllers at work some seconds sooner, and with them all that waits for what they make: before any of them starts, each is
 * given a service account, 40 requests and more, of which the controller manager sends 20 a second unless told otherwise.
 */
const quickControllers = {
    kind: "ClusterConfiguration",
    controllerManager: { extraArgs: { "kube-api-qps": "100", "kube-api-burst": "200" } },
};

/** The nodes of a kind config, the ports at the first control plane. */
function withPorts(
    nodes: NonNullable<KindClusterInput["nodes"]>,
    extraPortMappings: NonNullable<KindClusterInput["portMappings"]>,
): object[] {
    const first = nodes.findIndex(({ role }) => role === KindNodeRole.ControlPlane);
    return nodes.map((node, index) =>
        index === first && extraPortMappings.length > 0 ? { ...node, extraPortMappings } : node,
    );
}

/** The kind config (JSON, which is YAML too) of a cluster on such a host. */
export function kindConfig(input: KindClusterInput, facts: HostFacts): string {
    const verify = input.verifyKubelets ?? true;
    const kubelet = {
        // Else a kubelet makes a certificate for itself, which proves nothing to anybody.
        ...(verify ? { serverTLSBootstrap: true } : {}),
        // Kubernetes 1.35 and later refuse cgroup v1 unless told that it is known.
        ...(facts.cgroupV1 ? { failCgroupV1: false } : {}),
        // Lets the kubelet go on where it may not set kernel parameters and limits.
        ...(facts.lacksSysResource ? { featureGates: { KubeletInUserNamespace: true } } : {}),
    };
    const kubeadmConfigPatches = [
        ...(verify ? [JSON.stringify(verifyingApiServer)] : []),
        ...(Object.keys(kubelet).length > 0
            ? [JSON.stringify({ kind: "KubeletConfiguration", ...kubelet })]
            : []),
        ...input.kubeadmConfigPatches,
    ];
    const containerdConfigPatches = [
        ...registryHosts,
        ...(facts.lacksSysResource ? restrictOomScoreAdj : []),
        ...input.containerdConfigPatches,
    ];
    const config = {
        kind: "Cluster",
        apiVersion: "kind.x-k8s.io/v1alpha4",
        name: input.name,
        nodes: withPorts(input.nodes ?? [{ role: KindNodeRole.ControlPlane }], input.portMappings ?? []),
        kubeadmConfigPatches,
        containerdConfigPatches,
    };
    const hash = createHash("sha256")
        .update(JSON.stringify([config, input.image ?? null]))
        .digest("hex")
        .slice(0, 16);
    // Nothing that anybody asked for, nor that makes it another cluster.
    config.kubeadmConfigPatches.unshift(JSON.stringify(quickControllers));
    const mark = (containerPath: string) => ({ hostPath: "/dev/null", containerPath, readOnly: true });
    const extraMounts = [mark(ownerMount + pathOf(input.owner)), mark(configMount + hash)];
    return JSON.stringify(
        { ...config, nodes: config.nodes.map((node) => ({ ...node, extraMounts })) },
        null,
        2,
    );
}

// Where a node is told how to reach a registry (see connectRegistry). kind's own images of Kubernetes 1.32 and later, whose
// containerd is 2, have it already.
const registryHosts = [
    'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n',
    'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\n  config_path = "/etc/containerd/certs.d"\n',
];

// runc may not lower a container's OOM score without CAP_SYS_RESOURCE. kind applies a patch only to a containerd config of
// the version that the patch names.
const restrictOomScoreAdj = [
    'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true\n',
    'version = 3\n[plugins."io.containerd.cri.v1.runtime"]\n  restrict_oom_score_adj = true\n',
];

// A colon would end the path in docker's --volume; the slash of <project>/<stack> may stay.
function pathOf(name: string): string {
    return name.split("/").map(encodeURIComponent).join("/");
}

/** Owner of a kind container as its mounts tell; undefined: not made by this stack. */
export function ownerOfContainer(container: Container): string | undefined {
    const mark = container.Mounts.find(({ Destination }) => Destination.startsWith(ownerMount));
    return mark?.Destination.slice(ownerMount.length).split("/").map(decodeURIComponent).join("/");
}

/** The containers of a cluster that are nodes: all but the load balancer, which kind adds where there are several control planes. */
export function nodeContainers(cluster: Container[]): Container[] {
    const roles: string[] = Object.values(KindNodeRole);
    return cluster.filter(({ Config }) => roles.includes(Config.Labels?.[roleLabel] ?? ""));
}

/** Name of the node that a container is. */
export function nodeNameOf({ Name }: Container): string {
    return Name.replace(/^\//, "");
}

/** The container of the control plane that the stack speaks to; undefined: there is none. */
export function controlPlane(cluster: Container[]): Container | undefined {
    return cluster.find(({ Config }) => Config.Labels?.[roleLabel] === KindNodeRole.ControlPlane);
}

/** Whether a cluster's nodes are all the owner's; said of no container, it is true. */
export function isOurs(cluster: Container[], whose: string): boolean {
    const nodes = nodeContainers(cluster);
    return (
        cluster.length === 0 || (nodes.length > 0 && nodes.every((one) => isOf(ownerOfContainer(one), whose)))
    );
}

/** Why a cluster of that name may not be touched. */
export function notOurs(name: string, cluster: Container[], whose: string): string {
    const others = nodeContainers(cluster)
        .map(ownerOfContainer)
        .find((found) => !isOf(found, whose));
    const by = others === undefined ? "was not made by this stack" : `belongs to ${describeOwner(others)}`;
    return (
        `KindCluster.name: a kind cluster "${name}" exists and ${by}, so ${nameOf(whose)} does not touch it; choose another name, or ` +
        `remove it with \`kind delete cluster --name ${name}\` if nobody needs it`
    );
}

/** Whether the containers were made from this config. */
export function isMadeFrom(cluster: Container[], config: string): boolean {
    const marks = (JSON.parse(config) as { nodes: { extraMounts: { containerPath: string }[] }[] }).nodes[0]
        .extraMounts;
    return (
        cluster.length > 0 &&
        nodeContainers(cluster).every(({ Mounts }) =>
            marks.every(({ containerPath }) =>
                Mounts.some(({ Destination }) => Destination === containerPath),
            ),
        )
    );
}

/**
 * The network that kind made a cluster's containers on; kind's own default for none. Any other that a container is on somebody
 * has connected it to.
 */
export function networkOf(cluster: Container[]): string {
    return cluster.at(0)?.HostConfig.NetworkMode ?? "kind";
}

/**
 * Whether kind has made a network: by the options that it always gives, and the labels that it never does.
 * https://github.com/kubernetes-sigs/kind/blob/v0.33.0/pkg/cluster/internal/providers/docker/network.go
 */
export function isKinds({ Options, Labels }: Network): boolean {
    const masquerades = Options?.["com.docker.network.bridge.enable_ip_masquerade"] === "true";
    return masquerades && Object.keys(Labels ?? {}).length === 0;
}

/** A line of kind's output without its decoration; undefined when it tells nothing of the progress. */
export function progressOf(line: string): string | undefined {
    // The same step was told of when it began.
    if (line.includes("\u2713")) return undefined;
    const plain = line.replace(/[^\x20-\x7e]/g, "").trim();
    if (
        /^(Creating cluster|Ensuring|Preparing|Writing|Starting|Installing|Joining|Waiting|Ready after|Deleting|Deleted|WARNING|ERROR)/.test(
            plain,
        )
    ) {
        return plain.replace(/\s+/g, " ");
    }
    return undefined;
}
