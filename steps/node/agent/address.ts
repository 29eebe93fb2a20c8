// Where a node may listen: at an address of this host, which the cluster's own nodes reach.
import { BlockList } from "node:net";
import { networkInterfaces } from "node:os";
import type { NodeInput, ProcessNodeInput } from "../../contract";
import { StepError } from "../../lib/errors";
import { withKube, type Kube } from "../../lib/kube/kube";
import { blocking, listeners } from "../../host/ports";

/** The agent would fail on these too, but less clearly. */
export async function checkAddress(input: ProcessNodeInput, isOurs: boolean): Promise<void> {
    const interfaces = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []);
    const own = interfaces.find(({ address }) => address === input.nodeIp);
    if (own === undefined) {
        const all = interfaces.map(({ address }) => address).join(", ");
        throw new StepError(
            `KrustletNode "${input.nodeName}": nodeIp ${input.nodeIp} is no address of this host (it has ${all}); ` +
                "the gateway address of the cluster's Docker network is the one to give",
        );
    }
    const other = isOurs ? undefined : blocking(listeners(), input.nodeIp, input.port);
    if (other) {
        throw new StepError(
            `KrustletNode "${input.nodeName}": port ${input.port} of ${input.nodeIp} is in use: something listens on ` +
                `${other.address}:${other.port}; end it (\`ss -ltnp\` names it) or give the node another port`,
        );
    }
    const off = offNetwork(own.cidr, await kindnetNodes(input));
    if (off !== undefined) {
        throw new StepError(
            `KrustletNode "${input.nodeName}": nodeIp ${input.nodeIp} is not on the network of the cluster's own nodes (${off}), whose network ` +
                "program (kindnet) would fail on every route to it; leave nodeIp out, or give the gateway address of the cluster's Docker network",
        );
    }
}

/** The addresses of a cluster's own nodes, where kindnet routes from each to all others; none of a cluster with another network. */
async function kindnetNodes({ kubeconfigFile, nodeName }: NodeInput): Promise<string[]> {
    interface Nodes {
        items: { metadata: { name: string }; status?: { addresses?: { type: string; address: string }[] } }[];
    }
    return withKube(kubeconfigFile, async (kube) => {
        if (!(await hasDaemonSet(kube, KINDNET))) return [];
        const selector = encodeURIComponent("node-role.kubernetes.io/control-plane");
        const { items } = await kube.get<Nodes>(`/api/v1/nodes?labelSelector=${selector}`);
        return items
            .filter(({ metadata }) => metadata.name !== nodeName)
            .flatMap(({ status }) => status?.addresses ?? [])
            .filter(({ type }) => type === "InternalIP")
            .map(({ address }) => address);
    });
}

/** kind's network program. */
const KINDNET = "kindnet";

/** Network programs that give each of a cluster's own nodes routes to the pod ranges of all others: kind's, and that of node images without it. */
const ROUTING = [KINDNET, "pod-network"];

/** Whether the cluster's own nodes have routes to each node's pod range, by the node's own address. */
async function routesToPods(kube: Kube): Promise<boolean> {
    for (const name of ROUTING) {
        if (await hasDaemonSet(kube, name)) return true;
    }
    return false;
}

async function hasDaemonSet(kube: Kube, name: string): Promise<boolean> {
    return (await kube.find(`/apis/apps/v1/namespaces/kube-system/daemonsets/${name}`)) !== undefined;
}

/** Whether the node's pods that serve get addresses of its pod range, which others must have routes to: see NodeInput. */
export async function podsHaveAddresses({
    network,
    podAddresses,
    kubeconfigFile,
}: NodeInput): Promise<boolean> {
    return network !== undefined && (podAddresses ?? withKube(kubeconfigFile, routesToPods));
}

/** The first address that is not on the network of `cidr` (`172.18.0.1/16`), which none of another family is asked of. */
export function offNetwork(cidr: string | null, addresses: string[]): string | undefined {
    if (cidr === null) return undefined;
    const [address, length] = cidr.split("/");
    const family = address.includes(":") ? "ipv6" : "ipv4";
    const network = new BlockList();
    network.addSubnet(address, Number(length), family);
    return addresses
        .filter((other) => other.includes(":") === (family === "ipv6"))
        .find((other) => !network.check(other, family));
}
