/** What each kind of workload is by its defaults. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { steps } from "../fixtures";
import { record } from "../mocks";
import { ofKind } from "./ofKind";
import {
    lostAnnotation,
    metadata,
    parentOf,
    podReplacedOn,
    podSpec,
    provider,
    ready,
    template,
    workload,
} from "./workloadUnderTest";

test("a pod of defaults: a changed spec makes a new one", async () => {
    const { resources, result } = await workload("Pod");
    assert.deepEqual(resources, {
        w: { type: "krustlet-stack:index:WasmPod", parent: undefined, inputs: {}, options: {} },
        "w-pod": {
            type: "kubernetes:core/v1:Pod",
            parent: parentOf("Pod"),
            inputs: { apiVersion: "v1", kind: "Pod", metadata, spec: podSpec("OnFailure") },
            options: { provider, replaceOnChanges: podReplacedOn },
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
        options: { provider, replaceOnChanges: [lostAnnotation] },
    });
    assert.deepEqual(Object.keys(resources), ["w", "w-deployment", "w-ready"]);
    assert.deepEqual(resources["w-ready"], ready("Deployment", "w-deployment"));
    assert.equal(result.logsCommand, "kubectl logs --namespace default deployment/auto-named");
});

test("a deployment that an autoscaler sizes says nothing of its number of pods", async () => {
    const { resources } = await workload("Deployment", { autoscaled: true });
    assert.deepEqual(resources["w-deployment"].inputs.spec, {
        selector: { matchLabels: { app: "w" } },
        template: template("Always"),
    });
});

test("a job", async () => {
    const { resources, result } = await workload("Job");
    assert.deepEqual(resources["w-job"], {
        type: "kubernetes:batch/v1:Job",
        parent: parentOf("Job"),
        inputs: { apiVersion: "batch/v1", kind: "Job", metadata, spec: { template: template("OnFailure") } },
        options: { provider, replaceOnChanges: [lostAnnotation] },
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
        options: { provider, replaceOnChanges: [lostAnnotation] },
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
            metadata: { ...metadata, name: "w-cronjob-01234567" },
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

test("what a look has found is in the object, so that the provider mends it, and in what waits for it", async () => {
    const seen = async (answer: object) => {
        const all = { ...steps, observeWorkload: answer };
        const { resources } = await record({ steps: all }, () => ofKind("Deployment", {}).name);
        const { annotations } = resources["w-deployment"].inputs.metadata as { annotations: object };
        const input = JSON.parse(String(resources["w-ready"].inputs.stdin)) as Record<string, unknown>;
        return { annotations, because: input.because, lost: input.lost };
    };
    const there = { "pulumi.com/waitFor": "jsonpath={.metadata.uid}" };
    assert.deepEqual(await seen({}), { annotations: there, because: undefined, lost: undefined });
    assert.deepEqual(await seen({ lost: "gone" }), {
        annotations: { ...there, "krustlet-stack/lost": "gone" },
        because: undefined,
        lost: "gone",
    });
    assert.deepEqual(await seen({ because: "changed" }), {
        annotations: { ...there, "krustlet-stack/because": "changed", "pulumi.com/patchForce": "true" },
        because: "changed",
        lost: undefined,
    });
});
