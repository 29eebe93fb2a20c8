import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { KindCluster, WasmWorkload, type WasmWorkloadArgs } from "../../../components";
import { imageReference as image, inCluster, steps } from "./fixtures";
import { record } from "./mocks";

const parent = "krustlet-stack:index:WasmWorkload::w";
const provider = "pulumi:providers:kubernetes::other-provider";
const tolerations = [
    { key: "node.kubernetes.io/network-unavailable", operator: "Exists", effect: "NoSchedule" },
    { key: "kubernetes.io/arch", operator: "Equal", value: "wasm32-wasi", effect: "NoExecute" },
    { key: "kubernetes.io/arch", operator: "Equal", value: "wasm32-wasi", effect: "NoSchedule" },
];
const metadata = { namespace: "default", labels: { app: "w" } };
const podSpec = (restartPolicy: string) => ({
    automountServiceAccountToken: false,
    containers: [{ name: "w", image }],
    restartPolicy,
    terminationGracePeriodSeconds: 1,
    nodeSelector: { "kubernetes.io/arch": "wasm32-wasi" },
    tolerations,
});
const template = (restartPolicy: string) => ({
    metadata: { labels: { app: "w" } },
    spec: podSpec(restartPolicy),
});

/** What a workload of these arguments registers and tells. */
async function workload(args: Partial<WasmWorkloadArgs>) {
    const { resources, result } = await record({ steps }, () => {
        const w = new WasmWorkload("w", { image, ...args }, inCluster());
        return { kind: w.kind, name: w.name, namespace: w.namespace, logsCommand: w.logsCommand };
    });
    delete resources["other-provider"];
    return { resources, result };
}

test("a pod of defaults: a changed spec makes a new one", async () => {
    const { resources, result } = await workload({});
    assert.deepEqual(resources, {
        w: { type: "krustlet-stack:index:WasmWorkload", parent: undefined, inputs: {}, options: {} },
        "w-pod": {
            type: "kubernetes:core/v1:Pod",
            parent,
            inputs: { apiVersion: "v1", kind: "Pod", metadata, spec: podSpec("OnFailure") },
            options: { provider, replaceOnChanges: ["spec"] },
        },
    });
    assert.deepEqual(result, {
        kind: "Pod",
        name: "auto-named",
        namespace: "default",
        logsCommand: "kubectl logs --namespace default pod/auto-named",
    });
});

test("a deployment", async () => {
    const { resources, result } = await workload({ kind: "Deployment", replicas: 3 });
    assert.deepEqual(resources["w-deployment"], {
        type: "kubernetes:apps/v1:Deployment",
        parent,
        inputs: {
            apiVersion: "apps/v1",
            kind: "Deployment",
            metadata,
            spec: { replicas: 3, selector: { matchLabels: { app: "w" } }, template: template("Always") },
        },
        options: { provider },
    });
    assert.deepEqual(Object.keys(resources), ["w", "w-deployment"]);
    assert.equal(result.logsCommand, "kubectl logs --namespace default deployment/auto-named");
});

test("a job", async () => {
    const { resources, result } = await workload({ kind: "Job" });
    assert.deepEqual(resources["w-job"], {
        type: "kubernetes:batch/v1:Job",
        parent,
        inputs: { apiVersion: "batch/v1", kind: "Job", metadata, spec: { template: template("OnFailure") } },
        options: { provider },
    });
    assert.deepEqual(Object.keys(resources), ["w", "w-job"]);
    assert.equal(result.logsCommand, "kubectl logs --namespace default job/auto-named");
});

test("every argument reaches the pod, which goes with the cluster and waits for what it was told to", async () => {
    const { resources } = await record({ steps }, () => {
        const first = new KindCluster("first");
        const { provider: kubernetes } = inCluster();
        const args: WasmWorkloadArgs = {
            image: pulumi.output(image),
            appName: "hello",
            namespace: "apps",
            args: ["--once", pulumi.output("x")],
            env: { RUST_LOG: "info", TOKEN: pulumi.secret("s3cret") },
            restartPolicy: "Never",
            terminationGracePeriodSeconds: 20,
            node: pulumi.output("krustlet"),
        };
        const opts = { provider: kubernetes, deletedWith: kubernetes, dependsOn: [first] };
        return new WasmWorkload("w", args, opts).name;
    });
    const pod = resources["w-pod"];
    assert.deepEqual(pod.inputs, {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { namespace: "apps", labels: { app: "hello" } },
        spec: {
            automountServiceAccountToken: false,
            containers: [
                {
                    name: "hello",
                    image,
                    args: ["--once", "x"],
                    env: {
                        secret: [
                            { name: "RUST_LOG", value: "info" },
                            { name: "TOKEN", value: "s3cret" },
                        ],
                    },
                },
            ],
            restartPolicy: "Never",
            terminationGracePeriodSeconds: 20,
            nodeSelector: { "kubernetes.io/arch": "wasm32-wasi", "kubernetes.io/hostname": "krustlet" },
            tolerations,
        },
    });
    assert.deepEqual(pod.options, {
        provider,
        deletedWith: provider,
        replaceOnChanges: ["spec"],
        dependsOn: [
            "command:local:Command::first-kind",
            "command:local:Command::first-kubelets",
            "pulumi:providers:kubernetes::first-provider",
        ],
    });
});

const refused: [string, object, string][] = [
    [
        "an image by tag",
        { image: "localhost:5001/hello:v1" },
        'image: must be a reference by digest (for example "ghcr.io/you/hello-wasm@sha256:…", 64 hex digits), not "localhost:5001/hello:v1"',
    ],
    ["no image", { image: undefined }, "image: is missing; for example artifact.reference"],
    [
        "an unknown kind",
        { kind: "Pods" },
        'kind: must be one of "Pod", "Deployment", "Job", not "Pods"; did you mean "Pod"?',
    ],
    ["replicas of a pod", { replicas: 2 }, "replicas: only a Deployment has replicas, not a Pod"],
    [
        "a deployment that ends",
        { kind: "Deployment", restartPolicy: "Never" },
        'restartPolicy: a Deployment may have Always, not "Never"',
    ],
    [
        "a job that never ends",
        { kind: "Job", restartPolicy: "Always" },
        'restartPolicy: a Job may have OnFailure or Never, not "Always"',
    ],
    ["an environment of numbers", { env: { N: 1 } }, "env.N: must be a text (put it in quotes), not 1"],
];
for (const [what, args, problem] of refused) {
    test(`refused: ${what}`, async () => {
        await record({ steps }, () => {
            const message = `WasmWorkload "w" has 1 problem:\n  - ${problem}`;
            assert.throws(() => new WasmWorkload("w", { image, ...args }, inCluster()), {
                message,
            });
        });
    });
}
