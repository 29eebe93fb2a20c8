/** A stack of several nodes and workloads. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { WasmStack, type WasmStackArgs } from "../../../../components";
import { imageReference, steps } from "../fixtures";
import { record } from "../mocks";
import { command, hello, input } from "./parts";

test("two nodes and three workloads", async () => {
    const args: WasmStackArgs = {
        cluster: { name: "two", waitSeconds: 99 },
        registry: { port: 5002, containerName: "reg" },
        nodes: [
            { name: "one", port: 3001, labels: { zone: "a" } },
            {
                name: "two",
                port: 3002,
                ip: "10.0.0.9",
                maxPods: 7,
                allowedHostPaths: ["/srv/data"],
                stateDir: "/srv/two",
                program: "/opt/agent",
            },
        ],
        workloads: [
            { ...hello, kind: "Job", node: "two", args: ["x"], env: { A: "b" }, restartPolicy: "Never" },
            {
                name: "file",
                file: "x.wasm",
                repository: "demo/file",
                tag: "v2",
                kind: "Deployment",
                replicas: 2,
            },
            { name: "ready", image: imageReference, namespace: "apps" },
        ],
    };
    const { resources } = await record({ steps }, () => new WasmStack("s", args).nodeNames);
    assert.equal(input(resources["s-cluster-kind"]).waitSeconds, 99);
    assert.deepEqual(
        ["s-one-agent", "s-two-agent"].map((name) => {
            const { nodeName, port, labels, nodeIp, maxPods, allowedHostPaths, ...rest } = input(
                resources[name],
            );
            const { stateDir, program, insecureRegistries } = rest;
            return {
                ...{ nodeName, port, labels, nodeIp, maxPods, allowedHostPaths },
                ...{ stateDir, program, insecureRegistries },
            };
        }),
        [
            {
                nodeName: "one",
                port: 3001,
                labels: { zone: "a" },
                nodeIp: "172.18.0.1",
                maxPods: 110,
                allowedHostPaths: undefined,
                stateDir: "~/.local/state/krustlet-stack/nodes/project-stack-one",
                program: "krustlet-wasi",
                insecureRegistries: ["localhost:5002"],
            },
            {
                nodeName: "two",
                port: 3002,
                labels: {},
                nodeIp: "10.0.0.9",
                maxPods: 7,
                allowedHostPaths: ["/srv/data"],
                stateDir: "/srv/two",
                program: "/opt/agent",
                insecureRegistries: ["localhost:5002"],
            },
        ],
    );
    const job = resources["s-hello-wasm-job"];
    const { nodeSelector } = (job.inputs.spec as { template: { spec: { nodeSelector: unknown } } }).template
        .spec;
    assert.deepEqual(nodeSelector, {
        "kubernetes.io/arch": "wasm32-wasi",
        "kubernetes.io/hostname": "two",
    });
    assert.ok(!job.options.dependsOn?.includes(command("s-one-agent")), "it waits for its own node alone");
    const deployment = resources["s-file-deployment"];
    assert.equal((deployment.inputs.spec as { replicas: number }).replicas, 2);
    assert.ok(
        deployment.options.dependsOn?.includes(command("s-one-ready")),
        "it waits for all it may run on",
    );
    assert.ok(deployment.options.dependsOn?.includes(command("s-two-ready")));
    assert.equal(input(resources["s-file-artifact-push"]).reference, "localhost:5001/demo/file:v2");
    assert.equal("s-ready-artifact" in resources, false, "an image by digest is taken as it is");
    assert.deepEqual(resources["s-ready-pod"].inputs.metadata, {
        namespace: "apps",
        labels: { app: "ready" },
        annotations: { "pulumi.com/waitFor": "jsonpath={.metadata.uid}" },
    });
});

test("nodes in containers: of one port, on the cluster's network, and with the registry under its own name there", async () => {
    const args: WasmStackArgs = {
        nodes: [
            { name: "one", runtime: "container" },
            { name: "two", runtime: "container" },
            { name: "three", runtime: "process" },
        ],
    };
    const launchNode = { ...(steps.launchNode as object), nodeIp: "172.18.0.3" };
    const { resources, invokes } = await record({ steps: { ...steps, launchNode } }, () => {
        return new WasmStack("s", args).nodeNames;
    });
    const registryMirrors = { "localhost:5001": "project-stack-registry:5000" };
    for (const [name, network, nodeIp, mirrors] of [
        ["one", "kind", undefined, registryMirrors],
        ["two", "kind", undefined, registryMirrors],
        ["three", undefined, "172.18.0.1", undefined],
    ] as const) {
        const given = input(resources[`s-${name}-agent`]);
        assert.deepEqual([given.network, given.nodeIp, given.registryMirrors], [network, nodeIp, mirrors]);
        assert.equal(given.port, 3000);
    }
    const preflight = invokes.find((one) => one.command === "host/preflight");
    assert.deepEqual(
        (preflight?.input as { nodes: { runtime?: string }[] }).nodes.map(({ runtime }) => runtime),
        ["container", "container", undefined],
    );
});
