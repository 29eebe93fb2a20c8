/** What each kind of cluster asks of its steps, and what a stack on it makes of that. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import {
    ExistingCluster,
    K3dCluster,
    MicroK8sCluster,
    MinikubeCluster,
    WasmStack,
    type WasmStackArgs,
} from "../../../../components";
import { adminFile, commandInputs, steps, undone } from "../fixtures";
import { record } from "../mocks";

const owner = "project/stack/0123456789abcdef";
const kubeconfigOf = (name: string) => `~/.local/state/krustlet-stack/kubeconfig/project-stack-${name}`;
const hello = { name: "hello-wasm", image: `ghcr.io/you/hello@sha256:${"a".repeat(64)}` };

test("an existing cluster is looked at, and its context copied", async () => {
    const { resources, invokes, result } = await record({ steps }, () => {
        const cluster = new ExistingCluster("c", { context: pulumi.output("admin@prod") });
        const { name, kubeconfigFile, server, nodeAddress, identity } = cluster;
        return {
            name,
            kubeconfigFile,
            server,
            nodeAddress,
            identity,
            deleted: cluster.inCluster().deletedWith,
        };
    });
    const look = {
        kubeconfigFile: "~/.kube/config",
        context: "admin@prod",
        workloads: [{ kind: "Pod", namespace: "default" }],
        pullSecretNamespaces: [],
    };
    const input = {
        source: "~/.kube/config",
        context: "admin@prod",
        kubeconfigFile: kubeconfigOf("admin@prod"),
        found: steps.findCluster,
    };
    assert.deepEqual(resources["c-kubeconfig"].inputs, {
        ...commandInputs("copyKubeconfig", "removeKubeconfig"),
        stdin: JSON.stringify(input),
        triggers: ["admin@prod", "cluster-uid"],
    });
    assert.deepEqual(resources["c-kubeconfig"].options, undone);
    assert.deepEqual(resources["c-provider"].inputs, {
        kubeconfig: adminFile,
        clusterIdentifier: "cluster-uid",
    });
    assert.deepEqual(
        invokes.map(({ command, input }) => [command, input]),
        [
            ["cluster/existing/findCluster", look],
            ["cluster/existing/copyKubeconfig", { ...input, kubeconfigFile: adminFile }],
        ],
    );
    assert.deepEqual(result, {
        name: "admin@prod",
        kubeconfigFile: adminFile,
        server: "https://192.0.2.1:6443",
        nodeAddress: "192.0.2.9",
        identity: "cluster-uid",
        deleted: undefined,
    });
});

test("a preview of an existing cluster that is new writes no file", async () => {
    const { invokes } = await record({ steps, preview: true }, () => {
        new ExistingCluster("c", { context: "admin@prod" });
    });
    assert.deepEqual(
        invokes.map(({ command }) => command),
        ["cluster/existing/findCluster"],
    );
});

const local: [string, () => MinikubeCluster | K3dCluster | MicroK8sCluster, string, object][] = [
    [
        "minikube",
        () => new MinikubeCluster("c", { name: "demo", nodes: 2, driver: "docker" }),
        "minikube-demo",
        { name: "demo", driver: "docker", servers: 2, tool: "minikube", portMappings: [] },
    ],
    [
        "microk8s",
        () => new MicroK8sCluster("c"),
        "microk8s-microk8s",
        { name: "microk8s", version: "latest/stable", tool: "microk8s", portMappings: [] },
    ],
    [
        "k3d",
        () => new K3dCluster("c", { portMappings: [{ containerPort: 1, hostPort: 2 }] }),
        "k3d-krustlet",
        {
            ...{ name: "krustlet", tool: "k3d" },
            portMappings: [{ containerPort: 1, hostPort: 2, listenAddress: "127.0.0.1", protocol: "TCP" }],
        },
    ],
];
for (const [tool, make, file, made] of local) {
    test(`a cluster by ${tool}`, async () => {
        const { resources, invokes, result } = await record({ steps }, () => {
            const cluster = make();
            return { context: cluster.context, nodeAddress: cluster.nodeAddress, network: cluster.network };
        });
        const { inputs, options } = resources[`c-${tool}`];
        const input = {
            ...made,
            owner,
            waitSeconds: 300,
            kubeconfigFile: kubeconfigOf(file),
        };
        assert.deepEqual(JSON.parse(inputs.stdin as string), input);
        assert.deepEqual(JSON.parse((inputs.triggers as string[])[0]), made);
        assert.deepEqual(
            { ...inputs, stdin: 0, triggers: 0 },
            {
                ...commandInputs("createLocalCluster", "deleteLocalCluster"),
                stdin: 0,
                triggers: 0,
            },
        );
        assert.deepEqual(options, undone);
        assert.deepEqual(
            invokes.map(({ command, input }) => [command, input]),
            [
                [
                    "cluster/local/observeLocalCluster",
                    { resource: `c-${tool}`, owner, kubeconfigFile: input.kubeconfigFile, wanted: made },
                ],
            ],
        );
        assert.deepEqual(result, { context: "demo", nodeAddress: "192.168.49.1", network: undefined });
    });

    test(`a cluster by ${tool} that is gone is made anew, and what is in it with it; one that is stopped keeps it`, async () => {
        const identifierIn = async (seen: object) => {
            const { resources } = await record(
                { steps: { ...steps, observeLocalCluster: seen }, preview: true },
                make,
            );
            return resources["c-provider"].inputs.clusterIdentifier;
        };
        assert.notEqual(await identifierIn({ because: "it is gone" }), "cluster-uid");
        const stopped = { because: "it is stopped", last: steps.createLocalCluster };
        assert.equal(await identifierIn(stopped), "cluster-uid");
        const { resources } = await record({ steps: { ...steps, observeLocalCluster: stopped } }, make);
        const { stdin } = resources[`c-${tool}`].inputs;
        assert.equal((JSON.parse(stdin as string) as { because: string }).because, "it is stopped");
    });
}

const stacks: [string, WasmStackArgs, object, string][] = [
    [
        "existing",
        {
            existingCluster: { context: "admin@prod" },
            registry: { address: "ghcr.io/you" },
            workloads: [
                hello,
                { ...hello, name: "two", kind: "Deployment", namespace: "apps" },
                { ...hello, name: "three", ports: [{ containerPort: 8080 }], service: {} },
            ],
        },
        {
            existing: {
                kubeconfigFile: "~/.kube/config",
                context: "admin@prod",
                workloads: [
                    { kind: "Pod", namespace: "default" },
                    { kind: "Deployment", namespace: "apps" },
                    { kind: "Pod", namespace: "default", service: true },
                ],
                pullSecretNamespaces: ["default", "apps", "default"],
            },
        },
        "ExistingCluster",
    ],
    [
        "minikube",
        { minikubeCluster: {} },
        { local: { tool: "minikube", name: "krustlet" } },
        "MinikubeCluster",
    ],
    [
        "microk8s",
        { microK8sCluster: {} },
        { local: { tool: "microk8s", name: "microk8s" } },
        "MicroK8sCluster",
    ],
    ["k3d", { k3dCluster: { name: "d" } }, { local: { tool: "k3d", name: "d" } }, "K3dCluster"],
];
for (const [what, args, preflight, component] of stacks) {
    test(`a stack on a cluster of kind ${what}: its cluster is looked at first, and reaches the node`, async () => {
        const { resources, invokes } = await record({ steps }, () => new WasmStack("s", args).nodeNames);
        const [first] = invokes.filter(({ command }) => command === "host/preflight");
        assert.deepEqual((first.input as { cluster: object }).cluster, preflight);
        assert.equal(resources["s-cluster"].type, `krustlet-stack:index:${component}`);
        const agent = JSON.parse(resources["s-krustlet-agent"].inputs.stdin as string) as { nodeIp: string };
        assert.equal(agent.nodeIp, what === "existing" ? "192.0.2.9" : "192.168.49.1");
        assert.equal("s-registry-hosting" in resources, false, "its nodes cannot be told of a registry");
        const goesWith = resources["s-runtime-class"].options.deletedWith;
        assert.equal(
            goesWith,
            what === "existing" ? undefined : "pulumi:providers:kubernetes::s-cluster-provider",
        );
    });
}

test("a stack has one cluster", async () => {
    await record({ steps }, () => {
        const args = {
            cluster: {},
            existingCluster: { context: "c" },
            k3dCluster: { servers: 0 },
            registry: { address: "localhost:5001", containerName: "kind-registry" },
        };
        assert.throws(() => new WasmStack("s", args), {
            message: [
                'WasmStack "s" has 3 problems:',
                "  - k3dCluster.servers: must be a whole number from 1 to 20, not 0",
                "  - existingCluster: is given beside cluster; a stack has one cluster",
                "  - k3dCluster: is given beside cluster; a stack has one cluster",
            ].join("\n"),
        });
        const { cluster, k3dCluster, ...rest } = args;
        assert.ok(cluster && k3dCluster);
        assert.throws(() => new WasmStack("t", rest), {
            message: [
                'WasmStack "t" has 1 problem:',
                "  - registry.containerName: is for kind's own nodes to pull from; a stack with existingCluster has none",
            ].join("\n"),
        });
    });
});
