// The kubernetes stand-in, built and called over gRPC, against a real API server: objects that need no waiting.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import type { KubeClient } from "../kubernetes/client";
import { at, isProps, isSecret, listAt, secret, textAt, unknownSentinel, type Props } from "../lib/values";
import { change, make, startPlugin, testClient, testKubeconfig, urnOf, type Made } from "./cluster";
import { PluginProcess, initFailure, rejection } from "./harness";

const namespaceUrn = urnOf("kubernetes:core/v1:Namespace", "standin");
const configMapUrn = urnOf("kubernetes:core/v1:ConfigMap");

let plugin: PluginProcess;
let client: KubeClient;
let namespace: Made;
let ns: string;

before(async () => {
    client = testClient();
    plugin = await startPlugin();
    namespace = await make(plugin, namespaceUrn, { apiVersion: "v1", kind: "Namespace", metadata: {} });
    ns = namespace.id;
});

after(async () => {
    try {
        await plugin.delete(namespaceUrn, ns, namespace.state);
        const gone = await rejection(client.request("GET", `/api/v1/namespaces/${ns}`));
        assert.equal((gone as { status: number }).status, 404);
    } finally {
        // A plugin that runs on would keep this process from its end.
        assert.equal(await plugin.stop(), 0);
        client.close();
    }
});

function configMap(name: string, data: Props, metadata: Props = {}): Props {
    return { apiVersion: "v1", kind: "ConfigMap", metadata: { namespace: ns, name, ...metadata }, data };
}

function get(path: string): Promise<Props> {
    return client.request("GET", path);
}

void describe("an object", () => {
    it("without a name gets one, which marks it and is its id", () => {
        assert.match(ns, /^standin-[0-9a-f]{8}$/);
        assert.equal(at(namespace.inputs, "metadata", "annotations", "pulumi.com/autonamed"), "true");
        assert.equal(at(namespace.inputs, "metadata", "namespace"), undefined);
    });

    it("is recorded as it lives, with its inputs and its field manager", async () => {
        const { state, inputs } = namespace;
        assert.equal(textAt(state, "metadata", "uid").length, 36);
        assert.deepEqual(state.__inputs, inputs);
        assert.equal(state.__initialApiVersion, "v1");
        assert.match(textAt(state, "__fieldManager"), /^pulumi-kubernetes-[0-9a-f]{8}$/);
        assert.equal((await plugin.diff(namespaceUrn, ns, state, inputs, inputs)).changed, false);
    });

    it("goes to the default namespace when it says none", async () => {
        const { inputs } = await plugin.check(configMapUrn, {
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: { name: "x" },
        });
        assert.deepEqual(inputs.metadata, { name: "x", namespace: "default" });
    });

    it("is read back as it was made, and as gone once it has gone", async () => {
        const made = await make(plugin, configMapUrn, configMap("read", { a: "1" }));
        const read = await plugin.read(configMapUrn, made.id, made.state, made.inputs);
        assert.deepEqual(read, { id: made.id, state: made.state, inputs: made.inputs });
        await client.request("DELETE", `/api/v1/namespaces/${ns}/configmaps/read`);
        const gone = await plugin.read(configMapUrn, made.id, made.state, made.inputs);
        assert.deepEqual(gone, { id: "", state: {}, inputs: {} });
        await plugin.delete(configMapUrn, made.id, made.state);
    });

    it("that drifted shows in a refresh, and the next update mends it", async () => {
        const urn = urnOf("kubernetes:core/v1:ServiceAccount");
        const args: Props = {
            apiVersion: "v1",
            kind: "ServiceAccount",
            metadata: { namespace: ns, name: "drift", labels: { app: "one" } },
        };
        const made = await make(plugin, urn, args);
        const path = `/api/v1/namespaces/${ns}/serviceaccounts/drift`;
        await client.request(
            "PATCH",
            path,
            {},
            { json: { metadata: { labels: { app: "two" } } }, type: "application/merge-patch+json" },
        );
        const read = await plugin.read(urn, made.id, made.state, made.inputs);
        assert.equal(at(read.inputs, "metadata", "labels", "app"), "two");
        const diff = await plugin.diff(urn, made.id, read.state, read.inputs, made.inputs);
        assert.deepEqual(diff.details, { "metadata.labels.app": "UPDATE" });
        // The other writer now owns the field: without force, Kubernetes refuses.
        const refused = initFailure(await rejection(plugin.update(urn, made.id, read.state, made.inputs)));
        assert.match(refused.message, /server-side apply field conflict detected/);
        const forced = {
            ...args,
            metadata: { ...(args.metadata as Props), annotations: { "pulumi.com/patchForce": "true" } },
        };
        const mended = await change(plugin, urn, { ...made, state: read.state }, forced);
        assert.equal(at(mended.state, "metadata", "labels", "app"), "one");
        await plugin.delete(urn, made.id, mended.state);
    });

    it("is imported with what a program would write", async () => {
        const made = await make(
            plugin,
            configMapUrn,
            configMap("imported", { a: "1" }, { labels: { b: "c" } }),
        );
        const read = await plugin.read(configMapUrn, `${ns}/imported`, {}, {});
        assert.deepEqual(read.inputs, configMap("imported", { a: "1" }, { labels: { b: "c" } }));
        assert.equal(
            (await plugin.diff(configMapUrn, read.id, read.state, read.inputs, made.inputs)).changed,
            false,
        );
        await plugin.delete(configMapUrn, made.id, made.state);
    });

    it("that is there already is not taken over", async () => {
        const made = await make(plugin, configMapUrn, configMap("taken", { a: "1" }));
        await assert.rejects(make(plugin, configMapUrn, configMap("taken", { a: "2" })), {
            details:
                /^resource "urn:pulumi:.*" was not successfully created by the Kubernetes API server: configmaps "taken" already exists/,
        });
        await plugin.delete(configMapUrn, made.id, made.state);
    });

    it("may be a runtime class, which has no namespace and is not taken over either", async () => {
        const urn = urnOf("kubernetes:node.k8s.io/v1:RuntimeClass");
        const runtimeClass = (handler: string): Props => ({
            apiVersion: "node.k8s.io/v1",
            kind: "RuntimeClass",
            metadata: { name: "standin-test" },
            handler,
            scheduling: { nodeSelector: { "kubernetes.io/arch": "wasm32-wasi" } },
        });
        const made = await make(plugin, urn, runtimeClass("wasi"));
        assert.equal(made.id, "standin-test");
        await assert.rejects(make(plugin, urn, runtimeClass("other")), {
            details: /runtimeclasses.node.k8s.io "standin-test" already exists/,
        });
        await plugin.delete(urn, made.id, made.state);
        assert.equal((await plugin.read(urn, made.id, made.state, made.inputs)).id, "");
    });

    it("may be a cron job, whose schedule is changed in place", async () => {
        const urn = urnOf("kubernetes:batch/v1:CronJob");
        const containers = [{ name: "main", image: "no-such-image:1" }];
        const cronJob = (schedule: string): Props => ({
            apiVersion: "batch/v1",
            kind: "CronJob",
            metadata: { namespace: ns, name: "nightly" },
            spec: {
                schedule,
                jobTemplate: { spec: { template: { spec: { containers, restartPolicy: "Never" } } } },
            },
        });
        const made = await make(plugin, urn, cronJob("0 3 * * *"));
        const diff = await plugin.diff(urn, made.id, made.state, made.inputs, cronJob("0 4 * * *"));
        assert.deepEqual([diff.details, diff.replaces], [{ "spec.schedule": "UPDATE" }, []]);
        await plugin.delete(urn, made.id, made.state);
    });

    it("that Kubernetes refuses is an error with its reason", async () => {
        await assert.rejects(make(plugin, configMapUrn, configMap("Not_A_Name", {})), {
            details: /Invalid value: "Not_A_Name"/,
        });
    });
});

void describe("an update", () => {
    it("sends what changed and removes what is not there any more", async () => {
        const urn = urnOf("kubernetes:core/v1:ServiceAccount");
        const account = (labels: Props): Props => ({
            apiVersion: "v1",
            kind: "ServiceAccount",
            metadata: { namespace: ns, name: "updated", labels },
        });
        const made = await make(plugin, urn, account({ a: "1", b: "2" }));
        const path = `/api/v1/namespaces/${ns}/serviceaccounts/updated`;
        const preview = await plugin.update(urn, made.id, made.state, account({ a: "3" }), { preview: true });
        assert.deepEqual(at(preview, "metadata", "labels", "a"), "3");
        assert.deepEqual(at(await get(path), "metadata", "labels"), { a: "1", b: "2" });

        const updated = await change(plugin, urn, made, account({ a: "3" }));
        const live = await get(path);
        assert.deepEqual(at(live, "metadata", "labels"), { a: "3" });
        const managers = listAt(live, "metadata", "managedFields").map((m) => [
            textAt(m, "manager"),
            textAt(m, "operation"),
        ]);
        assert.deepEqual(managers, [[textAt(made.state, "__fieldManager"), "Apply"]]);
        const same = await plugin.diff(urn, made.id, updated.state, updated.inputs, updated.inputs);
        assert.equal(same.changed, false);
        await plugin.delete(urn, made.id, updated.state);
    });

    it("leaves alone what is to be ignored", async () => {
        const urn = urnOf("kubernetes:core/v1:ServiceAccount");
        const account = (labels: Props): Props => ({
            apiVersion: "v1",
            kind: "ServiceAccount",
            metadata: { namespace: ns, name: "ignored", labels },
        });
        const made = await make(plugin, urn, account({ a: "1", b: "1" }));
        const news = account({ a: "2", b: "2" });
        const diff = await plugin.diff(urn, made.id, made.state, made.inputs, news, ["metadata.labels.a"]);
        assert.deepEqual(diff.details, { "metadata.labels.b": "UPDATE" });
        const state = await plugin.update(urn, made.id, made.state, news, { ignore: ["metadata.labels.a"] });
        assert.deepEqual(at(state, "metadata", "labels"), { a: "1", b: "2" });
        await plugin.delete(urn, made.id, state);
    });

    it("works without server-side apply too", async () => {
        const csa = await startPlugin({ enableServerSideApply: "false" });
        const urn = urnOf("kubernetes:core/v1:ServiceAccount");
        const account = (labels: Props): Props => ({
            apiVersion: "v1",
            kind: "ServiceAccount",
            metadata: { namespace: ns, name: "csa", labels },
        });
        const made = await make(csa, urn, account({ a: "1", b: "2" }));
        const updated = await change(csa, urn, made, account({ a: "3" }));
        assert.deepEqual(at(updated.state, "metadata", "labels"), { a: "3" });
        await csa.delete(urn, made.id, updated.state);
        await csa.stop();
    });
});

void describe("a preview", () => {
    it("of a create asks the API server, and makes nothing", async () => {
        const { inputs } = await plugin.check(configMapUrn, configMap("previewed", { a: "1" }));
        const { id, state } = await plugin.create(configMapUrn, inputs, { preview: true });
        assert.equal(id, "");
        assert.equal(textAt(state, "metadata", "uid").length, 36);
        const missing = await rejection(get(`/api/v1/namespaces/${ns}/configmaps/previewed`));
        assert.equal((missing as { status: number }).status, 404);
    });

    it("tells what Kubernetes would refuse", async () => {
        const { inputs } = await plugin.check(configMapUrn, configMap("Not_A_Name", {}));
        await assert.rejects(plugin.create(configMapUrn, inputs, { preview: true }), {
            details: /Invalid value/,
        });
    });

    it("with unknown values, or in a namespace or of a kind yet to come, gives the inputs back", async () => {
        const cases: [string, Props][] = [
            [configMapUrn, configMap("x", { a: unknownSentinel })],
            [configMapUrn, configMap("x", { a: "1" }, { namespace: "yet-to-come" })],
            [
                urnOf("kubernetes:example.com/v1:Widget"),
                { apiVersion: "example.com/v1", kind: "Widget", metadata: { name: "x", namespace: ns } },
            ],
        ];
        for (const [urn, args] of cases) {
            const { inputs } = await plugin.check(urn, args);
            assert.deepEqual(inputs, args);
            assert.deepEqual(await plugin.create(urn, inputs, { preview: true }), { id: "", state: inputs });
        }
    });
});

void describe("a secret", () => {
    const urn = urnOf("kubernetes:core/v1:Secret");
    const args = (token: string): Props => ({
        apiVersion: "v1",
        kind: "Secret",
        metadata: { namespace: ns, name: "token" },
        stringData: { token: secret(token) },
    });

    it("is never in the clear in the state, and is replaced by another", async () => {
        const made = await make(plugin, urn, args("s3cr3t"));
        assert.ok(isSecret(made.inputs.data));
        assert.ok(isSecret(made.state.data));
        assert.deepEqual(made.state.data.value, { token: Buffer.from("s3cr3t").toString("base64") });
        const same = await plugin.check(urn, args("s3cr3t"), made.inputs);
        assert.equal((await plugin.diff(urn, made.id, made.state, made.inputs, same.inputs)).changed, false);
        const other = await plugin.check(urn, args("other"), made.inputs);
        assert.deepEqual(await plugin.diff(urn, made.id, made.state, made.inputs, other.inputs), {
            changed: true,
            replaces: ["data.token"],
            deleteBeforeReplace: true,
            details: { "data.token": "UPDATE_REPLACE" },
        });
        await plugin.delete(urn, made.id, made.state);
    });
});

void describe("kinds without a namespace", () => {
    it("are made, changed and deleted, and some changes replace", async () => {
        const roleUrn = urnOf("kubernetes:rbac.authorization.k8s.io/v1:ClusterRole");
        const bindingUrn = urnOf("kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding");
        const rbac = "rbac.authorization.k8s.io/v1";
        const rules: Props[] = [{ apiGroups: [""], resources: ["nodes"], verbs: ["get"] }];
        const role = await make(plugin, roleUrn, {
            apiVersion: rbac,
            kind: "ClusterRole",
            metadata: { name: ns },
            rules,
        });
        assert.equal(role.id, ns);
        const binding = (to: string): Props => ({
            apiVersion: rbac,
            kind: "ClusterRoleBinding",
            metadata: { name: ns },
            roleRef: { apiGroup: "rbac.authorization.k8s.io", kind: "ClusterRole", name: to },
            subjects: [{ kind: "Group", name: "nobody", apiGroup: "rbac.authorization.k8s.io" }],
        });
        const bound = await make(plugin, bindingUrn, binding(ns));
        assert.equal(
            (await plugin.diff(bindingUrn, ns, bound.state, bound.inputs, bound.inputs)).changed,
            false,
        );
        const diff = await plugin.diff(bindingUrn, ns, bound.state, bound.inputs, binding("view"));
        assert.deepEqual(diff.details, { "roleRef.name": "UPDATE_REPLACE" });
        const changed = await change(plugin, roleUrn, role, {
            apiVersion: rbac,
            kind: "ClusterRole",
            metadata: { name: ns },
            rules: [...rules, { apiGroups: [""], resources: ["pods"], verbs: ["list"] }],
        });
        assert.equal(listAt(changed.state, "rules").length, 2);
        await plugin.delete(bindingUrn, ns, bound.state);
        await plugin.delete(roleUrn, ns, changed.state);
    });
});

void describe("a custom resource", () => {
    it("may be created before the server knows its definition", async () => {
        const group = `${ns}.example.com`;
        const crdUrn = urnOf("kubernetes:apiextensions.k8s.io/v1:CustomResourceDefinition");
        const widgetUrn = urnOf(`kubernetes:${group}/v1:Widget`);
        const widget = await plugin.check(widgetUrn, {
            apiVersion: `${group}/v1`,
            kind: "Widget",
            metadata: { name: "w", namespace: ns },
            spec: { size: 1 },
        });
        const creating = plugin.create(widgetUrn, widget.inputs);
        const crd = await make(plugin, crdUrn, {
            apiVersion: "apiextensions.k8s.io/v1",
            kind: "CustomResourceDefinition",
            metadata: { name: `widgets.${group}` },
            spec: {
                group,
                scope: "Namespaced",
                names: { plural: "widgets", singular: "widget", kind: "Widget" },
                versions: [
                    {
                        name: "v1",
                        served: true,
                        storage: true,
                        schema: {
                            openAPIV3Schema: { type: "object", x_kubernetes_preserve_unknown_fields: true },
                        },
                    },
                ],
            },
        });
        const made = await creating;
        assert.equal(made.id, `${ns}/w`);
        assert.equal(at(made.state, "spec", "size"), 1);
        await plugin.delete(widgetUrn, made.id, made.state);
        await plugin.delete(crdUrn, crd.id, crd.state);
    });
});

void describe("a delete", () => {
    it("that cannot finish says what holds the object, and leaves it in the state", async () => {
        const finalizers = ["example.com/hold"];
        const made = await make(plugin, configMapUrn, configMap("held", {}, { finalizers }));
        const failure = initFailure(await rejection(plugin.delete(configMapUrn, made.id, made.state, 2)));
        assert.equal(failure.message, "timed out waiting for the condition");
        assert.equal(failure.id, made.id);
        assert.ok(
            failure.reasons.includes(
                "finalizers might be preventing deletion (example.com/hold, foregroundDeletion)",
            ) || failure.reasons.includes("finalizers might be preventing deletion (example.com/hold)"),
            failure.reasons.join(),
        );
        assert.ok(isProps(failure.state.metadata) && failure.state.metadata.deletionTimestamp !== undefined);
        const json = { metadata: { finalizers: null } };
        const path = `/api/v1/namespaces/${ns}/configmaps/held`;
        await client.request("PATCH", path, {}, { json, type: "application/merge-patch+json" });
        await plugin.delete(configMapUrn, made.id, made.state);
    });
});

void describe("a cluster that is not there", () => {
    const away = testKubeconfig().replace(/server: .*/, "server: https://127.0.0.1:1");

    it("fails creates and deletes with the reason, and previews them all the same", async () => {
        const lost = await startPlugin({ kubeconfig: away });
        const { inputs } = await lost.check(configMapUrn, configMap("x", { a: "1" }));
        assert.deepEqual(await lost.create(configMapUrn, inputs, { preview: true }), {
            id: "",
            state: inputs,
        });
        await assert.rejects(lost.create(configMapUrn, inputs), {
            details:
                /^configured Kubernetes cluster is unreachable: unable to load schema information from the API server: GET https:\/\/127\.0\.0\.1:1\/api\/v1: .*ECONNREFUSED/,
        });
        const help = /rerunning the operation with the PULUMI_K8S_DELETE_UNREACHABLE environment variable/;
        await assert.rejects(lost.delete(configMapUrn, "x", inputs), { details: help });
        await assert.rejects(lost.read(configMapUrn, "x", inputs, inputs), { details: help });
        await lost.stop();
    });

    it("drops its objects from the state with deleteUnreachable", async () => {
        const lost = await startPlugin({ kubeconfig: away, deleteUnreachable: "true" });
        const inputs = configMap("x", { a: "1" });
        assert.deepEqual(await lost.read(configMapUrn, "x", inputs, inputs), {
            id: "",
            state: {},
            inputs: {},
        });
        await lost.delete(configMapUrn, "x", inputs);
        await lost.stop();
    });

    it("is reached by a kubeconfig's path; while there is no such file, it is not there", async () => {
        const folder = mkdtempSync(path.join(tmpdir(), "krustlet-plugin-test-"));
        const file = path.join(folder, "kubeconfig");
        const none = await startPlugin({ kubeconfig: file });
        const err = (await rejection(none.create(configMapUrn, configMap("x", {})))) as { details: string };
        assert.match(
            err.details,
            /unreachable: failed to parse kubeconfig data in `kubernetes:config:kubeconfig`-/,
        );
        await none.stop();
        writeFileSync(file, testKubeconfig(), { mode: 0o600 });
        const found = await startPlugin({ kubeconfig: file });
        const made = await make(found, configMapUrn, configMap("by-path", { a: "1" }));
        await found.delete(configMapUrn, made.id, made.state);
        await found.stop();
        rmSync(folder, { recursive: true });
    });

    it("is told apart from a kubeconfig that is none, whose contents are not repeated", async () => {
        const lost = await startPlugin({ kubeconfig: "token: s3cr3t\n  broken: [" });
        const err = (await rejection(lost.create(configMapUrn, configMap("x", {})))) as { details: string };
        assert.match(err.details, /failed to parse kubeconfig data in `kubernetes:config:kubeconfig`-/);
        assert.equal(err.details.includes("s3cr3t"), false);
        await lost.stop();
    });
});
