// What docs/providers.md says of the plugin kubernetes: waiting, objects and fields of others, a cluster that does not answer.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { given, makeProject, type Project } from "./project";

const program = `
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

const config = new pulumi.Config();
const provider = new k8s.Provider("cluster", {
    kubeconfig: config.requireSecret("kubeconfig"),
    clusterIdentifier: "test",
    // Else one whose data changes is replaced.
    enableConfigMapMutable: true,
});
const namespace = config.require("namespace");
const annotations = config.getBoolean("force") ? { "pulumi.com/patchForce": "true" } : undefined;
new k8s.core.v1.ConfigMap("settings", { metadata: { name: "settings", namespace, annotations }, data: { a: config.require("a") } }, { provider });
if (config.getBoolean("pod")) {
    // Nobody sets the gate's end, so it is never scheduled.
    const spec = { schedulingGates: [{ name: "example.com/never" }], containers: [{ name: "main", image: "none" }] };
    new k8s.core.v1.Pod("waiting", { metadata: { name: "waiting", namespace }, spec }, { provider, customTimeouts: { create: "5s" } });
}
`;

const namespace = `plugins-kubernetes-${process.pid}`;
let project: Project;
let kubeconfig: string;

const up = (...args: string[]) => project.pulumi("up", "--yes", "--skip-preview", ...args);
const failedUp = (...args: string[]) => project.failure("up", "--yes", "--skip-preview", ...args);
const kubectl = (...args: string[]) =>
    project.run(
        "kubectl",
        `--kubeconfig=${given("KRUSTLET_TEST_KUBECONFIG")}`,
        `--namespace=${namespace}`,
        ...args,
    );
const setting = () => kubectl("get", "configmap", "settings", "--output=jsonpath={.data}");

before(async () => {
    kubeconfig = readFileSync(given("KRUSTLET_TEST_KUBECONFIG"), "utf8");
    project = await makeProject("plugins-kubernetes", program, {
        plain: { a: "one", namespace },
        secret: { kubeconfig },
    });
    await kubectl("create", "namespace", namespace);
});

after(async () => {
    await kubectl("delete", "namespace", namespace);
    await project.remove();
});

void describe("the plugin kubernetes", () => {
    it("takes an object that is there when it creates one of that name", async () => {
        await kubectl("create", "configmap", "settings", "--from-literal=b=theirs");
        assert.match(await up(), /\+ 3 created/);
        assert.deepEqual(JSON.parse(await setting()), { a: "one", b: "theirs" });
    });

    it("refuses a field that somebody else has set, and names them", async () => {
        await kubectl(
            "patch",
            "configmap",
            "settings",
            '--patch={"data":{"a":"theirs"}}',
            "--field-manager=them",
        );
        assert.match(await failedUp("--config=a=two"), /conflict with "them".*\.data\.a/s);
        assert.deepEqual(JSON.parse(await setting()), { a: "theirs", b: "theirs" });
    });

    it("takes such a field where pulumi.com/patchForce says so, and what kubectl has set goes", async () => {
        assert.match(await up("--config=force=true"), /~ 1 updated/);
        assert.deepEqual(JSON.parse(await setting()), { a: "two" });
    });

    it("fails for a pod that is not ready in time, keeps it, and can delete it", async () => {
        assert.match(
            await failedUp("--config=pod=true"),
            /waiting" was successfully created, but .*'waiting' timed out waiting/s,
        );
        assert.equal(await kubectl("get", "pod", "waiting", "--output=name"), "pod/waiting\n");
        assert.match(await up("--config=pod=false"), /- 1 deleted/);
        await assert.rejects(kubectl("get", "pod", "waiting"), /NotFound/);
    });

    it("does not take a cluster that does not answer for an empty one, unless it is told to", async () => {
        const nowhere = kubeconfig.replace(/server: .*/, "server: https://127.0.0.1:1");
        await project.pulumi("config", "set", "--secret", "kubeconfig", nowhere);
        assert.match(await failedUp("--config=a=three"), /unreachable/);
        // A refresh looks with the provider that is recorded: that of the former configuration, so this one takes the program's.
        const refresh = ["refresh", "--yes", "--skip-preview", "--run-program"];
        assert.match(await project.failure(...refresh), /unreachable cluster/);
        project.env.PULUMI_K8S_DELETE_UNREACHABLE = "true";
        assert.match(await project.pulumi(...refresh), /- 1 deleted/);
        delete project.env.PULUMI_K8S_DELETE_UNREACHABLE;
        await project.pulumi("config", "set", "--secret", "kubeconfig", kubeconfig);
        assert.match(await up(), /\+ 1 created/);
        assert.deepEqual(JSON.parse(await setting()), { a: "three" });
    });
});
