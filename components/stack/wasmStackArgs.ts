import type * as pulumi from "@pulumi/pulumi";
import { NodeRuntime } from "../../steps/contract";
import type { WorkloadKind } from "../../steps/workload/contract";
import type { KindClusterArgs } from "../cluster/kindCluster";
import { stackClusterProblems, stackClusterRules, type StackClusterArgs } from "../cluster/stackCluster";
import { CLUSTER_NAME, NODE_NAME, NODE_PORT } from "../defaults";
import { nodeSettingsRules, type NodeSettings } from "../node/nodeSettings";
import type { LocalRegistryArgs } from "../registry/localRegistry";
import * as rules from "../rules";
import {
    argsProblems,
    boolean,
    didYouMean,
    list,
    object,
    plain,
    required,
    text,
    type Problem,
    type Rule,
    type Rules,
} from "../validation";
import { originProblems } from "../workload/wasmArtifact";
import type { WasmAnyProgramArgs } from "../workload/programArgs";
import {
    hostPathProblems,
    kind as workloadKind,
    kindOf,
    programProblems,
    rulesOf,
} from "../workload/programRules";
import { addressed, stackServingProblems } from "../workload/serving/stackServing";

export interface WasmStackArgs extends StackClusterArgs {
    /** The registry that modules are pushed to. Default: a local one. */
    registry?: WasmStackRegistryArgs;
    /** The Wasm nodes. Default: one of all defaults. */
    nodes?: WasmStackNodeArgs[];
    /** The RuntimeClass of Wasm nodes. Default: one of all defaults. */
    runtimeClass?: WasmStackRuntimeClassArgs;
    /** The WebAssembly programs that run on them. Default: none. */
    workloads?: WasmStackWorkloadArgs[];
}

/** The cluster's RuntimeClass: there is one of a name in a cluster. */
export interface WasmStackRuntimeClassArgs {
    /** Its name, which pods name as `runtimeClassName`. Default: `krustlet-wasi`. */
    name?: pulumi.Input<string>;
    /**
     * Whether the one of that name that is there already is used: none is made, and none deleted. For an `existingCluster` with several
     * stacks, of which one has it. Default: false, and one that is another's is refused.
     */
    shared?: boolean;
}

/** A local registry, or with `address` one that is there already. */
export interface WasmStackRegistryArgs extends LocalRegistryArgs {
    /**
     * A registry that is there already, with the beginning of its repositories' names if need be; it is used and never deleted.
     * With it, of the arguments of a local one only `containerName` may be given: that container, on this host, is the registry, and
     * kind's own nodes are to pull from it too. Default: none, and a local registry is made. Example: `ghcr.io/you`.
     */
    address?: string;
    /** Whether the registry at `address` is spoken to over plain HTTP. Default: false. */
    plainHttp?: boolean;
    /**
     * PEM file of certificate authorities that the registry's certificate may be of, beside this host's own; for those who push and
     * for the nodes. `~` is the home folder. Default: none. Example: `/etc/ssl/team-ca.pem`.
     */
    trustedCaFile?: string;
    /**
     * Docker's config file with the login for the registry; `~` is the home folder. Default: Docker's own,
     * `$DOCKER_CONFIG/config.json` or else `~/.docker/config.json`.
     */
    dockerConfigFile?: string;
    /**
     * Whether the pods get that login, in a Secret that they name as `imagePullSecrets`. Without it the nodes get it, from
     * `dockerConfigFile`. Default: true with `address`.
     */
    pullSecret?: boolean;
}

export interface WasmStackNodeArgs extends NodeSettings {
    /** Name of the node. Default: `krustlet`. */
    name?: string;
    /** IPv4 address of this host that the node announces and listens on. Default: the cluster's gateway address. */
    ip?: pulumi.Input<string>;
}

export interface WasmStackWorkloadArgs extends WasmAnyProgramArgs {
    /** Name of the workload, its container and its repository. Required. Example: `hello-wasm`. */
    name: string;
    /** Folder of a cargo project to build. Exactly one of `source`, `file`, `reference` and `image` is given. */
    source?: pulumi.Input<string>;
    /** A WebAssembly file. */
    file?: pulumi.Input<string>;
    /**
     * An artifact that is in a registry already, by tag or digest, which each update looks up: see WasmArtifactArgs. Example:
     * `ghcr.io/you/hello-wasm:v1`.
     */
    reference?: pulumi.Input<string>;
    /** A module that is in a registry already, by digest. */
    image?: pulumi.Input<string>;
    /** Repository that the module is pushed to. Default: the workload's name. */
    repository?: pulumi.Input<string>;
    /** Tag that is set there. Default: `latest`. */
    tag?: pulumi.Input<string>;
    /** Whether the tag is deleted with the workload: see WasmArtifactArgs. Default: false. */
    deleteTag?: boolean;
    /** Name of the node that it must run on. Default: of a Pod or a Job the first one; of others any. */
    node?: string;
}

/** A rule for each argument of a node. */
export const nodeRules: Rules<WasmStackNodeArgs> = {
    name: rules.nodeName,
    ip: rules.ipv4,
    ...nodeSettingsRules,
};

const workloadRules = (kind: WorkloadKind | undefined): Rules<WasmStackWorkloadArgs> => ({
    name: required(rules.dnsLabel, '"hello-wasm"'),
    source: text,
    file: text,
    reference: rules.artifactReference,
    image: rules.imageByDigest,
    repository: rules.repository,
    tag: rules.tag,
    deleteTag: boolean,
    node: rules.nodeName,
    kind: workloadKind,
    ...rulesOf(kind),
});

/** A rule for each argument of a workload of any kind. */
export const workloadRulesOfAll = workloadRules(undefined);

/** Looks at a workload by the rules of its kind. */
const workloadRule: Rule<never> = Object.assign(
    (workload: unknown, path: string) =>
        object(workloadRules(kindOf(Object(workload) as WasmStackWorkloadArgs)))(workload, path),
    { properties: workloadRulesOfAll },
);

export const stackRules: Rules<WasmStackArgs> = {
    ...stackClusterRules,
    registry: object({
        port: rules.port,
        image: rules.image,
        containerName: rules.containerName,
        keepData: boolean,
        readyTimeoutSeconds: rules.seconds,
        address: rules.registryWithPath,
        plainHttp: boolean,
        trustedCaFile: text,
        dockerConfigFile: text,
        pullSecret: boolean,
    } satisfies Rules<WasmStackRegistryArgs>),
    nodes: list(object(nodeRules)),
    runtimeClass: object({
        name: rules.objectName,
        shared: boolean,
    } satisfies Rules<WasmStackRuntimeClassArgs>),
    workloads: list(workloadRule),
};

/** All that is wrong with a stack's arguments, as far as they are known. */
export function wasmStackProblems(args: WasmStackArgs): Problem[] {
    const wrong = argsProblems(args, stackRules);
    const nodes = items(args.nodes, [{}]);
    const workloads = items(args.workloads, []).map((workload) => addressed(workload, nodes));
    return [
        ...wrong,
        ...stackClusterProblems(args),
        ...registryProblems(args.registry),
        ...runtimeClassProblems(args),
        ...nodeProblems(nodes, Object(args.cluster) as KindClusterArgs),
        ...containerProblems(nodes, args),
        ...workloadsProblems(workloads, nodes),
        ...stackServingProblems(workloads, nodes, args.existingCluster === undefined),
    ];
}

/** The items of a list, each an object; what is wrong with others has been said. */
function items<T extends object>(given: T[] | undefined, unset: T[]): T[] {
    return rules.items(given ?? unset).map((item) => item ?? ({} as T));
}

function runtimeClassProblems({ runtimeClass, existingCluster }: WasmStackArgs): Problem[] {
    const { shared } = Object(runtimeClass) as WasmStackRuntimeClassArgs;
    return shared === true && existingCluster === undefined
        ? [
              plain(
                  "runtimeClass.shared",
                  "is for a cluster that is there already; one of the stack's own has none yet",
              ),
          ]
        : [];
}

function registryProblems(registry: WasmStackRegistryArgs | undefined): Problem[] {
    if (typeof registry !== "object" || registry === null) return [];
    if (registry.address === undefined) {
        return (["plainHttp", "trustedCaFile", "dockerConfigFile", "pullSecret"] as const)
            .filter((key) => registry[key] !== undefined)
            .map((key) =>
                plain(
                    `registry.${key}`,
                    "is for a registry at `address`; the local one is plain HTTP and knows no login",
                ),
            );
    }
    return (["port", "image", "keepData", "readyTimeoutSeconds"] as const)
        .filter((key) => registry[key] !== undefined)
        .map((key) => plain(`registry.${key}`, "is for the local registry, which `address` does without"));
}

function nodeProblems(nodes: WasmStackNodeArgs[], cluster: KindClusterArgs): Problem[] {
    const names = nodes.map((node) => node.name ?? NODE_NAME);
    const sockets = nodes.map((node) => {
        // Each container has all ports of its own.
        if (node.runtime === NodeRuntime.Container) return undefined;
        const port = node.port ?? NODE_PORT;
        const ip = node.ip ?? "";
        return typeof ip === "string" && typeof port === "number" ? `${ip}:${port}` : undefined;
    });
    const ports = sockets.flatMap((socket, index) => {
        const first = sockets.indexOf(socket);
        if (socket === undefined || first === index) return [];
        const port = socket.slice(socket.lastIndexOf(":") + 1);
        return [
            {
                path: `nodes[${index}].port`,
                message: `${port} is taken by nodes[${first}]; give each node its own`,
                discreet: `is taken by nodes[${first}]; give each node its own`,
            },
        ];
    });
    const kinds = names.flatMap((name, index) => {
        const problem = kindsOwn(name, cluster.name ?? CLUSTER_NAME);
        return problem === undefined ? [] : [{ path: `nodes[${index}].name`, message: problem }];
    });
    return [
        ...rules.duplicates((i) => `nodes[${i}].name`, names, "give each node its own"),
        ...kinds,
        ...ports,
    ];
}

/** What nodes in containers need of the rest of a stack. */
function containerProblems(nodes: WasmStackNodeArgs[], args: WasmStackArgs): Problem[] {
    const others = Object.keys(stackClusterRules).filter((key) => key !== "cluster");
    const other = others.find((key) => args[key as keyof WasmStackArgs] !== undefined);
    const { address, containerName } = Object(args.registry) as WasmStackRegistryArgs;
    const isHere = typeof address === "string" && /^(localhost|127(\.\d+){3})(:|\/|$)/.test(address);
    return nodes.flatMap((node, index) => {
        if (node.runtime !== NodeRuntime.Container) return [];
        const path = `nodes[${index}]`;
        return [
            ...(node.ip === undefined
                ? []
                : [plain(`${path}.ip`, "is Docker's to give to a node in a container; leave it out")]),
            ...(other === undefined
                ? []
                : [
                      plain(
                          `${path}.runtime`,
                          `"container" is for a kind cluster, and this stack has ${other}; leave it out, and the node is a process`,
                      ),
                  ]),
            ...(isHere && containerName === undefined
                ? [
                      plain(
                          "registry.containerName",
                          `is missing: nodes[${index}] is in a container, where ${address} is not this host's; name the registry's container`,
                      ),
                  ]
                : []),
        ];
    });
}

/** kind gives its own nodes these names. Two agents of one name would be one Node, now the one and now the other. */
function kindsOwn(name: unknown, cluster: unknown): string | undefined {
    if (typeof name !== "string" || typeof cluster !== "string") return undefined;
    if (!name.startsWith(`${cluster}-`)) return undefined;
    return /^(control-plane|worker)\d*$/.test(name.slice(cluster.length + 1))
        ? `is ${JSON.stringify(name)}, which is kind's for a node of cluster "${cluster}"; choose another name`
        : undefined;
}

/** The nodes that a workload may come to run on. */
function nodesFor({ node }: WasmStackWorkloadArgs, nodes: WasmStackNodeArgs[]): WasmStackNodeArgs[] {
    return node === undefined ? nodes : nodes.filter(({ name }) => (name ?? NODE_NAME) === node);
}

function workloadsProblems(workloads: WasmStackWorkloadArgs[], nodes: WasmStackNodeArgs[]): Problem[] {
    const names = workloads.map(({ name }) => name);
    const nodeNames = nodes.map((node) => node.name ?? NODE_NAME);
    const each = workloads.flatMap((workload, index) => {
        const path = `workloads[${index}]`;
        const { node } = workload;
        const stranger = typeof node === "string" && nodeNames.length > 0 && !nodeNames.includes(node);
        const unknownNode = `no node of this stack is named ${JSON.stringify(node)}${
            didYouMean(node, nodeNames) || `; there are ${nodeNames.join(", ")}`
        }`;
        return [
            ...originProblems(workload, ["source", "file", "reference", "image"], path),
            ...programProblems(workload, path),
            ...nodesFor(workload, nodes).flatMap((one) =>
                hostPathProblems(workload, { ...one, name: one.name ?? NODE_NAME }, path),
            ),
            ...(stranger ? [{ path: `${path}.node`, message: unknownNode }] : []),
        ];
    });
    const homeless =
        workloads.length > 0 && nodes.length === 0
            ? [plain("nodes", "is empty, so nothing could run the workloads")]
            : [];
    return [
        ...each,
        ...rules.duplicates((i) => `workloads[${i}].name`, names, "give each workload its own"),
        ...homeless,
    ];
}
