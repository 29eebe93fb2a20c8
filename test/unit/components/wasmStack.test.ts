import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { WasmStack, type WasmStackArgs } from "../../../components";
import { adminFile, imageReference, steps } from "./fixtures";
import { areSecret, record, type Registered } from "./mocks";

const hello = { name: "hello-wasm", source: "workloads/hello-world" };
const command = (name: string) => `command:local:Command::${name}`;

/** Each resource by its name: its type and its parent's name. */
function tree(resources: Record<string, Registered>): Record<string, string> {
    return Object.fromEntries(
        Object.entries(resources).map(([name, { type, parent }]) => [
            name,
            `${type} < ${parent?.split("::")[1] ?? ""}`,
        ]),
    );
}

function input(resource: Registered): Record<string, unknown> {
    const { stdin } = resource.inputs;
    return JSON.parse(typeof stdin === "string" ? stdin : (stdin as { secret: string }).secret) as Record<
        string,
        unknown
    >;
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
    });
    assert.equal(looks, 1, "one look at the machine");
    assert.deepEqual(
        invokes.map(({ command, input }) => [command, input]),
        [
            [
                "host/preflight",
                {
                    owner: "project/stack/0123456789abcdef",
                    cluster: { kind: { name: "krustlet" } },
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
        "s-registry-hosting-announcement",
        "s-runtime-class",
    ]);
    // The engine hands a parent's `deletedWith` down to its children.
    const onHost = [
        "s-krustlet-certificates",
        "s-krustlet-certificates-approver",
        "s-registry-hosting",
        "s-registry-hosting-connection",
    ];
    for (const name of ["s-krustlet", "s-krustlet-bootstrap", ...onHost]) {
        assert.equal(resources[name].options.deletedWith, undefined, name);
    }
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
    assert.equal(custom(recording.resources).length, 25);
});

test("a preview, where nothing is known yet, registers what it can and runs no step but those that look", async () => {
    const { resources, invokes } = await record({ steps, preview: true }, () => {
        new WasmStack("s", { workloads: [hello] });
    });
    assert.equal(custom(resources).length, 25);
    assert.deepEqual(
        invokes.map(({ command }) => command),
        [
            "host/preflight",
            "workload/describeModule",
            "cluster/observeKindCluster",
            "registry/observeConnection",
            "node/observeNode",
            "node/certificates/observeApprover",
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
/** How the engine is told that a value is still to come. */
const unknown = "04da6b54-80e4-46f7-96ec-b56ff0331ba9";

test("two nodes and three workloads", async () => {
    const args: WasmStackArgs = {
        cluster: { name: "two", waitSeconds: 99 },
        registry: { port: 5002, containerName: "reg" },
        nodes: [
            { name: "one", port: 3001, labels: { zone: "a" } },
            {
                name: "two",
                port: 3002,
                ip: "10.0.0.9",
                maxPods: 7,
                allowedHostPaths: ["/srv/data"],
                stateDir: "/srv/two",
                program: "/opt/agent",
            },
        ],
        workloads: [
            { ...hello, kind: "Job", node: "two", args: ["x"], env: { A: "b" }, restartPolicy: "Never" },
            {
                name: "file",
                file: "x.wasm",
                repository: "demo/file",
                tag: "v2",
                kind: "Deployment",
                replicas: 2,
            },
            { name: "ready", image: imageReference, namespace: "apps" },
        ],
    };
    const { resources } = await record({ steps }, () => new WasmStack("s", args).nodeNames);
    assert.equal(input(resources["s-cluster-kind"]).waitSeconds, 99);
    assert.deepEqual(
        ["s-one-agent", "s-two-agent"].map((name) => {
            const { nodeName, port, labels, nodeIp, maxPods, allowedHostPaths, ...rest } = input(
                resources[name],
            );
            const { stateDir, program, insecureRegistries } = rest;
            return {
                ...{ nodeName, port, labels, nodeIp, maxPods, allowedHostPaths },
                ...{ stateDir, program, insecureRegistries },
            };
        }),
        [
            {
                nodeName: "one",
                port: 3001,
                labels: { zone: "a" },
                nodeIp: "172.18.0.1",
                maxPods: 110,
                allowedHostPaths: undefined,
                stateDir: "~/.local/state/krustlet-stack/nodes/project-stack-one",
                program: "krustlet-wasi",
                insecureRegistries: ["localhost:5002"],
            },
            {
                nodeName: "two",
                port: 3002,
                labels: {},
                nodeIp: "10.0.0.9",
                maxPods: 7,
                allowedHostPaths: ["/srv/data"],
                stateDir: "/srv/two",
                program: "/opt/agent",
                insecureRegistries: ["localhost:5002"],
            },
        ],
    );
    const job = resources["s-hello-wasm-job"];
    const { nodeSelector } = (job.inputs.spec as { template: { spec: { nodeSelector: unknown } } }).template
        .spec;
    assert.deepEqual(nodeSelector, {
        "kubernetes.io/arch": "wasm32-wasi",
        "kubernetes.io/hostname": "two",
    });
    assert.ok(!job.options.dependsOn?.includes(command("s-one-agent")), "it waits for its own node alone");
    const deployment = resources["s-file-deployment"];
    assert.equal((deployment.inputs.spec as { replicas: number }).replicas, 2);
    assert.ok(
        deployment.options.dependsOn?.includes(command("s-one-ready")),
        "it waits for all it may run on",
    );
    assert.ok(deployment.options.dependsOn?.includes(command("s-two-ready")));
    assert.equal(input(resources["s-file-artifact-push"]).reference, "localhost:5001/demo/file:v2");
    assert.equal("s-ready-artifact" in resources, false, "an image by digest is taken as it is");
    assert.deepEqual(resources["s-ready-pod"].inputs.metadata, {
        namespace: "apps",
        labels: { app: "ready" },
        annotations: { "pulumi.com/waitFor": "jsonpath={.metadata.uid}" },
    });
});

test("a registry elsewhere is used, not made; pods get its login, by namespace", async () => {
    const elsewhere = {
        address: "ghcr.io/you",
        plainHttp: true,
        trustedCaFile: "~/ca.pem",
        dockerConfigFile: "~/logins/config.json",
    };
    const { resources, invokes } = await record({ steps }, () => {
        return new WasmStack("s", {
            registry: elsewhere,
            workloads: [
                { ...hello, deleteTag: true },
                { name: "theirs", reference: "ghcr.io/them/clock:v1", namespace: "apps" },
                { name: "ours", image: imageReference, namespace: "apps" },
                { name: "later", image: imageReference, namespace: pulumi.output("made") },
            ],
        }).artifacts;
    });
    assert.deepEqual(
        Object.keys(resources).filter((name) => name.includes("registry")),
        [],
    );
    const { localRegistry, remoteRegistry, modules } = invokes[0].input as Record<string, unknown>;
    assert.deepEqual(
        { localRegistry, remoteRegistry, modules },
        {
            localRegistry: undefined,
            remoteRegistry: { address: "ghcr.io", plainHttp: true, trustedCaFile: "~/ca.pem" },
            modules: [{ source: "workloads/hello-world" }],
        },
    );
    const access = {
        insecureRegistries: ["ghcr.io"],
        trustedCaFile: "~/ca.pem",
        dockerConfigFile: "~/logins/config.json",
    };
    const push = resources["s-hello-wasm-artifact-push"];
    assert.deepEqual(input(push), {
        file: "target/hello.wasm",
        sha256: "b".repeat(64),
        source: "workloads/hello-world",
        reference: "ghcr.io/you/hello-wasm:latest",
        ...access,
    });
    assert.equal("triggers" in push.inputs, false);
    assert.deepEqual(
        input(resources["s-hello-wasm-artifact-tag"]).reference,
        "ghcr.io/you/hello-wasm:latest",
    );
    assert.deepEqual(
        invokes.filter(({ command }) => command === "workload/resolveArtifact").map((one) => one.input),
        [{ reference: "ghcr.io/them/clock:v1", ...access }],
    );
    const node = input(resources["s-krustlet-agent"]);
    assert.equal(node.trustedCaFile, "~/ca.pem");
    assert.equal(node.dockerConfigFile, undefined, "pods bring the login, and no other pod is to have it");

    const secrets = Object.keys(resources).filter((name) => /^s-pull-.*-secret$/.test(name));
    assert.deepEqual(
        secrets.map((name) => {
            const { namespace, name: secret, registry, dockerConfigFile } = input(resources[name]);
            return [name, namespace, secret, registry, dockerConfigFile, resources[name].options.deletedWith];
        }),
        [
            ["s-pull-default-secret", "default", "project-stack-pull"],
            ["s-pull-apps-secret", "apps", "project-stack-pull"],
            // Another workload's might be in the same namespace.
            ["s-pull-later-own-secret", "made", "project-stack-pull-later"],
        ].map((one) => [
            ...one,
            "ghcr.io",
            "~/logins/config.json",
            "pulumi:providers:kubernetes::s-cluster-provider",
        ]),
    );
    const pull = (name: string) => (resources[name].inputs.spec as Record<string, unknown>).imagePullSecrets;
    for (const name of ["s-hello-wasm-pod", "s-theirs-pod", "s-ours-pod", "s-later-pod"]) {
        assert.deepEqual(pull(name), [{ name: "project-stack-pull" }], name);
    }
    assert.ok(resources["s-theirs-pod"].options.dependsOn?.includes(command("s-pull-apps-secret")));
});

test("a node has authorities and logins of its own in the place of the registry's", async () => {
    const { resources } = await record({ steps }, () => {
        const registry = {
            address: "registry.example.com",
            trustedCaFile: "~/registry.pem",
            dockerConfigFile: "~/logins.json",
        };
        const own = { name: "own", trustedCaFile: "~/both.pem", dockerConfigFile: "~/own.json" };
        return new WasmStack("s", { registry, nodes: [own] }).nodeNames;
    });
    const { trustedCaFile, dockerConfigFile } = input(resources["s-own-agent"]);
    assert.deepEqual([trustedCaFile, dockerConfigFile], ["~/both.pem", "~/own.json"]);
});

test("pods get no login where that is not wanted", async () => {
    const { resources } = await record({ steps }, () => {
        const registry = { address: "ghcr.io/you", pullSecret: false, dockerConfigFile: "~/logins.json" };
        return new WasmStack("s", { registry, workloads: [hello] }).artifacts;
    });
    assert.equal(input(resources["s-krustlet-agent"]).dockerConfigFile, "~/logins.json", "the node has it");
    assert.deepEqual(
        Object.keys(resources).filter((name) => name.includes("pull")),
        [],
    );
    assert.equal("imagePullSecrets" in (resources["s-hello-wasm-pod"].inputs.spec as object), false);
});

test("a local registry that keeps its data is looked for with its volume", async () => {
    const { resources, invokes } = await record({ steps }, () => {
        return new WasmStack("s", { registry: { keepData: true, containerName: "mine" } }).registryAddress;
    });
    assert.deepEqual((invokes[0].input as { localRegistry: object }).localRegistry, {
        containerName: "mine",
        port: 5001,
        dataVolume: "mine-data",
    });
    assert.equal(resources["s-registry-data"].options.retainOnDelete, true);
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
