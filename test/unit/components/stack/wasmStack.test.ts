/** The parts of a stack, what each waits for, and what goes with what. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { WasmStack, WorkloadKind, type WasmStackArgs } from "../../../../components";
import { adminFile, imageReference, steps } from "../fixtures";
import { areSecret, record, type Registered } from "../mocks";
import { command, hello } from "./parts";

/** How the engine is told that a value is still to come. */
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

/** Each resource by its name: its type and its parent's name. */
function tree(resources: Record<string, Registered>): Record<string, string> {
    return Object.fromEntries(
        Object.entries(resources).map(([name, { type, parent }]) => [
            name,
            `${type} < ${parent?.split("::")[1] ?? ""}`,
        ]),
    );
}

/** Names of the resources that belong to a plugin. */
function custom(resources: Record<string, Registered>): string[] {
    return Object.keys(resources).filter((name) => !resources[name].type.startsWith("krustlet-stack:"));
}

test("the walk-through: every part, and what it tells", async () => {
    const { resources, invokes, looks, result } = await record({ steps }, () => {
        const s = new WasmStack("s", { workloads: [hello] });
        const { kubeconfigFile, clusterName, nodeNames, registryAddress, artifacts, workloads } = s;
        return { kubeconfigFile, clusterName, nodeNames, registryAddress, artifacts, workloads };
    });
    assert.deepEqual(tree(resources), {
        s: "krustlet-stack:index:WasmStack < ",
        "s-cluster": "krustlet-stack:index:KindCluster < s",
        "s-cluster-kind": "command:local:Command < s-cluster",
        "s-cluster-kubelets": "command:local:Command < s-cluster",
        "s-cluster-provider": "pulumi:providers:kubernetes < s-cluster",
        "s-registry": "krustlet-stack:index:LocalRegistry < s",
        "s-registry-image": "docker:index/remoteImage:RemoteImage < s-registry",
        "s-registry-room": "command:local:Command < s-registry",
        "s-registry-container": "docker:index/container:Container < s-registry",
        "s-registry-ready": "command:local:Command < s-registry",
        "s-registry-hosting": "krustlet-stack:index:RegistryHosting < s",
        "s-registry-hosting-connection": "command:local:Command < s-registry-hosting",
        "s-registry-hosting-announcement": "kubernetes:core/v1:ConfigMap < s-registry-hosting",
        "s-krustlet": "krustlet-stack:index:KrustletNode < s",
        "s-krustlet-bootstrap": "krustlet-stack:index:KrustletBootstrap < s-krustlet",
        "s-krustlet-bootstrap-role":
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole < s-krustlet-bootstrap",
        "s-krustlet-bootstrap-role-binding":
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding < s-krustlet-bootstrap",
        "s-krustlet-bootstrap-token": "command:local:Command < s-krustlet-bootstrap",
        "s-krustlet-role": "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole < s-krustlet",
        "s-krustlet-role-binding": "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding < s-krustlet",
        "s-krustlet-agent": "command:local:Command < s-krustlet",
        "s-krustlet-certificates": "krustlet-stack:index:CertificateApproval < s-krustlet",
        "s-krustlet-certificates-approval": "command:local:Command < s-krustlet-certificates",
        "s-krustlet-certificates-approver-account":
            "kubernetes:core/v1:ServiceAccount < s-krustlet-certificates",
        "s-krustlet-certificates-approver-role":
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole < s-krustlet-certificates",
        "s-krustlet-certificates-approver-role-binding":
            "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding < s-krustlet-certificates",
        "s-krustlet-certificates-approver-token-role":
            "kubernetes:rbac.authorization.k8s.io/v1:Role < s-krustlet-certificates",
        "s-krustlet-certificates-approver-token-role-binding":
            "kubernetes:rbac.authorization.k8s.io/v1:RoleBinding < s-krustlet-certificates",
        "s-krustlet-certificates-approver": "command:local:Command < s-krustlet-certificates",
        "s-krustlet-ready": "command:local:Command < s-krustlet",
        "s-hello-wasm-artifact": "krustlet-stack:index:WasmArtifact < s",
        "s-hello-wasm-artifact-build": "command:local:Command < s-hello-wasm-artifact",
        "s-hello-wasm-artifact-push": "command:local:Command < s-hello-wasm-artifact",
        "s-hello-wasm": "krustlet-stack:index:WasmPod < s",
        "s-hello-wasm-pod": "kubernetes:core/v1:Pod < s-hello-wasm",
        "s-hello-wasm-ready": "command:local:Command < s-hello-wasm",
        "s-runtime": "krustlet-stack:index:WasmRuntimeClass < s",
        "s-runtime-class": "kubernetes:node.k8s.io/v1:RuntimeClass < s-runtime",
        "s-runtime-class-claim": "command:local:Command < s-runtime",
    });
    assert.equal(looks, 1, "one look at the machine");
    assert.deepEqual(
        invokes.map(({ command, input }) => [command, input]),
        [
            [
                "host/preflight",
                {
                    owner: "project/stack/0123456789abcdef",
                    cluster: { kind: { name: "krustlet", portMappings: [] } },
                    localRegistry: { containerName: "project-stack-registry", port: 5001 },
                    nodes: [
                        {
                            name: "krustlet",
                            port: 3000,
                            stateDir: "~/.local/state/krustlet-stack/nodes/project-stack-krustlet",
                            program: "krustlet-wasi",
                        },
                    ],
                    modules: [{ source: "workloads/hello-world" }],
                },
            ],
            ["workload/describeModule", { source: "workloads/hello-world" }],
            [
                "cluster/observeKindCluster",
                {
                    resource: "s-cluster-kind",
                    owner: "project/stack/0123456789abcdef",
                    kubeconfigFile: "~/.local/state/krustlet-stack/kubeconfig/project-stack-krustlet",
                    wanted: {
                        name: "krustlet",
                        image: "kindest/node:v1.36.4",
                        kubeadmConfigPatches: [],
                        containerdConfigPatches: [],
                        verifyKubelets: true,
                        nodes: [{ role: "control-plane" }],
                        portMappings: [],
                    },
                },
            ],
            [
                "cluster/observeKubelets",
                {
                    resource: "s-cluster-kubelets",
                    kubeconfigFile: "~/.local/state/krustlet-stack/kubeconfig/project-stack-krustlet",
                },
            ],
            [
                "registry/observeRegistry",
                { resource: "s-registry-ready", containerName: "project-stack-registry" },
            ],
            ["registry/observeConnection", { resource: "s-registry-hosting-connection" }],
            [
                "node/observeNode",
                {
                    resource: "s-krustlet-agent",
                    program: "krustlet-wasi",
                    nodeName: "krustlet",
                    stateDir: "~/.local/state/krustlet-stack/nodes/project-stack-krustlet",
                },
            ],
            [
                "node/certificates/observeApprover",
                {
                    resource: "s-krustlet-certificates-approver",
                    nodeName: "krustlet",
                    stateDir: "~/.local/state/krustlet-stack/nodes/project-stack-krustlet",
                },
            ],
            ["workload/observeArtifact", { resource: "s-hello-wasm-artifact-push" }],
            ["workload/observeWorkload", { resource: "s-hello-wasm-ready" }],
        ],
    );
    assert.deepEqual(result, {
        kubeconfigFile: adminFile,
        clusterName: "demo",
        nodeNames: ["krustlet"],
        registryAddress: "localhost:5001",
        artifacts: { "hello-wasm": imageReference },
        workloads: {
            "hello-wasm": {
                kind: "Pod",
                name: "auto-named",
                namespace: "default",
                logsCommand: "kubectl logs --namespace default pod/auto-named",
            },
        },
    });
});

test("each part waits for what it needs, and goes before it", async () => {
    const { resources } = await record({ steps }, () => new WasmStack("s", { workloads: [hello] }).nodeNames);
    const waitsFor = (name: string) => resources[name].options.dependsOn ?? [];
    assert.deepEqual(waitsFor("s-cluster-kind"), []);
    assert.deepEqual(waitsFor("s-registry-image"), []);
    assert.deepEqual(waitsFor("s-hello-wasm-artifact-build"), [], "built while the cluster starts");
    assert.deepEqual(waitsFor("s-hello-wasm-artifact-push"), [
        command("s-hello-wasm-artifact-build"),
        command("s-registry-ready"),
        "docker:index/container:Container::s-registry-container",
    ]);
    assert.deepEqual(waitsFor("s-krustlet-agent"), [
        command("s-cluster-kind"),
        command("s-krustlet-bootstrap-token"),
        "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding::s-krustlet-bootstrap-role-binding",
    ]);
    assert.ok(
        waitsFor("s-hello-wasm-pod").includes(command("s-krustlet-agent")),
        "deleted while the agent runs",
    );
    assert.ok(waitsFor("s-hello-wasm-pod").includes(command("s-krustlet-ready")));
    assert.ok(
        !waitsFor("s-krustlet-ready").includes(command("s-krustlet-certificates-approver")),
        "starts meanwhile",
    );
    assert.ok(waitsFor("s-hello-wasm-pod").includes(command("s-hello-wasm-artifact-push")));
});

test("what is in the cluster goes with it; what is on this host does not", async () => {
    const { resources } = await record({ steps }, () => new WasmStack("s", { workloads: [hello] }).nodeNames);
    const goes = custom(resources).filter(
        (name) => resources[name].options.deletedWith === "pulumi:providers:kubernetes::s-cluster-provider",
    );
    assert.deepEqual(goes.sort(), [
        "s-hello-wasm-pod",
        "s-krustlet-bootstrap-role",
        "s-krustlet-bootstrap-role-binding",
        "s-krustlet-certificates-approval",
        "s-krustlet-certificates-approver-account",
        "s-krustlet-certificates-approver-role",
        "s-krustlet-certificates-approver-role-binding",
        "s-krustlet-certificates-approver-token-role",
        "s-krustlet-certificates-approver-token-role-binding",
        "s-krustlet-role",
        "s-krustlet-role-binding",
        "s-registry-hosting-announcement",
        "s-runtime-class",
    ]);
    // The engine hands a parent's `deletedWith` down to its children.
    for (const name of [
        "s-krustlet",
        "s-krustlet-bootstrap",
        "s-krustlet-certificates",
        "s-registry-hosting",
    ]) {
        assert.equal(resources[name].options.deletedWith, undefined, name);
    }
    const goesWith = (other: string) =>
        custom(resources).filter(
            (name) => resources[name].options.deletedWith === `command:local:Command::${other}`,
        );
    assert.deepEqual(goesWith("s-krustlet-agent"), ["s-krustlet-certificates-approver"]);
    assert.deepEqual(goesWith("krustlet-stack-claim").sort(), [
        "s-cluster-kubelets",
        "s-hello-wasm-artifact-push",
        "s-hello-wasm-ready",
        "s-krustlet-bootstrap-token",
        "s-registry-hosting-connection",
        "s-registry-ready",
    ]);
});

test("nothing is made before the preflight has passed", async () => {
    let passed = false;
    let before: string[] = [];
    const registered: string[] = [];
    const recording = await record(
        {
            steps,
            onResource: (name, type) => registered.push(`${type} ${name}`),
            async beforeInvoke() {
                if (passed) return;
                // Everything that does not wait for the preflight has been registered after this.
                for (let turn = 0; turn < 200; turn++) await new Promise(setImmediate);
                before = registered.filter((one) => !one.startsWith("krustlet-stack:"));
                passed = true;
            },
        },
        () => new WasmStack("s", { workloads: [hello] }).nodeNames,
    );
    assert.deepEqual(before, []);
    assert.equal(recording.invokes[0].command, "host/preflight");
    assert.equal(custom(recording.resources).length, 29);
});

test("a preview, where nothing is known yet, registers what it can and runs no step but those that look", async () => {
    const { resources, invokes } = await record({ steps, preview: true }, () => {
        new WasmStack("s", { workloads: [hello] });
    });
    assert.equal(custom(resources).length, 29);
    assert.deepEqual(
        invokes.map(({ command }) => command),
        [
            "host/preflight",
            "workload/describeModule",
            "cluster/observeKindCluster",
            "cluster/observeKubelets",
            "registry/observeRegistry",
            "registry/observeConnection",
            "node/observeNode",
            "node/certificates/observeApprover",
            "workload/observeArtifact",
            "workload/observeWorkload",
        ],
    );
    assert.equal(
        resources["s-krustlet-agent"].inputs.stdin,
        unknown,
        "the kubeconfig's path is still to come",
    );
    const pod = resources["s-hello-wasm-pod"].inputs.spec as { containers: { image: unknown }[] };
    assert.equal(pod.containers[0].image, unknown);
});
test("nothing that it tells is secret", async () => {
    const { result } = await record({ steps }, () => {
        const s = new WasmStack("s", { workloads: [hello] });
        const { kubeconfigFile, clusterName, nodeNames, registryAddress, artifacts, workloads } = s;
        return areSecret({ kubeconfigFile, clusterName, nodeNames, registryAddress, artifacts, workloads });
    });
    assert.deepEqual(result, {
        kubeconfigFile: false,
        clusterName: false,
        nodeNames: false,
        registryAddress: false,
        artifacts: false,
        workloads: false,
    });
});

test("what is wrong with the arguments comes in one error", async () => {
    const args = {
        registry: { address: "ghcr.io/you", port: 1 },
        nodes: [{ name: "a" }, { name: "b" }, { name: "a", port: 3001, prot: 3 }],
        workloads: [
            { name: "x", source: "s", node: "bb" },
            { name: "x", file: pulumi.output("f"), image: imageReference },
        ],
    };
    const { resources } = await record({ steps }, () =>
        assert.throws(() => new WasmStack("s", args), {
            message: [
                'WasmStack "s" has 7 problems:',
                '  - nodes[2].prot: is unknown; did you mean "port"?',
                "  - registry.port: is for the local registry, which `address` does without",
                '  - nodes[2].name: is "a" again, as nodes[0].name is; give each node its own',
                "  - nodes[1].port: 3000 is taken by nodes[0]; give each node its own",
                '  - workloads[0].node: no node of this stack is named "bb"; did you mean "b"?',
                '  - workloads[1]: exactly one of "source", "file", "reference", "image" says where the module comes from; "file" and "image" are given',
                '  - workloads[1].name: is "x" again, as workloads[0].name is; give each workload its own',
            ].join("\n"),
        }),
    );
    assert.deepEqual(Object.keys(resources), ["s"]);
});

test("a workload that names no node stays on the first, or runs on any: a second node does not change it", async () => {
    const workloads = [hello, { ...hello, name: "clock", kind: WorkloadKind.Deployment }];
    const seen = async (nodes: WasmStackArgs["nodes"]) => {
        const args = { nodes, workloads };
        const { resources } = await record({ steps }, () => new WasmStack("s", args).nodeNames);
        return [resources["s-hello-wasm-pod"].inputs, resources["s-clock-deployment"].inputs];
    };
    const one = await seen([{ name: "one" }]);
    const selectors = JSON.stringify(one).match(/"nodeSelector":\{[^}]*\}/g);
    assert.deepEqual(selectors, [
        '"nodeSelector":{"kubernetes.io/arch":"wasm32-wasi","kubernetes.io/hostname":"one"}',
        '"nodeSelector":{"kubernetes.io/arch":"wasm32-wasi"}',
    ]);
    assert.deepEqual(await seen([{ name: "one" }, { name: "two", port: 3001 }]), one);
});
