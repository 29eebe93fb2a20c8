// What a stack's workloads that answer requests want of its nodes and of each other, as far as that is known before anything is made.
import type * as pulumi from "@pulumi/pulumi";
import { NodeRuntime } from "../../../steps/contract";
import { NODE_NAME, NODE_PORT } from "../../defaults";
import type { NodeSettings } from "../../node/nodeSettings";
import * as rules from "../../rules";
import { plain, type Problem } from "../../validation";
import type { WasmAnyProgramArgs } from "../programArgs";
import { holdsPort, serves } from "./servingArgs";
import { crowded } from "./servingRules";

/** What matters here of a node. */
interface NodeItem extends Pick<NodeSettings, "runtime" | "port" | "podAddresses"> {
    name?: string;
    ip?: pulumi.Input<string>;
}

type WorkloadItem = WasmAnyProgramArgs & { node?: string };

const nameOf = ({ name = NODE_NAME }: NodeItem) => name;

/** Processes on one host share its address, unless they are told others; each container has its own. */
function addressOf(node: NodeItem): string {
    if (node.runtime === NodeRuntime.Container) return `the address of ${nameOf(node)}`;
    if (node.ip === undefined) return "the gateway's";
    return typeof node.ip === "string" ? node.ip : `what ${nameOf(node)} is given`;
}

/** The nodes that a workload may come to run on. A Pod that names none stays on the first one. */
function nodesFor({ node, kind = "Pod" }: WorkloadItem, nodes: NodeItem[]): NodeItem[] {
    if (node !== undefined) return nodes.filter((one) => nameOf(one) === node);
    return kind === "Pod" ? nodes.slice(0, 1) : nodes;
}

/** Whether its pods get addresses of their own. Nodes in containers are of kind clusters, whose network has routes to their pods. */
function givesAddresses({ runtime, podAddresses = true }: NodeItem): boolean {
    return runtime === NodeRuntime.Container && podAddresses;
}

/** A workload with what is to be said of its pods' addresses: whether all nodes that it may run on give them. */
export function addressed<W extends WorkloadItem>(workload: W, nodes: NodeItem[]): W {
    if (!serves(workload) || workload.podAddresses !== undefined) return workload;
    const possible = nodesFor(workload, nodes);
    return { ...workload, podAddresses: possible.length > 0 && possible.every(givesAddresses) };
}

/** How many pods of it there are to be at once; undefined: that is still to come. */
function podsOf(
    { kind = "Pod", replicas = 1, autoscaled = false }: WorkloadItem,
    possible: number,
): number | undefined {
    if (kind === "Pod") return 1;
    if (autoscaled) return undefined;
    if (kind === "DaemonSet") return possible;
    return typeof replicas === "number" ? replicas : undefined;
}

/**
 * What would never come up: more pods that serve at a port than there are addresses for them, two that want one port of one node, and two
 * Services of one name. `closed`: the cluster has no other Wasm nodes than these.
 */
export function stackServingProblems(
    workloads: WorkloadItem[],
    nodes: NodeItem[],
    closed: boolean,
): Problem[] {
    return [
        ...addressProblems(workloads, nodes),
        ...portProblems(workloads, nodes, closed),
        ...serviceProblems(workloads),
    ];
}

/** Workloads that count on addresses which a node of the stack does not give. */
function addressProblems(workloads: WorkloadItem[], nodes: NodeItem[]): Problem[] {
    return workloads.flatMap((workload, index) => {
        if (workload.podAddresses !== true) return [];
        const other = nodesFor(workload, nodes).find((node) => !givesAddresses(node));
        if (other === undefined) return [];
        const message =
            `counts on addresses that node ${JSON.stringify(nameOf(other))} does not give its pods: leave it out, or have the workload on a node ` +
            'with runtime "container"';
        return [plain(`workloads[${index}].podAddresses`, message)];
    });
}

function portProblems(workloads: WorkloadItem[], nodes: NodeItem[], closed: boolean): Problem[] {
    const taken = new Map<string, string>();
    for (const node of nodes) {
        const { port = NODE_PORT } = node;
        if (typeof port === "number") taken.set(`${addressOf(node)} ${port}`, `node "${nameOf(node)}"'s own`);
    }
    return workloads.flatMap((workload, index) => {
        const port: unknown = rules.items(workload.ports).at(0)?.containerPort;
        const possible = nodesFor(workload, nodes);
        const addresses = [...new Set(possible.map(addressOf))];
        const pods = podsOf(workload, possible.length);
        if (!holdsPort(workload)) return [];
        if (typeof port !== "number" || pods === undefined || addresses.length === 0) return [];
        const path = `workloads[${index}]`;
        const elsewhere = !closed && workload.node === undefined && workload.kind === "Deployment";
        if (pods > addresses.length && !elsewhere) {
            const property = workload.kind === "Deployment" ? "replicas" : "kind";
            return [crowded(`${path}.${property}`, pods, port, addresses.length)];
        }
        // The scheduler has a choice, so it may come to another one than the others.
        if (elsewhere || pods < addresses.length) return [];
        const places = addresses.map((address) => `${address} ${port}`);
        const owner = places.map((place) => taken.get(place)).find((one) => one !== undefined);
        for (const place of places) taken.set(place, taken.get(place) ?? `${path}'s`);
        if (owner === undefined) return [];
        const message = `${port} is ${owner}: pods that serve have their node's address, where a port is one's alone; give each its own`;
        return [{ path: `${path}.ports[0].containerPort`, message }];
    });
}

function serviceProblems(workloads: WorkloadItem[]): Problem[] {
    const services = workloads.map((workload) => {
        const { service, namespace = "default", name } = workload as WorkloadItem & { name?: string };
        if (typeof service !== "object" || service === null) return {};
        const { name: called = name, nodePort } = service;
        const known = typeof called === "string" && typeof namespace === "string";
        return { named: known ? `${namespace}/${called}` : undefined, nodePort };
    });
    const alike = (property: "named" | "nodePort", path: string) =>
        rules.duplicates(
            (index) => `workloads[${index}].${path}`,
            services.map((one) => one[property]),
            "give each Service its own",
        );
    return [...alike("named", "service.name"), ...alike("nodePort", "service.nodePort")];
}
