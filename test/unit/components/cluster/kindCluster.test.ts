import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { KindCluster } from "../../../../components";
import { adminFile, commandInputs, notUndone, steps, undone } from "../fixtures";
import { areSecret, record } from "../mocks";

const defaultFile = "~/.local/state/krustlet-stack/kubeconfig/project-stack-krustlet";

const outputs = (cluster: KindCluster) => ({
    name: cluster.name,
    kubeconfigFile: cluster.kubeconfigFile,
    context: cluster.context,
    server: cluster.server,
    kubernetesVersion: cluster.kubernetesVersion,
    network: cluster.network,
    gatewayAddress: cluster.gatewayAddress,
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
                    name: "krustlet",
                    owner: "project/stack",
                    image: "kindest/node:v1.36.4",
                    waitSeconds: 180,
                    kubeconfigFile: defaultFile,
                    kubeadmConfigPatches: [],
                    containerdConfigPatches: [],
                    verifyKubelets: true,
                }),
                triggers: ["krustlet", "kindest/node:v1.36.4", [], [], true],
            },
            options: undone,
        },
        "c-kubelets": {
            type: "command:local:Command",
            parent: "krustlet-stack:index:KindCluster::c",
            inputs: {
                ...commandInputs("approveKubeletCertificates"),
                stdin: JSON.stringify({
                    kubeconfigFile: adminFile,
                    clusterName: "demo",
                    owner: "project/stack",
                    verifyKubelets: true,
                    timeoutSeconds: 180,
                }),
                triggers: ["cluster-uid"],
            },
            options: { ...notUndone, dependsOn: ["command:local:Command::c-kind"] },
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
                "steps/cluster/keepKubeconfig.ts",
                { clusterName: "krustlet", owner: "project/stack", kubeconfigFile: defaultFile },
            ],
        ],
    );
    assert.deepEqual(result, steps.createKindCluster);
});

test("every argument reaches the step; name, image and patches make another cluster", async () => {
    const args = {
        name: "demo",
        image: "kindest/node:v1.35.4",
        waitSeconds: 60,
        kubeconfigFile: "~/demo.kubeconfig",
        mergeKubeconfigFile: "~/.kube/config",
        kubeadmConfigPatches: ["kind: KubeletConfiguration"],
        containerdConfigPatches: [pulumi.output("[plugins]")],
        verifyKubelets: pulumi.output(false),
    };
    const { resources } = await record({ steps }, () => new KindCluster("c", args).name);
    assert.deepEqual(resources["c-kind"].inputs, {
        ...commandInputs("createKindCluster", "deleteKindCluster"),
        stdin: JSON.stringify({
            name: "demo",
            owner: "project/stack",
            image: "kindest/node:v1.35.4",
            waitSeconds: 60,
            kubeconfigFile: "~/demo.kubeconfig",
            mergeKubeconfigFile: "~/.kube/config",
            kubeadmConfigPatches: ["kind: KubeletConfiguration"],
            containerdConfigPatches: ["[plugins]"],
            verifyKubelets: false,
        }),
        triggers: ["demo", "kindest/node:v1.35.4", ["kind: KubeletConfiguration"], ["[plugins]"], false],
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
        gatewayAddress: false,
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
