// The kubernetes stand-in against a real cluster with a real node: that it waits for what it should, and tells why in vain.
import { execFileSync } from "node:child_process";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { KubeClient } from "../kubernetes/client";
import { at, listAt, numberAt, textAt, type Props } from "../lib/values";
import { change, loadImage, make, startPlugin, testClient, urnOf, type Made } from "./cluster";
import { makeImage } from "./dockerImage";
import { PluginProcess, initFailure, rejection } from "./harness";

const image = `standin-await-test-${process.pid}:1`;
const namespaceUrn = urnOf("kubernetes:core/v1:Namespace", "standin-await");
const podUrn = urnOf("kubernetes:core/v1:Pod");
const jobUrn = urnOf("kubernetes:batch/v1:Job");
const deploymentUrn = urnOf("kubernetes:apps/v1:Deployment");

let plugin: PluginProcess;
let client: KubeClient;
let namespace: Made;
let ns: string;

before(async () => {
    client = testClient();
    makeImage(image);
    await loadImage(client, image);
    plugin = await startPlugin();
    namespace = await make(plugin, namespaceUrn, { apiVersion: "v1", kind: "Namespace", metadata: {} });
    ns = namespace.id;
    // Pods need their namespace's service account, which a controller makes a moment later.
    for (let i = 0; i < 100; i++) {
        const found = await client.request("GET", `/api/v1/namespaces/${ns}/serviceaccounts`);
        if (listAt(found, "items").length > 0) break;
        await new Promise((resolve) => setTimeout(resolve, 100));
    }
});

after(async () => {
    try {
        await plugin.delete(namespaceUrn, ns, namespace.state);
    } finally {
        // A plugin that runs on would keep this process from its end.
        await plugin.stop();
        client.close();
        execFileSync("docker", ["image", "rm", image], { stdio: "ignore" });
    }
});

function podSpec(args: string[], extra: Props = {}): Props {
    return {
        containers: [{ name: "main", image, imagePullPolicy: "Never", args: ["/prog", ...args], ...extra }],
        terminationGracePeriodSeconds: 0,
        tolerations: [{ operator: "Exists" }],
    };
}

function pod(name: string, spec: Props, metadata: Props = {}): Props {
    return { apiVersion: "v1", kind: "Pod", metadata: { namespace: ns, name, ...metadata }, spec };
}

function deployment(spec: Props, replicas = 2): Props {
    const labels = { app: "d" };
    return {
        apiVersion: "apps/v1",
        kind: "Deployment",
        metadata: { namespace: ns, name: "d" },
        spec: { replicas, selector: { matchLabels: labels }, template: { metadata: { labels }, spec } },
    };
}

function job(name: string, args: string[]): Props {
    const spec = { ...podSpec(args), restartPolicy: "Never" };
    return {
        apiVersion: "batch/v1",
        kind: "Job",
        metadata: { namespace: ns, name },
        spec: { backoffLimit: 0, template: { spec } },
    };
}

void describe("a pod", () => {
    it("is waited for until it is ready, and until it is gone", async () => {
        const made = await make(plugin, podUrn, pod("ready", podSpec(["sleep"])));
        assert.equal(textAt(made.state, "status", "phase"), "Running");
        assert.equal(
            (await plugin.diff(podUrn, made.id, made.state, made.inputs, made.inputs)).changed,
            false,
        );
        const read = await plugin.read(podUrn, made.id, made.state, made.inputs);
        assert.deepEqual(read.inputs, made.inputs);
        const other = pod("ready", podSpec(["sleep", "longer"]));
        const diff = await plugin.diff(podUrn, made.id, made.state, made.inputs, other);
        assert.deepEqual(diff.details, { "spec.containers[0].args[2]": "ADD_REPLACE" });
        assert.equal(diff.deleteBeforeReplace, true);
        await plugin.delete(podUrn, made.id, made.state);
        const gone = await rejection(client.request("GET", `/api/v1/namespaces/${ns}/pods/ready`));
        assert.equal((gone as { status: number }).status, 404);
    });

    it("that ends well is ready too", async () => {
        const spec = { ...podSpec(["exit", "0"]), restartPolicy: "Never" };
        const made = await make(plugin, podUrn, pod("succeeds", spec));
        // It may have been ready for a moment before its end, which is as good.
        let phase = "";
        for (let i = 0; i < 100 && phase !== "Succeeded"; i++) {
            phase = textAt(
                await client.request("GET", `/api/v1/namespaces/${ns}/pods/succeeds`),
                "status",
                "phase",
            );
            await new Promise((resolve) => setTimeout(resolve, 100));
        }
        const read = await plugin.read(podUrn, made.id, made.state, made.inputs);
        assert.equal(textAt(read.state, "status", "phase"), "Succeeded");
        await plugin.delete(podUrn, made.id, made.state);
    });

    it("that does not become ready in time fails with what its containers say, and is recorded", async () => {
        const spec = podSpec(["sleep"], { image: "no-such-image:1" });
        const failure = initFailure(
            await rejection(make(plugin, podUrn, pod("bad", spec), { timeoutSeconds: 5 })),
        );
        assert.match(
            failure.message,
            /was successfully created, but .* failed to fully initialize or become live: 'bad' timed out/,
        );
        assert.match(failure.reasons[1], /^\[Pod standin-await-[0-9a-f]+\/bad\]: .*\[ErrImageNeverPull\]/);
        assert.equal(failure.id, `${ns}/bad`);
        const seen = initFailure(
            await rejection(plugin.read(podUrn, failure.id, failure.state, failure.state.__inputs as Props)),
        );
        assert.equal(seen.message, "Resource 'bad' was created but failed to initialize");
        await plugin.delete(podUrn, failure.id, failure.state);
    });

    it("is not waited for with the annotation, whose time limit counts too", async () => {
        const spec = podSpec(["sleep"], { image: "no-such-image:1" });
        const skip = { annotations: { "pulumi.com/skipAwait": "true" } };
        const made = await make(plugin, podUrn, pod("skipped", spec, skip));
        assert.equal(textAt(made.state, "status", "phase"), "Pending");
        await plugin.delete(podUrn, made.id, made.state);
        const limit = { annotations: { "pulumi.com/timeoutSeconds": "1" } };
        const started = Date.now();
        const failure = initFailure(await rejection(make(plugin, podUrn, pod("limited", spec, limit))));
        assert.ok(Date.now() - started < 10_000);
        await plugin.delete(podUrn, failure.id, failure.state);
    });
});

void describe("a pod with a condition that holds at once", () => {
    it("is not waited for, but its end is", async () => {
        const spec = podSpec(["sleep"], { image: "no-such-image:1" });
        const there = { annotations: { "pulumi.com/waitFor": "jsonpath={.metadata.uid}" } };
        const made = await make(plugin, podUrn, pod("there", spec, there));
        assert.equal(textAt(made.state, "status", "phase"), "Pending");
        await plugin.delete(podUrn, made.id, made.state);
        await assert.rejects(client.request("GET", `/api/v1/namespaces/${ns}/pods/there`), /not found/);
    });
});

void describe("a job", () => {
    it("is waited for until it is complete", async () => {
        const made = await make(plugin, jobUrn, job("completes", ["exit", "0"]));
        assert.equal(numberAt(made.state, "status", "succeeded"), 1);
        const diff = await plugin.diff(
            jobUrn,
            made.id,
            made.state,
            made.inputs,
            job("completes", ["exit", "1"]),
        );
        assert.deepEqual(diff.replaces, ["spec.template.spec.containers[0].args[2]"]);
        await plugin.delete(jobUrn, made.id, made.state);
        const pods = await client.request("GET", `/api/v1/namespaces/${ns}/pods`);
        assert.deepEqual(listAt(pods, "items"), []);
    });

    it("that fails, fails at once", async () => {
        const started = Date.now();
        const failure = initFailure(await rejection(make(plugin, jobUrn, job("fails", ["exit", "3"]))));
        assert.ok(Date.now() - started < 60_000);
        assert.ok(
            failure.reasons.some((reason) => reason.startsWith("[BackoffLimitExceeded]")),
            failure.reasons.join("\n"),
        );
        await plugin.delete(jobUrn, failure.id, failure.state);
    });
});

void describe("a deployment", () => {
    it("is waited for until all its pods are ready, at each roll-out", async () => {
        const made = await make(plugin, deploymentUrn, deployment(podSpec(["sleep"])));
        assert.equal(numberAt(made.state, "status", "readyReplicas"), 2);
        const changed = deployment(podSpec(["sleep", "longer"]));
        const diff = await plugin.diff(deploymentUrn, made.id, made.state, made.inputs, changed);
        assert.deepEqual(diff.details, { "spec.template.spec.containers[0].args[2]": "ADD" });
        const rolled = await change(plugin, deploymentUrn, made, changed);
        assert.equal(numberAt(rolled.state, "status", "updatedReplicas"), 2);
        assert.equal(at(rolled.state, "metadata", "annotations", "deployment.kubernetes.io/revision"), "2");
        const same = await plugin.diff(deploymentUrn, made.id, rolled.state, rolled.inputs, rolled.inputs);
        assert.equal(same.changed, false, JSON.stringify(same.details));
        const scaled = await change(
            plugin,
            deploymentUrn,
            rolled,
            deployment(podSpec(["sleep", "longer"]), 0),
        );
        assert.equal(numberAt(scaled.state, "spec", "replicas"), 0);

        const broken = await plugin.check(
            deploymentUrn,
            deployment(podSpec(["sleep"], { image: "no-such-image:1" }), 1),
            scaled.inputs,
        );
        const failure = initFailure(
            await rejection(
                plugin.update(deploymentUrn, made.id, scaled.state, broken.inputs, { timeoutSeconds: 6 }),
            ),
        );
        assert.match(
            failure.message,
            /reported that ".*\/d" failed to fully initialize or become live: 'd' timed out/,
        );
        assert.ok(
            failure.reasons.includes("Minimum number of live Pods was not attained"),
            failure.reasons.join("\n"),
        );
        assert.ok(
            failure.reasons.some((reason) => reason.includes("ErrImageNeverPull")),
            failure.reasons.join("\n"),
        );

        const selector = deployment(podSpec(["sleep"]));
        (selector.spec as Props).selector = { matchLabels: { app: "other" } };
        const replace = await plugin.diff(deploymentUrn, made.id, failure.state, broken.inputs, selector);
        assert.ok(replace.replaces.includes("spec.selector.matchLabels.app"));
        await plugin.delete(deploymentUrn, made.id, failure.state);
        const pods = await client.request("GET", `/api/v1/namespaces/${ns}/pods`);
        assert.deepEqual(listAt(pods, "items"), []);
    });
});

void describe("other controllers", () => {
    it("are waited for: a daemon set and a stateful set", async () => {
        const labels = { app: "c" };
        const spec: Props = {
            selector: { matchLabels: labels },
            template: { metadata: { labels }, spec: podSpec(["sleep"]) },
        };
        for (const kind of ["DaemonSet", "StatefulSet"]) {
            const urn = urnOf(`kubernetes:apps/v1:${kind}`);
            const own: Props = kind === "StatefulSet" ? { serviceName: "c", replicas: 1 } : {};
            const made = await make(plugin, urn, {
                apiVersion: "apps/v1",
                kind,
                metadata: { namespace: ns, name: "c" },
                spec: { ...spec, ...own },
            });
            assert.equal(
                numberAt(made.state, "status", kind === "DaemonSet" ? "numberReady" : "readyReplicas"),
                1,
            );
            assert.equal(
                (await plugin.diff(urn, made.id, made.state, made.inputs, made.inputs)).changed,
                false,
            );
            await plugin.delete(urn, made.id, made.state);
        }
    });
});

void describe("a service", () => {
    const urn = urnOf("kubernetes:core/v1:Service");
    const service = (name: string, spec: Props): Props => ({
        apiVersion: "v1",
        kind: "Service",
        metadata: { namespace: ns, name },
        spec: { ports: [{ port: 80 }], ...spec },
    });

    it("without a selector is ready as it is", async () => {
        const made = await make(plugin, urn, service("plain", {}));
        assert.notEqual(textAt(made.state, "spec", "clusterIP"), "");
        assert.equal((await plugin.diff(urn, made.id, made.state, made.inputs, made.inputs)).changed, false);
        await plugin.delete(urn, made.id, made.state);
    });

    it("with a selector waits for its pods to settle", async () => {
        const target = await make(
            plugin,
            podUrn,
            pod("target", podSpec(["sleep"]), { labels: { app: "s" } }),
        );
        const made = await make(plugin, urn, service("selects", { selector: { app: "s" } }));
        await plugin.delete(urn, made.id, made.state);
        await plugin.delete(podUrn, target.id, target.state);
    });
});

void describe("a cancelled operation", () => {
    it("ends soon, and what it made is recorded", async () => {
        const other = await startPlugin();
        const creating = rejection(
            make(other, podUrn, pod("cancelled", podSpec(["sleep"], { image: "no-such:1" }))),
        );
        await new Promise((resolve) => setTimeout(resolve, 2000));
        await other.cancel();
        const failure = initFailure(await creating);
        assert.match(failure.message, /Resource operation was cancelled for "cancelled"/);
        await plugin.delete(podUrn, failure.id, failure.state);
        await other.stop();
    });
});
