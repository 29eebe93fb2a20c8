/** What the arguments of a workload make of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { KindCluster, WasmPod, type WasmPodArgs } from "../../../../components";
import { imageReference as image, inCluster, steps } from "../fixtures";
import { record } from "../mocks";
import {
    annotations,
    kubeconfigFile,
    metadata,
    plain,
    podReplacedOn,
    podSpec,
    provider,
    tolerations,
    workload,
} from "./workloadUnderTest";

test("every argument reaches the pod, which goes with the cluster and waits for what it was told to", async () => {
    const { resources } = await record({ steps }, () => {
        const first = new KindCluster("first");
        const { provider: kubernetes } = inCluster();
        const args: WasmPodArgs = {
            image: pulumi.output(image),
            kubeconfigFile,
            appName: "hello",
            namespace: "apps",
            args: ["--once", pulumi.output("x")],
            env: { RUST_LOG: "info", TOKEN: pulumi.secret("s3cret") },
            envFrom: [{ configMap: "settings" }, { secret: "keys", prefix: "K_", optional: true }],
            envValueFrom: [
                { name: "USER", configMap: "settings", key: "user" },
                { name: "PASSWORD", secret: pulumi.output("keys"), key: "password", optional: false },
            ],
            volumes: [
                { name: "settings", mountPath: "/etc/settings", configMap: "settings" },
                { name: "keys", mountPath: "/etc/keys", secret: "keys", readOnly: true },
                { name: "tmp", mountPath: "/tmp", emptyDir: { sizeLimit: "64Mi" } },
                { name: "any", mountPath: "/any", emptyDir: {} },
                { name: "data", mountPath: "/data", hostPath: "/srv/data", readOnly: false },
            ],
            limits: { memory: "64Mi", cpu: pulumi.output("250m") },
            allowedDomains: ["https://catfact.ninja", pulumi.output("http://localhost:8080")],
            maxConcurrentRequests: 42,
            imagePullSecrets: ["ghcr", pulumi.output("acr")],
            activeDeadlineSeconds: 300,
            restartPolicy: "Never",
            terminationGracePeriodSeconds: 20,
            node: pulumi.output("krustlet"),
        };
        const opts = { provider: kubernetes, deletedWith: kubernetes, dependsOn: [first] };
        return new WasmPod("w", args, opts).name;
    });
    const pod = resources["w-pod"];
    assert.deepEqual(plain(pod.inputs), {
        apiVersion: "v1",
        kind: "Pod",
        metadata: {
            namespace: "apps",
            labels: { app: "hello" },
            annotations: {
                ...annotations,
                "alpha.wasi.krustlet.dev/allowed-domains":
                    '["https://catfact.ninja","http://localhost:8080"]',
                "alpha.wasi.krustlet.dev/max-concurrent-requests": "42",
            },
        },
        spec: {
            activeDeadlineSeconds: 300,
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
                            {
                                name: "USER",
                                valueFrom: { configMapKeyRef: { name: "settings", key: "user" } },
                            },
                            {
                                name: "PASSWORD",
                                valueFrom: {
                                    secretKeyRef: { name: "keys", key: "password", optional: false },
                                },
                            },
                        ],
                    },
                    envFrom: [
                        { configMapRef: { name: "settings" } },
                        { prefix: "K_", secretRef: { name: "keys", optional: true } },
                    ],
                    resources: { limits: { memory: "64Mi", cpu: "250m" } },
                    volumeMounts: [
                        { name: "settings", mountPath: "/etc/settings" },
                        { name: "keys", mountPath: "/etc/keys", readOnly: true },
                        { name: "tmp", mountPath: "/tmp" },
                        { name: "any", mountPath: "/any" },
                        { name: "data", mountPath: "/data", readOnly: false },
                    ],
                },
            ],
            imagePullSecrets: [{ name: "ghcr" }, { name: "acr" }],
            restartPolicy: "Never",
            terminationGracePeriodSeconds: 20,
            nodeSelector: { "kubernetes.io/arch": "wasm32-wasi", "kubernetes.io/hostname": "krustlet" },
            tolerations,
            volumes: [
                { name: "settings", configMap: { name: "settings" } },
                { name: "keys", secret: { secretName: "keys" } },
                { name: "tmp", emptyDir: { sizeLimit: "64Mi" } },
                { name: "any", emptyDir: {} },
                { name: "data", hostPath: { path: "/srv/data" } },
            ],
        },
    });
    assert.deepEqual(pod.options, {
        provider,
        deletedWith: provider,
        replaceOnChanges: podReplacedOn,
        dependsOn: [
            "command:local:Command::first-kind",
            "command:local:Command::first-kubelets",
            "pulumi:providers:kubernetes::first-provider",
        ],
    });
});

test("origins are the pod's, not the controller's: a change of them is a roll-out", async () => {
    const wanted = { "alpha.wasi.krustlet.dev/allowed-domains": '["https://catfact.ninja"]' };
    const allowedDomains = ["https://catfact.ninja"];
    for (const kind of ["Deployment", "DaemonSet", "Job"] as const) {
        const { resources } = await workload(kind, { allowedDomains });
        const { inputs } = resources[`w-${kind.toLowerCase()}`];
        const { spec } = inputs as unknown as { spec: { template: { metadata: object } } };
        assert.deepEqual(inputs.metadata, metadata);
        assert.deepEqual(spec.template.metadata, { labels: { app: "w" }, annotations: wanted });
    }
    const { resources } = await workload("CronJob", { schedule: "@hourly", allowedDomains });
    const { spec } = resources["w-cronjob"].inputs as unknown as {
        spec: { jobTemplate: { spec: { template: { metadata: object } } } };
    };
    assert.deepEqual(spec.jobTemplate.spec.template.metadata, { labels: { app: "w" }, annotations: wanted });
});

test("Pulumi's own transforms reach the rest of the pod", async () => {
    const { resources } = await record({ steps }, () => {
        // The mocks know no `transforms`; these reach the same arguments.
        const transformations: pulumi.ResourceTransformation[] = [
            ({ type, props, opts }) => {
                if (type !== "kubernetes:core/v1:Pod") return undefined;
                const { spec } = props as { spec: object };
                return { props: { ...props, spec: { ...spec, priorityClassName: "high" } }, opts };
            },
        ];
        return new WasmPod("w", { image, kubeconfigFile }, { ...inCluster(), transformations }).name;
    });
    assert.deepEqual(resources["w-pod"].inputs.spec, {
        ...podSpec("OnFailure"),
        priorityClassName: "high",
    });
});

test("labels and annotations are the object's and its pods', beside our own", async () => {
    const given = { labels: { tier: "front" }, annotations: { "example.com/owner": "team a" } };
    const labels = { app: "w", tier: "front" };
    interface Made {
        metadata: object;
        spec: { template: { metadata: object }; selector: object };
    }
    for (const kind of ["Deployment", "DaemonSet", "Job"] as const) {
        const { resources } = await workload(kind, given);
        const { metadata: own, spec } = resources[`w-${kind.toLowerCase()}`].inputs as unknown as Made;
        assert.deepEqual(own, { ...metadata, labels, annotations: { ...annotations, ...given.annotations } });
        assert.deepEqual(spec.template.metadata, { labels, annotations: given.annotations });
        if (kind !== "Job") assert.deepEqual(spec.selector, { matchLabels: { app: "w" } });
    }
    const pod = await workload("Pod", { ...given, maxConcurrentRequests: 3 });
    assert.deepEqual(pod.resources["w-pod"].inputs.metadata, {
        namespace: "default",
        labels,
        annotations: {
            ...annotations,
            ...given.annotations,
            "alpha.wasi.krustlet.dev/max-concurrent-requests": "3",
        },
    });
    const cron = await workload("CronJob", { ...given, schedule: "@hourly" });
    const { jobTemplate } = cron.resources["w-cronjob"].inputs.spec as { jobTemplate: Made };
    assert.deepEqual(jobTemplate.metadata, { labels, annotations: given.annotations });
    assert.deepEqual(jobTemplate.spec.template.metadata, { labels, annotations: given.annotations });
});

test("labels that are still to come", async () => {
    const { resources } = await workload("Deployment", {
        labels: pulumi.output({ tier: pulumi.output("x") }),
    });
    assert.deepEqual((resources["w-deployment"].inputs.metadata as { labels: object }).labels, {
        app: "w",
        tier: "x",
    });
});

test("children are reachable, by the names that the docs give them", async () => {
    const { result } = await record({ steps }, () => {
        const { pod, ready } = new WasmPod("w", { image, kubeconfigFile }, inCluster());
        return { pod: pod.urn, ready: ready?.urn };
    });
    assert.match(result.pod, /kubernetes:core\/v1:Pod::w-pod$/);
    assert.match(result.ready ?? "", /command:local:Command::w-ready$/);
});
