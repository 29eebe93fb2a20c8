// What kind says of its nodes and of their ports, said before it is asked.
import { KindNodeRole, PortProtocol } from "../../steps/contract";
import * as rules from "../rules";
import { list, object, oneOf, required, type Problem, type Rules } from "../validation";
import type { KindNodeArgs, KindPortMappingArgs } from "./kindCluster";

export const nodesRule = list(
    object({
        role: required(oneOf(Object.values(KindNodeRole)), '"worker"'),
    } satisfies Rules<KindNodeArgs>),
);

export const portMappingsRule = list(
    object({
        containerPort: required(rules.port, "30080"),
        hostPort: required(rules.port, "8080"),
        listenAddress: rules.ipv4,
        protocol: oneOf(Object.values(PortProtocol)),
    } satisfies Rules<KindPortMappingArgs>),
);

/** A cluster without a control plane is none. */
export function nodesProblems(nodes: unknown, path: string): Problem[] {
    if (!Array.isArray(nodes)) return [];
    // One that is still to come may be a control plane; what is wrong with any other has been said.
    if (nodes.some((node) => typeof roleOf(node) !== "string" || roleOf(node) === KindNodeRole.ControlPlane))
        return [];
    return [{ path, message: `has no control plane; add { role: "${KindNodeRole.ControlPlane}" }` }];
}

function roleOf(node: unknown): unknown {
    return (node as Partial<KindNodeArgs> | null)?.role;
}

/** A port of this host is one mapping's, or the local registry's, which listens at `registryPort`. */
export function portMappingProblems(mappings: unknown, path: string, registryPort?: unknown): Problem[] {
    if (!Array.isArray(mappings)) return [];
    const sockets = (mappings as (Partial<KindPortMappingArgs> | null)[]).map((mapping) => {
        const { hostPort, listenAddress = "127.0.0.1", protocol = PortProtocol.TCP } = mapping ?? {};
        const known =
            typeof hostPort === "number" && [listenAddress, protocol].every((one) => typeof one === "string");
        return known ? { hostPort, listenAddress, protocol } : undefined;
    });
    const registry = { hostPort: registryPort, listenAddress: "127.0.0.1", protocol: PortProtocol.TCP };
    return sockets.flatMap((socket, index) => {
        if (socket === undefined) return [];
        const first = sockets.findIndex((other) => other && overlap(socket, other));
        const owners = [
            ...(overlap(socket, registry) ? ["the local registry"] : []),
            ...(first === index ? [] : [`${path}[${first}]`]),
        ];
        return owners.slice(0, 1).map((owner) => ({
            path: `${path}[${index}].hostPort`,
            message: `${socket.hostPort} is taken by ${owner}; give each port of the nodes its own`,
        }));
    });
}

type Socket = Record<"hostPort" | "listenAddress" | "protocol", unknown>;

function overlap(a: Socket, b: Socket): boolean {
    const addresses = [a.listenAddress, b.listenAddress];
    return (
        a.hostPort === b.hostPort &&
        a.protocol === b.protocol &&
        (addresses[0] === addresses[1] || addresses.includes("0.0.0.0"))
    );
}
