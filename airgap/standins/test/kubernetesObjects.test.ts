// The kubernetes stand-in's decisions that need no cluster.
import assert from "node:assert/strict";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, describe, it } from "node:test";
import { diffObjects, pathContains, pathSteps } from "../kubernetes/diff";
import { activeCluster, loadKubeconfig } from "../kubernetes/kubeconfig";
import { kindOfType, replacingPaths, touches } from "../kubernetes/kinds";
import { assignName, adoptName, idOf, isOwnedBy, parseId, timeoutMs } from "../kubernetes/metadata";
import { checkpoint, markSecrets, normalize, parseCheckpoint, prune, toObject } from "../kubernetes/objects";
import { diffSettings } from "../kubernetes/settings";
import { checkPod } from "../kubernetes/await/pod";
import { isSecret, secret, unknownSentinel, type Props } from "../lib/values";

const mutability = { configMapMutable: false, secretMutable: false };
const urn = "urn:pulumi:dev::p::kubernetes:core/v1:Pod::web";

function pod(spec: Props): Props {
    return { apiVersion: "v1", kind: "Pod", metadata: { name: "web", namespace: "default" }, spec };
}

function diff(live: Props, news: Props, olds: Props = live): Record<string, string> {
    const replacing = replacingPaths(news, mutability);
    const changes = diffObjects({ live: prune(live, olds), oldInputs: olds, newInputs: news, replacing });
    return Object.fromEntries(
        [...changes].map(([path, c]) => [path, `${c.kind}${c.replace ? " replace" : ""}`]),
    );
}

void describe("type tokens", () => {
    it("name a kind", () => {
        assert.deepEqual(kindOfType("kubernetes:core/v1:Pod"), { group: "", version: "v1", kind: "Pod" });
        assert.deepEqual(kindOfType("kubernetes:apps/v1:Deployment"), {
            group: "apps",
            version: "v1",
            kind: "Deployment",
        });
        assert.equal(kindOfType("kubernetes:example.com/v1:Patch").kind, "Patch");
    });

    it("that name no kind are refused by name", () => {
        for (const token of [
            "kubernetes:helm.sh/v3:Release",
            "kubernetes:core/v1:PodPatch",
            "kubernetes:core/v1:PodList",
            "kubernetes:yaml:ConfigFile",
        ]) {
            assert.throws(() => kindOfType(token), {
                message: `the air-gapped stand-in of the kubernetes plugin does not serve the type ${token}`,
            });
        }
    });
});

void describe("differences", () => {
    it("are none against the live object's defaults and status", () => {
        const inputs = pod({ containers: [{ name: "a", image: "x" }] });
        const live = {
            ...pod({
                containers: [{ name: "a", image: "x", imagePullPolicy: "Always" }],
                dnsPolicy: "ClusterFirst",
            }),
            status: { phase: "Running" },
        };
        assert.deepEqual(diff(live, inputs, inputs), {});
    });

    it("of a pod's containers replace it, those of its metadata do not", () => {
        const old = pod({ containers: [{ name: "a", image: "x", args: ["1"] }], activeDeadlineSeconds: 5 });
        const changed = pod({
            containers: [{ name: "a", image: "y", args: ["1", "2"] }],
            activeDeadlineSeconds: 6,
        });
        assert.deepEqual(diff(old, changed), {
            "spec.containers[0].image": "update replace",
            "spec.containers[0].args[1]": "add replace",
            "spec.activeDeadlineSeconds": "update",
        });
        const labelled = {
            ...old,
            metadata: { name: "web", namespace: "default", labels: { "a.b/c": "d" } },
        };
        assert.deepEqual(diff(old, labelled), { "metadata.labels": "add" });
        assert.deepEqual(diff(labelled, old), { "metadata.labels": "delete" });
        const moved = { ...old, metadata: { name: "web", namespace: "other" } };
        assert.deepEqual(diff(old, moved), { "metadata.namespace": "update replace" });
        assert.deepEqual(
            diff(labelled, { ...old, metadata: { ...labelled.metadata, labels: { "a.b/c": "e" } } }),
            { 'metadata.labels["a.b/c"]': "update" },
        );
    });

    it("of data replace a Secret and a ConfigMap unless the provider says they are mutable", () => {
        const map = (value: string): Props => ({
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: { name: "m", namespace: "default" },
            data: { key: value },
        });
        assert.deepEqual(diff(map("1"), map("2")), { "data.key": "update replace" });
        const paths = replacingPaths(map("2"), { ...mutability, configMapMutable: true });
        assert.equal(paths.includes(".data"), false);
        assert.equal(
            replacingPaths(
                { ...map("2"), immutable: true },
                { ...mutability, configMapMutable: true },
            ).includes(".data"),
            true,
        );
    });

    it("of how the API server writes a value are none while the input stays the same", () => {
        const inputs = pod({ containers: [{ name: "a", resources: { limits: { cpu: "0.5" } }, args: [] }] });
        const live = pod({ containers: [{ name: "a", resources: { limits: { cpu: "500m" } } }] });
        assert.deepEqual(diff(live, inputs, inputs), {});
        const other = pod({ containers: [{ name: "a", resources: { limits: { cpu: "0.6" } }, args: [] }] });
        assert.deepEqual(diff(live, other, inputs), {
            "spec.containers[0].resources.limits.cpu": "update replace",
        });
    });

    it("with an unknown value count, and replace where the value would", () => {
        const old = pod({ containers: [{ name: "a", image: "x" }] });
        const unknown = pod({ containers: [{ name: "a", image: unknownSentinel }] });
        assert.deepEqual(diff(old, unknown), { "spec.containers[0].image": "update replace" });
    });

    it("look up patterns through lists", () => {
        assert.equal(touches({ spec: { containers: [{ image: null }] } }, ".spec.containers[*].image"), true);
        assert.equal(touches({ spec: { containers: [{ name: "a" }] } }, ".spec.containers[*].image"), false);
    });

    it("are ignored by path", () => {
        assert.deepEqual(pathSteps('a.b[0]["c.d"].e'), ["a", "b", "0", "c.d", "e"]);
        assert.equal(pathContains("spec.containers", "spec.containers[0].image"), true);
        assert.equal(pathContains("spec.containers[*].image", "spec.containers[0].image"), true);
        assert.equal(pathContains("spec.containers[1]", "spec.containers[0].image"), false);
    });
});

void describe("names", () => {
    const seed = { randomSeed: Buffer.from("seed"), urn, olds: {}, news: {} };

    it("are made up from the resource's name, marked, and kept", () => {
        const object: Props = { metadata: {} };
        assignName(object, seed);
        const { name, annotations } = object.metadata as { name: string; annotations: Props };
        assert.match(name, /^web-[0-9a-f]{8}$/);
        assert.deepEqual(annotations, { "pulumi.com/autonamed": "true" });
        const next: Props = { metadata: { labels: { a: "b" } } };
        adoptName(next, object);
        assert.equal((next.metadata as Props).name, name);
    });

    it("come from the engine when it proposes one", () => {
        const object: Props = {};
        assignName(object, { ...seed, autonaming: { mode: "propose", proposedName: "chosen" } });
        assert.equal((object.metadata as Props).name, "chosen");
        assert.throws(() => assignName({}, { ...seed, autonaming: { mode: "disable", proposedName: "" } }), {
            message: "autonaming is disabled, resource requires the .metadata.name field to be set",
        });
    });

    it("that are given, unknown or generated by the server stay", () => {
        const given: Props[] = [{ name: "mine" }, { name: unknownSentinel }, { generateName: "x-" }];
        for (const metadata of given) {
            const object: Props = { metadata };
            assignName(object, seed);
            assert.deepEqual(object, { metadata });
        }
    });

    it("make the id", () => {
        assert.equal(idOf({ metadata: { name: "a", namespace: "b" } }), "b/a");
        assert.deepEqual(parseId("b/a"), { namespace: "b", name: "a" });
        assert.deepEqual(parseId("a"), { namespace: "", name: "a" });
    });
});

void describe("state", () => {
    const input: Props = {
        apiVersion: "v1",
        kind: "Secret",
        metadata: { name: "s" },
        stringData: { token: secret("abc") },
    };

    it("keeps a Secret's data secret, whatever the program said", () => {
        const inputs = normalize(toObject(input));
        assert.deepEqual(inputs, {
            apiVersion: "v1",
            kind: "Secret",
            metadata: { name: "s" },
            data: { token: "YWJj" },
        });
        const state = checkpoint(inputs, { ...inputs, type: "Opaque" }, input, "v1", "pulumi-kubernetes-1");
        assert.ok(isSecret(state.data));
        assert.ok(isSecret((state.__inputs as Props).data));
        assert.deepEqual(parseCheckpoint(state), {
            inputs,
            live: { ...inputs, type: "Opaque" },
            initialApiVersion: "v1",
            fieldManager: "pulumi-kubernetes-1",
        });
        assert.equal(JSON.stringify(toObject(state)).includes("1b47061264138c4ac30d75fd1eb44270"), false);
    });

    it("marks only the secret part of an object, and the whole of a list", () => {
        const marked = markSecrets(
            { a: { b: "1", c: "2" }, l: ["1", "2"] },
            {
                a: { b: secret("1"), c: "2" },
                l: [secret("1"), "2"],
            },
        );
        assert.deepEqual(marked, { a: { b: secret("1"), c: "2" }, l: secret(["1", "2"]) });
    });

    it("takes no notice of what only the server writes, and of nulls", () => {
        const object = {
            ...pod({ nodeName: null }),
            metadata: { name: "web", uid: "1", resourceVersion: "2" },
        };
        assert.deepEqual(normalize(object), {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name: "web" },
            spec: {},
        });
    });

    it("writes a definition's extensions with dashes to Kubernetes", () => {
        assert.deepEqual(toObject({ x_kubernetes_list_type: "map" }), { "x-kubernetes-list-type": "map" });
    });
});

void describe("a change of the provider's arguments", () => {
    const kubeconfig = (server: string, user = "u"): string =>
        JSON.stringify({
            "current-context": "c",
            contexts: [{ name: "c", context: { cluster: "k", user } }],
            clusters: [{ name: "k", cluster: { server } }],
            users: [{ name: user, user: { token: "t" } }],
        });

    it("replaces with another cluster, not with other credentials", () => {
        const olds = { kubeconfig: secret(kubeconfig("https://a:1")) };
        assert.deepEqual(diffSettings(olds, { kubeconfig: kubeconfig("https://a:1") }), { changed: false });
        assert.deepEqual(diffSettings(olds, { kubeconfig: kubeconfig("https://a:1", "v") }), {
            changed: true,
            diffs: ["kubeconfig"],
            replaces: [],
        });
        assert.deepEqual(diffSettings(olds, { kubeconfig: kubeconfig("https://b:1") }).replaces, [
            "kubeconfig",
        ]);
        assert.deepEqual(diffSettings(olds, { kubeconfig: unknownSentinel }).replaces, ["kubeconfig"]);
    });

    it("goes by clusterIdentifier where there is one", () => {
        const olds = { kubeconfig: kubeconfig("https://a:1"), clusterIdentifier: "one" };
        const same = diffSettings(olds, { kubeconfig: kubeconfig("https://b:1"), clusterIdentifier: "one" });
        assert.deepEqual(same, { changed: true, diffs: ["kubeconfig"] });
        const other = diffSettings(olds, { kubeconfig: kubeconfig("https://a:1"), clusterIdentifier: "two" });
        assert.deepEqual(other.replaces, ["clusterIdentifier"]);
        assert.deepEqual(
            diffSettings(olds, { kubeconfig: unknownSentinel, clusterIdentifier: "one" }).replaces,
            undefined,
        );
    });
});

void describe("a kubeconfig that is given by its path", () => {
    const content = (server: string): string =>
        JSON.stringify({
            "current-context": "c",
            contexts: [{ name: "c", context: { cluster: "k" } }],
            clusters: [{ name: "k", cluster: { server } }],
        });
    const folder = fs.mkdtempSync(path.join(os.homedir(), ".krustlet-plugin-test-"));
    const [one, two] = ["one", "two"].map((name) => path.join(folder, name));
    fs.writeFileSync(one, content("https://a:1"), { mode: 0o600 });
    fs.writeFileSync(two, content("https://a:1"), { mode: 0o600 });
    after(() => {
        fs.rmSync(folder, { recursive: true });
    });

    it("is read from there, below the home folder too", () => {
        const server = (given: string) => activeCluster(loadKubeconfig(given), {})?.server;
        assert.equal(server(one), "https://a:1");
        assert.equal(server(`~/${path.basename(folder)}/one`), "https://a:1");
        assert.throws(() => loadKubeconfig(path.join(folder, "none")), /neither an existing file nor/);
    });

    it("makes no other cluster of another path", () => {
        assert.deepEqual(diffSettings({ kubeconfig: one }, { kubeconfig: two }).replaces, []);
        fs.writeFileSync(two, content("https://b:1"));
        assert.deepEqual(diffSettings({ kubeconfig: one }, { kubeconfig: two }).replaces, ["kubeconfig"]);
    });

    it("must be there where it is compared, the old one too", () => {
        const [olds, news] = [path.join(folder, "none"), one].map((kubeconfig) => ({
            kubeconfig,
            clusterIdentifier: "same",
        }));
        assert.throws(() => diffSettings(olds, news), /^Error: failed to parse kubeconfig: /);
        assert.deepEqual(diffSettings(olds, olds), { changed: false });
    });
});

void describe("waiting", () => {
    const status = (...conditions: Props[]): Props => ({ ...pod({}), status: { conditions } });

    it("takes its limit from the resource, then its annotation, then ten minutes", () => {
        const annotated = { metadata: { annotations: { "pulumi.com/timeoutSeconds": "30" } } };
        assert.equal(timeoutMs(5, annotated), 5_000);
        assert.equal(timeoutMs(0, annotated), 30_000);
        assert.equal(timeoutMs(0, {}), 600_000);
    });

    it("follows a pod through its conditions", () => {
        const scheduled = { type: "PodScheduled", status: "True" };
        const initialized = { type: "Initialized", status: "True" };
        assert.equal(checkPod(status()).waitingFor, 'Waiting for Pod "web" to be scheduled');
        assert.equal(checkPod(status(scheduled)).waitingFor, 'Waiting for Pod "web" to be initialized');
        assert.equal(
            checkPod(status(scheduled, initialized)).waitingFor,
            'Waiting for Pod "web" to be ready',
        );
        assert.equal(checkPod(status(scheduled, initialized, { type: "Ready", status: "True" })).ready, true);
        const done = status(scheduled, initialized, {
            type: "Ready",
            status: "False",
            reason: "PodCompleted",
        });
        assert.equal(
            checkPod({ ...done, status: { ...(done.status as Props), phase: "Succeeded" } }).ready,
            true,
        );
    });

    it("tells what a container suffers from", () => {
        const conditions: Props[] = [
            { type: "PodScheduled", status: "True" },
            { type: "Initialized", status: "True" },
            {
                type: "Ready",
                status: "False",
                reason: "ContainersNotReady",
                message: "containers with unready status: [a]",
            },
        ];
        const containerStatuses: Props[] = [
            {
                name: "a",
                ready: false,
                state: { waiting: { reason: "ErrImagePull", message: "no such image" } },
            },
            { name: "b", ready: false, state: { terminated: { reason: "Error", exitCode: 3 } } },
        ];
        assert.equal(
            checkPod({ ...pod({}), status: { conditions, containerStatuses } }).problem,
            "[Pod web]: containers with unready status: [a][ErrImagePull] no such image\n" +
                'container "b" completed with exit code 3',
        );
    });

    it("knows an owner by its uid", () => {
        const owned = { metadata: { ownerReferences: [{ uid: "1" }] } };
        assert.equal(isOwnedBy(owned, { metadata: { uid: "1" } }), true);
        assert.equal(isOwnedBy(owned, { metadata: {} }), false);
    });
});
