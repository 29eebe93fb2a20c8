// The part of the configuration that is about the cluster: `cluster` says of which kind it is, and so which other keys it takes.
import * as pulumi from "@pulumi/pulumi";
import { CLUSTER_NAME, NODE_IMAGE } from "../defaults";
import { kubeconfigIn } from "../names";
import { oneOf, type Problem } from "../validation";
import type { StackClusterArgs } from "./stackCluster";

interface ClusterKind {
    /** The argument of WasmStack. */
    argument: keyof StackClusterArgs;
    /** Its properties by the keys that they come from. */
    keys: Record<string, string>;
    /** The property that says where the kubeconfig is kept, and the cluster's name in that file's. */
    file: { property: string; name(args: Record<string, unknown>): unknown };
}

const named = { clusterName: "name", clusterWaitSeconds: "waitSeconds", clusterPortMappings: "portMappings" };
const fileOf = (prefix: string, property = "kubeconfigFile", key = "name") => ({
    property,
    name: (args: Record<string, unknown>) => `${prefix}${(args[key] as string | undefined) ?? CLUSTER_NAME}`,
});

/** What `cluster` may be. */
export const clusterKinds: Record<string, ClusterKind> = {
    kind: {
        argument: "cluster",
        keys: {
            ...named,
            clusterImage: "image",
            mergeKubeconfigFile: "mergeKubeconfigFile",
            verifyKubelets: "verifyKubelets",
            clusterNodes: "nodes",
        },
        file: fileOf(""),
    },
    existing: {
        argument: "existingCluster",
        keys: {
            clusterContext: "context",
            clusterKubeconfigFile: "kubeconfigFile",
            clusterNodeAddress: "nodeAddress",
        },
        file: fileOf("", "copyFile", "context"),
    },
    minikube: {
        argument: "minikubeCluster",
        keys: {
            ...named,
            clusterVersion: "kubernetesVersion",
            clusterDriver: "driver",
            clusterServers: "nodes",
        },
        file: fileOf("minikube-"),
    },
    microk8s: {
        argument: "microK8sCluster",
        keys: { clusterWaitSeconds: "waitSeconds", clusterVersion: "channel" },
        file: { property: "kubeconfigFile", name: () => "microk8s" },
    },
    k3d: {
        argument: "k3dCluster",
        keys: { ...named, clusterVersion: "image", clusterServers: "servers", clusterAgents: "agents" },
        file: fileOf("k3d-"),
    },
};

/** Every key that is one kind's or another's. */
const allKeys = [...new Set(Object.values(clusterKinds).flatMap(({ keys }) => Object.keys(keys)))];

/** Pulumi.yaml's defaults: the engine hands them over as if they had been given. */
const defaults: Record<string, unknown> = {
    clusterName: CLUSTER_NAME,
    clusterImage: NODE_IMAGE,
    clusterWaitSeconds: 180,
    verifyKubelets: true,
};

/** Numbers of nodes, whose default is the tool's. */
const counts = { clusterServers: true, clusterAgents: true };

/** The cluster that the configuration asks for. */
export interface ConfiguredCluster {
    args: StackClusterArgs;
    problems: Problem[];
    /** The key that a path of WasmStack's arguments comes from; undefined: none. */
    keyOf(path: string): string | undefined;
    /** The same cluster with its kubeconfig kept in a folder, unless it is told otherwise. */
    inHome(home: string): StackClusterArgs;
}

/** `value` reads a key; undefined: it is not set. */
export function configuredCluster(value: (key: string) => unknown): ConfiguredCluster {
    const word = (value("cluster") as string | undefined) ?? "kind";
    const kind = Object.hasOwn(clusterKinds, word) ? clusterKinds[word] : undefined;
    if (kind === undefined) {
        const words = Object.keys(clusterKinds);
        return {
            args: {},
            problems: oneOf(words)(word, "cluster"),
            keyOf: () => undefined,
            inHome: () => ({}),
        };
    }
    const { argument, keys, file } = kind;
    const given = allKeys.filter((key) => isGiven(value(key), key));
    const stray = given.filter((key) => !(key in keys));
    const args = Object.fromEntries(
        Object.entries(keys)
            .map(([key, property]) => [property, unlessEmpty(key, value(key))] as const)
            .filter(([, one]) => one !== undefined),
    );
    return {
        args: { [argument]: args },
        problems: stray.map((key) => ({
            path: key,
            message: `is for cluster ${kindsWith(key).join(", ")}; this stack's cluster is ${word}`,
        })),
        keyOf: (path) => Object.keys(keys).find((key) => path === `${argument}.${keys[key]}`),
        inHome: (home) => ({
            [argument]: {
                [file.property]: pulumi.output(kubeconfigIn(home, file.name(args) as string)),
                ...args,
            },
        }),
    };
}

function kindsWith(key: string): string[] {
    return Object.keys(clusterKinds).filter((word) => key in clusterKinds[word].keys);
}

/** A list and a number must have a default in Pulumi.yaml: "nothing" is an empty list, or no node. */
function unlessEmpty(key: string, value: unknown): unknown {
    const isNone = (Array.isArray(value) && value.length === 0) || (key in counts && value === 0);
    return isNone ? undefined : value;
}

function isGiven(value: unknown, key: string): boolean {
    return unlessEmpty(key, value) !== undefined && value !== defaults[key];
}
