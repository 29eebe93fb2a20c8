import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { KindCluster, WasmPod, type WasmPodArgs, type WorkloadKind } from "../../../../components";
import { commandInputs, imageReference as image, inCluster, notUndone, steps } from "../fixtures";
import { record } from "../mocks";
import { ofKind } from "./ofKind";

const parentOf = (kind: string) => `krustlet-stack:index:Wasm${kind}::w`;
const provider = "pulumi:providers:kubernetes::other-provider";
const tolerations = [
    { key: "node.kubernetes.io/network-unavailable", operator: "Exists", effect: "NoSchedule" },
    { key: "kubernetes.io/arch", operator: "Equal", value: "wasm32-wasi", effect: "NoExecute" },
    { key: "kubernetes.io/arch", operator: "Equal", value: "wasm32-wasi", effect: "NoSchedule" },
];
const annotations = { "pulumi.com/waitFor": "jsonpath={.metadata.uid}" };
const metadata = { namespace: "default", labels: { app: "w" }, annotations };
const kubeconfigFile = "/k";
const types: Record<string, string> = {
    Pod: "core/v1:Pod",
    Deployment: "apps/v1:Deployment",
    DaemonSet: "apps/v1:DaemonSet",
    Job: "batch/v1:Job",
};
/** The Command that waits for it. */
const ready = (kind: string, object: string, more: object = {}) => ({
    type: "command:local:Command",
    parent: parentOf(kind),
    inputs: {
        ...commandInputs("awaitWorkload"),
        stdin: JSON.stringify({
            kubeconfigFile,
            kind,
            namespace: "default",
            name: "auto-named",
            uid: "object-uid",
            generation: 1,
            timeoutSeconds: 600,
            ...more,
        }),
    },
    options: { ...notUndone, dependsOn: [`kubernetes:${types[kind]}::${object}`] },
});
/** As Kubernetes' types put it: what is not given is not there. */
const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;
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
async function workload(kind: WorkloadKind, args: Record<string, unknown> = {}) {
    const { resources, result } = await record({ steps }, () => {
        const w = ofKind(kind, args);
        return { name: w.name, namespace: w.namespace, logsCommand: w.logsCommand };
    });
    delete resources["other-provider"];
    return { resources, result };
}

test("a pod of defaults: a changed spec makes a new one", async () => {
    const { resources, result } = await workload("Pod");
    assert.deepEqual(resources, {
        w: { type: "krustlet-stack:index:WasmPod", parent: undefined, inputs: {}, options: {} },
        "w-pod": {
            type: "kubernetes:core/v1:Pod",
            parent: parentOf("Pod"),
            inputs: { apiVersion: "v1", kind: "Pod", metadata, spec: podSpec("OnFailure") },
            options: { provider, replaceOnChanges: ["spec", "metadata.annotations"] },
        },
        "w-ready": ready("Pod", "w-pod"),
    });
    assert.deepEqual(result, {
        name: "auto-named",
        namespace: "default",
        logsCommand: "kubectl logs --namespace default pod/auto-named",
    });
});

test("a deployment", async () => {
    const { resources, result } = await workload("Deployment", { replicas: 3 });
    assert.deepEqual(resources["w-deployment"], {
        type: "kubernetes:apps/v1:Deployment",
        parent: parentOf("Deployment"),
        inputs: {
            apiVersion: "apps/v1",
            kind: "Deployment",
            metadata,
            spec: { replicas: 3, selector: { matchLabels: { app: "w" } }, template: template("Always") },
        },
        options: { provider },
    });
    assert.deepEqual(Object.keys(resources), ["w", "w-deployment", "w-ready"]);
    assert.deepEqual(resources["w-ready"], ready("Deployment", "w-deployment"));
    assert.equal(result.logsCommand, "kubectl logs --namespace default deployment/auto-named");
});

test("a job", async () => {
    const { resources, result } = await workload("Job");
    assert.deepEqual(resources["w-job"], {
        type: "kubernetes:batch/v1:Job",
        parent: parentOf("Job"),
        inputs: { apiVersion: "batch/v1", kind: "Job", metadata, spec: { template: template("OnFailure") } },
        options: { provider },
    });
    assert.deepEqual(Object.keys(resources), ["w", "w-job", "w-ready"]);
    assert.deepEqual(resources["w-ready"], ready("Job", "w-job"));
    assert.equal(result.logsCommand, "kubectl logs --namespace default job/auto-named");
});

test("a daemon set", async () => {
    const { resources, result } = await workload("DaemonSet");
    assert.deepEqual(resources["w-daemonset"], {
        type: "kubernetes:apps/v1:DaemonSet",
        parent: parentOf("DaemonSet"),
        inputs: {
            apiVersion: "apps/v1",
            kind: "DaemonSet",
            metadata,
            spec: { selector: { matchLabels: { app: "w" } }, template: template("Always") },
        },
        options: { provider },
    });
    assert.deepEqual(resources["w-ready"], ready("DaemonSet", "w-daemonset"));
    assert.equal(result.logsCommand, "kubectl logs --namespace default daemonset/auto-named");
});

test("a cron job, which nobody waits for", async () => {
    const { resources, result } = await workload("CronJob", {
        schedule: "*/5 * * * *",
        timeZone: "Europe/Berlin",
        concurrencyPolicy: "Forbid",
        suspend: true,
        backoffLimit: 2,
        activeDeadlineSeconds: 60,
        restartPolicy: "Never",
    });
    assert.deepEqual(resources["w-cronjob"], {
        type: "kubernetes:batch/v1:CronJob",
        parent: parentOf("CronJob"),
        inputs: {
            apiVersion: "batch/v1",
            kind: "CronJob",
            metadata,
            spec: {
                schedule: "*/5 * * * *",
                timeZone: "Europe/Berlin",
                concurrencyPolicy: "Forbid",
                suspend: true,
                jobTemplate: {
                    metadata: { labels: { app: "w" } },
                    spec: { backoffLimit: 2, activeDeadlineSeconds: 60, template: template("Never") },
                },
            },
        },
        options: { provider },
    });
    assert.deepEqual(Object.keys(resources), ["w", "w-cronjob"]);
    assert.equal(result.logsCommand, "kubectl logs --namespace default --selector app=w --tail=-1 --prefix");
});

test("a job's own arguments", async () => {
    const { resources } = await workload("Job", {
        backoffLimit: 0,
        activeDeadlineSeconds: 30,
        waitTimeoutSeconds: 40,
    });
    assert.deepEqual(resources["w-job"].inputs.spec, {
        backoffLimit: 0,
        activeDeadlineSeconds: 30,
        template: template("OnFailure"),
    });
    assert.deepEqual(resources["w-ready"], ready("Job", "w-job", { timeoutSeconds: 40 }));
});

test("one that is not waited for needs no kubeconfig", async () => {
    const { resources } = await workload("Pod", { wait: false, kubeconfigFile: undefined });
    assert.deepEqual(Object.keys(resources), ["w", "w-pod"]);
});

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
        replaceOnChanges: ["spec", "metadata.annotations"],
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
