import assert from "node:assert/strict";
import { test } from "node:test";
import { stackArgs } from "../../../../components/stack/stackConfig";
import { record } from "../mocks";
import { steps } from "../fixtures";
import { output, type Unwrap } from "@pulumi/pulumi";

/** Pulumi.yaml's defaults, which the engine hands over with what was given. */
const defaults = {
    ...{ cluster: "kind", clusterName: "krustlet", clusterImage: "kindest/node:v1.36.4" },
    ...{ clusterWaitSeconds: "180", verifyKubelets: "true", clusterNodes: "[]", clusterPortMappings: "[]" },
    ...{ clusterContext: "", clusterKubeconfigFile: "", clusterNodeAddress: "", clusterVersion: "" },
    ...{ clusterDriver: "", clusterServers: "0", clusterAgents: "0" },
};
const read = (values: Record<string, string>, home?: string) =>
    stackArgs({ values: { ...defaults, ...values }, secretKeys: [], home });

const portMappings = [{ containerPort: 30080, hostPort: 8080 }];
const nodes = [{ role: "control-plane" }, { role: "worker" }];
const common = { clusterName: "demo", clusterPortMappings: JSON.stringify(portMappings) };

const kinds: [string, Record<string, string>, object][] = [
    [
        "kind",
        { ...common, clusterNodes: JSON.stringify(nodes) },
        {
            cluster: {
                ...{ name: "demo", image: "kindest/node:v1.36.4", waitSeconds: 180, verifyKubelets: true },
                ...{ nodes, portMappings },
            },
        },
    ],
    [
        "existing",
        {
            clusterContext: "admin@prod",
            clusterKubeconfigFile: "~/prod.kubeconfig",
            clusterNodeAddress: "192.0.2.9",
        },
        {
            existingCluster: {
                ...{ context: "admin@prod", kubeconfigFile: "~/prod.kubeconfig", nodeAddress: "192.0.2.9" },
            },
        },
    ],
    [
        "minikube",
        { ...common, clusterVersion: "v1.36.4", clusterDriver: "docker", clusterServers: "2" },
        {
            minikubeCluster: {
                ...{ name: "demo", waitSeconds: 180, portMappings },
                ...{ kubernetesVersion: "v1.36.4", driver: "docker", nodes: 2 },
            },
        },
    ],
    [
        "microk8s",
        { clusterVersion: "1.36/stable", clusterWaitSeconds: "60" },
        { microK8sCluster: { waitSeconds: 60, channel: "1.36/stable" } },
    ],
    [
        "k3d",
        { ...common, clusterVersion: "rancher/k3s:v1.36.4-k3s1", clusterServers: "1", clusterAgents: "2" },
        {
            k3dCluster: {
                ...{ name: "demo", waitSeconds: 180, portMappings },
                ...{ image: "rancher/k3s:v1.36.4-k3s1", servers: 1, agents: 2 },
            },
        },
    ],
];
for (const [cluster, values, expected] of kinds) {
    test(`cluster ${cluster}: its keys reach its arguments`, () => {
        const { registry, runtimeClass, workloads, ...args } = read({ cluster, ...values });
        assert.deepEqual([registry, runtimeClass, workloads], [{}, {}, undefined]);
        assert.deepEqual(args, expected);
    });
}

const refused: [string, Record<string, string>, string[]][] = [
    [
        "a kind that is none",
        { cluster: "minkube" },
        [
            'cluster: must be one of "kind", "existing", "minikube", "microk8s", "k3d", not "minkube"; did you mean "minikube"?',
        ],
    ],
    [
        "an existing cluster without its context, with keys of others",
        {
            cluster: "existing",
            clusterName: "demo",
            clusterNodes: '[{"role":"worker"}]',
            verifyKubelets: "false",
        },
        [
            "clusterName: is for cluster kind, minikube, k3d; this stack's cluster is existing",
            "verifyKubelets: is for cluster kind; this stack's cluster is existing",
            "clusterNodes: is for cluster kind; this stack's cluster is existing",
            'clusterContext: is missing; for example "admin@prod"',
        ],
    ],
    [
        "a context for kind",
        { clusterContext: "admin@prod", clusterDriver: "docker" },
        [
            "clusterContext: is for cluster existing; this stack's cluster is kind",
            "clusterDriver: is for cluster minikube; this stack's cluster is kind",
        ],
    ],
    [
        "values that minikube does not take",
        { cluster: "minikube", clusterName: "My", clusterVersion: "latest" },
        [
            'clusterName: must be lower-case letters, digits and "-" that begin and end with a letter or digit (for example "krustlet"), not "My"',
            'clusterVersion: must be a Kubernetes version (for example "v1.36.4"), not "latest"',
        ],
    ],
];
for (const [what, values, said] of refused) {
    test(`refused: ${what}`, () => {
        assert.throws(
            () => read(values),
            (error: Error) => {
                const lines = error.message.split("\n").slice(1);
                assert.deepEqual(
                    lines,
                    said.map((line) => `  - ${line}`),
                );
                return true;
            },
        );
    });
}

test("the kubeconfig of each kind is kept in the stack's home folder, under a name of its own", async () => {
    const files = async (values: Record<string, string>): Promise<unknown> => {
        const { result } = await record({ steps }, () => {
            const args = read(values, "/home/me/stack");
            return output([args.cluster, args.existingCluster, args.minikubeCluster, args.k3dCluster]);
        });
        return (result as Unwrap<unknown[]>).filter((one) => one !== undefined);
    };
    const folder = "/home/me/stack/kubeconfig/project-stack";
    const [existing] = (await files({ cluster: "existing", clusterContext: "arn:aws:eks/demo" })) as [object];
    assert.deepEqual(existing, { context: "arn:aws:eks/demo", copyFile: `${folder}-arn_aws_eks_demo` });
    const [k3d] = (await files({ cluster: "k3d" })) as [Record<string, unknown>];
    assert.equal(k3d.kubeconfigFile, `${folder}-k3d-krustlet`);
    const [kind] = (await files({})) as [Record<string, unknown>];
    assert.equal(kind.kubeconfigFile, `${folder}-krustlet`);
});
