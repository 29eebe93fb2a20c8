import { configuredCluster, type ConfiguredCluster } from "../cluster/clusterConfig";
import { withoutSecrets, withSecrets } from "./configSecrets";
import { NODE_NAME } from "../defaults";
import { ownName } from "../names";
import { object, throwProblems, unknownName, type Problem } from "../validation";
import { stackRules, wasmStackProblems, type WasmStackArgs } from "./wasmStackArgs";

/** Reads a configuration value: Pulumi keeps every one as a text, and lists as JSON. */
type Reader = (value: string) => unknown;

const asText: Reader = (value) => value;
const asInteger: Reader = (value) => (/^-?\d+$/.test(value.trim()) ? Number(value) : value);
const asBoolean: Reader = (value) => ({ true: true, false: false })[value.trim()] ?? value;
const asList: Reader = (value) => {
    try {
        return JSON.parse(value) as unknown;
    } catch {
        return value;
    }
};

/** Every key of the configuration (Pulumi.yaml declares the same ones): how it is read, and which argument it stands for. */
export const configKeys: Record<string, { read: Reader; argument: string }> = {
    // Which argument each of these stands for, clusterConfig.ts says.
    cluster: { read: asText, argument: "cluster" },
    clusterName: { read: asText, argument: "cluster.name" },
    clusterImage: { read: asText, argument: "cluster.image" },
    clusterWaitSeconds: { read: asInteger, argument: "cluster.waitSeconds" },
    mergeKubeconfigFile: { read: asText, argument: "cluster.mergeKubeconfigFile" },
    verifyKubelets: { read: asBoolean, argument: "cluster.verifyKubelets" },
    clusterNodes: { read: asList, argument: "cluster.nodes" },
    clusterPortMappings: { read: asList, argument: "cluster.portMappings" },
    clusterContext: { read: asText, argument: "existingCluster.context" },
    clusterKubeconfigFile: { read: asText, argument: "existingCluster.kubeconfigFile" },
    clusterNodeAddress: { read: asText, argument: "existingCluster.nodeAddress" },
    clusterVersion: { read: asText, argument: "minikubeCluster.kubernetesVersion" },
    clusterDriver: { read: asText, argument: "minikubeCluster.driver" },
    clusterServers: { read: asInteger, argument: "k3dCluster.servers" },
    clusterAgents: { read: asInteger, argument: "k3dCluster.agents" },
    registryPort: { read: asInteger, argument: "registry.port" },
    registryImage: { read: asText, argument: "registry.image" },
    registryAddress: { read: asText, argument: "registry.address" },
    registryPlainHttp: { read: asBoolean, argument: "registry.plainHttp" },
    registryKeepData: { read: asBoolean, argument: "registry.keepData" },
    registryTrustedCaFile: { read: asText, argument: "registry.trustedCaFile" },
    registryDockerConfigFile: { read: asText, argument: "registry.dockerConfigFile" },
    registryPullSecret: { read: asBoolean, argument: "registry.pullSecret" },
    registryContainerName: { read: asText, argument: "registry.containerName" },
    runtimeClassName: { read: asText, argument: "runtimeClass.name" },
    runtimeClassShared: { read: asBoolean, argument: "runtimeClass.shared" },
    nodes: { read: asList, argument: "nodes" },
    workloads: { read: asList, argument: "workloads" },
};

/** What the program knows of its configuration and surroundings. */
export interface StackConfig {
    /** Configuration values by key, without the project's name. */
    values: Record<string, string>;
    /** Keys whose values hold a secret. */
    secretKeys: string[];
    /**
     * Folder for what the stack leaves on this host, nodes' folders and the kubeconfig, when it is not the default one (see
     * KrustletNodeArgs and KindClusterArgs).
     */
    home?: string;
}

/** The stack's arguments from its configuration. Throws one error that lists all that is wrong with it. */
export function stackArgs({ values, secretKeys, home }: StackConfig): WasmStackArgs {
    const known = Object.keys(configKeys);
    const unknown: Problem[] = Object.keys(values)
        .filter((key) => !known.includes(key))
        .map((key) => ({ path: key, message: unknownName(key, known) }));
    const value = (key: string) => {
        // Every key that Pulumi.yaml declares must have a default, so "nothing" is an empty text there.
        const given = values[key];
        return given === undefined || given === "" ? undefined : configKeys[key].read(given);
    };

    const cluster = configuredCluster(value);
    const elsewhere = value("registryAddress") !== undefined;
    const containerName = value("registryContainerName");
    const local = {
        port: value("registryPort"),
        image: value("registryImage"),
        containerName,
        keepData: value("registryKeepData"),
    };
    const remote = {
        address: value("registryAddress"),
        plainHttp: value("registryPlainHttp"),
        trustedCaFile: value("registryTrustedCaFile"),
        dockerConfigFile: value("registryDockerConfigFile"),
        pullSecret: value("registryPullSecret"),
        containerName,
    };
    const runtimeClass = present({ name: value("runtimeClassName"), shared: value("runtimeClassShared") });
    // Nothing is known of these values yet but their names: the rules below say what is wrong with them.
    const args = {
        ...cluster.args,
        registry: present(elsewhere ? remote : local),
        runtimeClass,
        nodes: value("nodes"),
        workloads: eachItem(value("workloads"), textsOf("env", "limits")),
    } as WasmStackArgs;

    const rules = object(stackRules);
    const wrong = [...cluster.problems, ...wasmStackProblems(args)].map((one) => {
        const { key } = configPlace(one.path, cluster);
        const { path, message } = withoutSecrets({ ...one, key }, { values, secretKeys }, rules);
        const place = configPlace(path, cluster);
        return { path: place.key + place.within, message };
    });
    throwProblems("The configuration", [...unknown, ...wrong]);
    return {
        ...present(args),
        ...(home === undefined ? {} : { ...cluster.inHome(home), nodes: nodesIn(home, args) }),
        workloads: secretKeys.includes("workloads") ? args.workloads?.map(withSecrets) : args.workloads,
    };
}

/** Where in the configuration an argument comes from: key `clusterNodes`, and `[0].role` within it, of `cluster.nodes[0].role`. */
function configPlace(path: string, cluster: ConfiguredCluster): { key: string; within: string } {
    const [argument] = /^\w+(\.\w+)?/.exec(path) ?? [""];
    const key = Object.keys(configKeys).find((one) => configKeys[one].argument === argument);
    return { key: cluster.keyOf(argument) ?? key ?? argument, within: path.slice(argument.length) };
}

/** `pulumi config set --path` makes a number of what looks like one; the environment and limits hold texts, as arguments do. */
function textsOf(...properties: string[]) {
    return (item: Record<string, unknown>): Record<string, unknown> => ({
        ...item,
        ...Object.fromEntries(
            properties.filter((name) => name in item).map((name) => [name, withTexts(item[name])]),
        ),
    });
}

function withTexts(map: unknown): unknown {
    if (typeof map !== "object" || map === null || Array.isArray(map)) return map;
    const texts = Object.entries(map).map(([name, one]: [string, unknown]) => [
        name,
        typeof one === "number" || typeof one === "boolean" ? String(one) : one,
    ]);
    return Object.fromEntries(texts) as unknown;
}

function eachItem(
    list: unknown,
    change: (item: Record<string, unknown>) => Record<string, unknown>,
): unknown {
    if (!Array.isArray(list)) return list;
    return list.map((item: unknown) =>
        typeof item === "object" && item !== null ? change(item as Record<string, unknown>) : item,
    );
}

/** The nodes, with their files in the folder unless they are told otherwise. */
function nodesIn(home: string, { nodes }: WasmStackArgs): WasmStackArgs["nodes"] {
    return nodes?.map((node) => ({
        ...node,
        stateDir: node.stateDir ?? `${home}/nodes/${ownName(node.name ?? NODE_NAME)}`,
    }));
}

/** The properties that are there. */
function present<T extends object>(value: T): T {
    return Object.fromEntries(Object.entries(value).filter(([, one]) => one !== undefined)) as T;
}
