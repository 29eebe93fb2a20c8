import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { KindCluster, KindNodeRole, PortProtocol, type KindClusterArgs } from "../../../../components";
import { adminFile, commandInputs, forgotten, steps, undone } from "../fixtures";
import { areSecret, record } from "../mocks";

const defaultFile = "~/.local/state/krustlet-stack/kubeconfig/project-stack-krustlet";

const outputs = (cluster: KindCluster) => ({
    name: cluster.name,
    kubeconfigFile: cluster.kubeconfigFile,
    context: cluster.context,
    server: cluster.server,
    kubernetesVersion: cluster.kubernetesVersion,
    network: cluster.network,
    nodeAddress: cluster.nodeAddress,
    identity: cluster.identity,
});

test("a cluster of defaults", async () => {
    const { resources, invokes, result } = await record({ steps }, () => outputs(new KindCluster("c")));
    assert.deepEqual(resources, {
        c: { type: "krustlet-stack:index:KindCluster", parent: undefined, inputs: {}, options: {} },
        "c-kind": {
            type: "command:local:Command",
            parent: "krustlet-stack:index:KindCluster::c",
            inputs: {
                ...commandInputs("createKindCluster", "deleteKindCluster"),
                stdin: JSON.stringify({
                    owner: "project/stack/0123456789abcdef",
                    waitSeconds: 180,
                    kubeconfigFile: defaultFile,
                    name: "krustlet",
                    image: "kindest/node:v1.36.4",
                    kubeadmConfigPatches: [],
                    containerdConfigPatches: [],
                    verifyKubelets: true,
                    nodes: [{ role: "control-plane" }],
                    portMappings: [],
                }),
                triggers: ["krustlet", "kindest/node:v1.36.4", [], [], true, [{ role: "control-plane" }], []],
            },
            options: undone,
        },
        "c-kubelets": {
            type: "command:local:Command",
            parent: "krustlet-stack:index:KindCluster::c",
            inputs: {
                ...commandInputs("approveKubeletCertificates", "forget"),
                stdin: JSON.stringify({
                    kubeconfigFile: adminFile,
                    clusterName: "demo",
                    owner: "project/stack/0123456789abcdef",
                    verifyKubelets: true,
                    timeoutSeconds: 180,
                }),
                triggers: ["cluster-uid"],
            },
            options: { ...forgotten, dependsOn: ["command:local:Command::c-kind"] },
        },
        "c-provider": {
            type: "pulumi:providers:kubernetes",
            parent: "krustlet-stack:index:KindCluster::c",
            inputs: { kubeconfig: adminFile, clusterIdentifier: "cluster-uid" },
            options: { dependsOn: ["command:local:Command::c-kind"] },
        },
    });
    assert.deepEqual(
        invokes.map(({ command, input }) => [command, input]),
        [
            [
                "cluster/observeKindCluster",
                {
                    resource: "c-kind",
                    owner: "project/stack/0123456789abcdef",
                    kubeconfigFile: defaultFile,
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
            ["cluster/observeKubelets", { resource: "c-kubelets", kubeconfigFile: defaultFile }],
        ],
    );
    assert.deepEqual(result, steps.createKindCluster);
});

test("kubelets are looked at again where one asks for a certificate, and where the cluster was mended: its address may be another one", async () => {
    const all = {
        ...steps,
        observeKindCluster: { because: "it has stopped", last: steps.createKindCluster },
        observeKubelets: { because: "one asks" },
    };
    const { resources } = await record({ steps: all }, () => new KindCluster("c").name);
    const input = JSON.parse(String(resources["c-kubelets"].inputs.stdin)) as Record<string, unknown>;
    assert.equal(input.because, "one asks");
    assert.equal(input.clusterBecause, "it has stopped");
});

test("every argument reaches the step; what cannot be changed in a cluster makes another one", async () => {
    const args = {
        name: "demo",
        image: "kindest/node:v1.35.4",
        waitSeconds: 60,
        kubeconfigFile: "~/demo.kubeconfig",
        mergeKubeconfigFile: "~/.kube/config",
        kubeadmConfigPatches: ["kind: KubeletConfiguration"],
        containerdConfigPatches: [pulumi.output("[plugins]")],
        verifyKubelets: pulumi.output(false),
        nodes: [{ role: KindNodeRole.ControlPlane }, { role: pulumi.output(KindNodeRole.Worker) }],
        portMappings: [
            { containerPort: 30080, hostPort: pulumi.output(8080) },
            { containerPort: 30053, hostPort: 53, listenAddress: "0.0.0.0", protocol: PortProtocol.UDP },
        ],
    };
    const nodes = [{ role: "control-plane" }, { role: "worker" }];
    const portMappings = [
        { containerPort: 30080, hostPort: 8080, listenAddress: "127.0.0.1", protocol: "TCP" },
        { containerPort: 30053, hostPort: 53, listenAddress: "0.0.0.0", protocol: "UDP" },
    ];
    const { resources } = await record({ steps }, () => new KindCluster("c", args).name);
    assert.deepEqual(resources["c-kind"].inputs, {
        ...commandInputs("createKindCluster", "deleteKindCluster"),
        stdin: JSON.stringify({
            owner: "project/stack/0123456789abcdef",
            waitSeconds: 60,
            kubeconfigFile: "~/demo.kubeconfig",
            mergeKubeconfigFile: "~/.kube/config",
            name: "demo",
            image: "kindest/node:v1.35.4",
            kubeadmConfigPatches: ["kind: KubeletConfiguration"],
            containerdConfigPatches: ["[plugins]"],
            verifyKubelets: false,
            nodes,
            portMappings,
        }),
        triggers: [
            "demo",
            "kindest/node:v1.35.4",
            ["kind: KubeletConfiguration"],
            ["[plugins]"],
            false,
            nodes,
            portMappings,
        ],
    });
    const kubelets = resources["c-kubelets"].inputs.stdin as string;
    assert.equal((JSON.parse(kubelets) as { verifyKubelets: boolean }).verifyKubelets, false);
});

test("nothing is secret: the kubeconfig is in its file", async () => {
    const { result } = await record({ steps }, () => areSecret(outputs(new KindCluster("c"))));
    assert.deepEqual(result, {
        name: false,
        kubeconfigFile: false,
        context: false,
        server: false,
        kubernetesVersion: false,
        network: false,
        nodeAddress: false,
        identity: false,
    });
});

test("what is wrong with plain arguments comes in one error, before anything is registered", async () => {
    const { resources } = await record({ steps }, () => {
        const args = { name: "My_Cluster", waitSeconds: 0, imgae: "x" };
        assert.throws(() => new KindCluster("c", args), {
            message: [
                'KindCluster "c" has 3 problems:',
                '  - imgae: is unknown; did you mean "image"?',
                '  - name: must be lower-case letters, digits, "-" and "." that begin and end with a letter or digit (for example "krustlet"), not "My_Cluster"',
                "  - waitSeconds: must be a whole number from 1 to 3600, not 0",
            ].join("\n"),
        });
    });
    assert.deepEqual(Object.keys(resources), ["c"]);
});

const refused: [string, KindClusterArgs, string][] = [
    ["no node", { nodes: [] }, 'nodes: has no control plane; add { role: "control-plane" }'],
    [
        "workers alone",
        { nodes: [{ role: "worker" }] },
        'nodes: has no control plane; add { role: "control-plane" }',
    ],
    [
        "a role that kind does not know",
        { nodes: [{ role: "control-plane" }, { role: "master" as "worker" }] },
        'nodes[1].role: must be one of "control-plane", "worker", not "master"',
    ],
    [
        "a port of no number",
        { portMappings: [{ containerPort: 0, hostPort: 8080 }] },
        "portMappings[0].containerPort: must be a whole number from 1 to 65535, not 0",
    ],
    [
        "one port of this host for two, on one address and on all",
        {
            portMappings: [
                { containerPort: 1, hostPort: 8080 },
                { containerPort: 2, hostPort: 8080, protocol: "UDP" },
                { containerPort: 3, hostPort: 8080, listenAddress: "192.0.2.1" },
                { containerPort: 4, hostPort: 8080, listenAddress: "0.0.0.0" },
            ],
        },
        "portMappings[3].hostPort: 8080 is taken by portMappings[0]; give each port of the nodes its own",
    ],
];
for (const [what, args, said] of refused) {
    test(`refused: ${what}`, async () => {
        await record({ steps }, () => {
            assert.throws(() => new KindCluster("c", args), {
                message: `KindCluster "c" has 1 problem:\n  - ${said}`,
            });
        });
    });
}

test("a role that is still to come may be a control plane", async () => {
    const { resources } = await record(
        { steps },
        () => new KindCluster("c", { nodes: [{ role: pulumi.output(KindNodeRole.ControlPlane) }] }).name,
    );
    assert.ok("c-kind" in resources);
});
