/** Configuration, and the arguments that it becomes. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import {
    CLUSTER_NAME,
    NODE_IMAGE,
    NODE_NAME,
    REGISTRY_IMAGE,
    REGISTRY_PORT,
    RUNTIME_CLASS,
} from "../../../../components/defaults";
import { WasmStack } from "../../../../components";
import { configKeys, stackArgs } from "../../../../components/stack/stackConfig";
import * as versions from "../../../../common/versions";
import { steps } from "../fixtures";
import { areSecret, record } from "../mocks";
import { declared, defaults, read, texts, yaml } from "./configUnderTest";
import { hello } from "./parts";

test("Pulumi.yaml declares every key, with a type, a default and a description", () => {
    assert.deepEqual(Object.keys(declared).sort(), Object.keys(configKeys).sort());
    for (const [key, { type, default: value, description }] of Object.entries(declared)) {
        assert.ok(["string", "integer", "boolean", "array"].includes(type), key);
        assert.notEqual(value, undefined, key);
        assert.ok(description.length > 20, key);
    }
});

test("defaults agree wherever they stand", () => {
    assert.equal(NODE_IMAGE, `${versions.NODE_IMAGE.name}:${versions.NODE_IMAGE.tag}`);
    assert.equal(REGISTRY_IMAGE, `${versions.REGISTRY_IMAGE.name}:${versions.REGISTRY_IMAGE.tag}`);
    assert.equal(defaults.clusterImage, NODE_IMAGE);
    assert.equal(defaults.registryImage, REGISTRY_IMAGE);
    assert.equal(defaults.registryPort, REGISTRY_PORT);
    assert.equal(defaults.clusterName, CLUSTER_NAME);
    assert.equal(defaults.runtimeClassName, RUNTIME_CLASS);
    assert.deepEqual(defaults.nodes, [{ name: NODE_NAME }]);
});

test("the defaults alone are a stack", () => {
    assert.deepEqual(read({}), {
        cluster: { name: "krustlet", image: NODE_IMAGE, waitSeconds: 180, verifyKubelets: true },
        registry: { port: 5001, image: "registry:3.1.2", keepData: false },
        runtimeClass: { name: "krustlet-wasi", shared: false },
        nodes: [{ name: "krustlet" }],
        workloads: [],
    });
});

test("the dev stack is the walk-through", () => {
    const config = yaml("Pulumi.dev.yaml").config as Record<string, unknown>;
    const own = Object.entries(config).map(([key, value]) => [key.replace(/^krustlet-stack:/, ""), value]);
    assert.deepEqual(read(Object.fromEntries(own) as Record<string, unknown>), {
        cluster: { name: "krustlet", image: NODE_IMAGE, waitSeconds: 180, verifyKubelets: true },
        registry: { port: 5001, image: "registry:3.1.2", keepData: false },
        runtimeClass: { name: "krustlet-wasi", shared: false },
        nodes: [{ name: "krustlet" }],
        workloads: [hello],
    });
});

test("every key reaches its argument", () => {
    const nodes = [
        {
            name: "a",
            ip: "10.0.0.1",
            port: 3001,
            maxPods: 3,
            labels: { z: "y" },
            allowedHostPaths: ["/srv/data"],
            allowedEgress: ["10.0.0.0/8"],
            wasi03: true,
            otlpEndpoint: "http://localhost:4318",
            otlpSamplingRatio: 0.5,
            stateDir: "/s",
            program: "p",
            certificateDurationSeconds: 86_400,
            certificateRenewalPercent: 50,
        },
    ];
    const workloads = [
        {
            ...hello,
            ...{ repository: "demo/hello", tag: "v1", kind: "Deployment", args: ["a"], replicas: 2 },
            ...{
                namespace: "apps",
                labels: { tier: "front" },
                annotations: { "example.com/owner": "team a" },
                terminationGracePeriodSeconds: 5,
                node: "a",
                env: { RUST_BACKTRACE: 1, ON: true, A: "b" },
                envFrom: [{ configMap: "settings", prefix: "S_" }],
                envValueFrom: [{ name: "P", secret: "keys", key: "p", optional: true }],
                volumes: [
                    { name: "d", mountPath: "/d", hostPath: "/srv/data/d", readOnly: true },
                    { name: "e", mountPath: "/e", emptyDir: { sizeLimit: "1Mi" } },
                ],
                limits: { cpu: 1, memory: "64Mi" },
                allowedDomains: ["https://catfact.ninja"],
                maxConcurrentRequests: 42,
                imagePullSecrets: ["ghcr"],
                waitTimeoutSeconds: 60,
            },
        },
    ];
    assert.deepEqual(
        read({
            clusterName: "two",
            clusterImage: "kindest/node:v1.35.4",
            clusterWaitSeconds: 60,
            mergeKubeconfigFile: "~/.kube/config",
            verifyKubelets: false,
            registryAddress: "ghcr.io/you",
            registryPlainHttp: true,
            registryTrustedCaFile: "~/ca.pem",
            registryDockerConfigFile: "~/logins/config.json",
            registryPullSecret: false,
            registryContainerName: "kind-registry",
            runtimeClassName: "wasm",
            runtimeClassShared: false,
            nodes,
            workloads,
        }),
        {
            cluster: {
                name: "two",
                image: "kindest/node:v1.35.4",
                waitSeconds: 60,
                mergeKubeconfigFile: "~/.kube/config",
                verifyKubelets: false,
            },
            registry: {
                address: "ghcr.io/you",
                plainHttp: true,
                trustedCaFile: "~/ca.pem",
                dockerConfigFile: "~/logins/config.json",
                pullSecret: false,
                containerName: "kind-registry",
            },
            runtimeClass: { name: "wasm", shared: false },
            nodes,
            workloads: [
                {
                    ...workloads[0],
                    env: { RUST_BACKTRACE: "1", ON: "true", A: "b" },
                    limits: { cpu: "1", memory: "64Mi" },
                },
            ],
        },
    );
});

test("another home folder for the kubeconfig and the nodes, but for those that have their own", async () => {
    const { cluster, nodes } = stackArgs({
        values: texts({ nodes: [{ name: "a" }, { name: "b", port: 3001, stateDir: "/srv/b" }] }),
        secretKeys: [],
        home: "/tmp/home",
    });
    const { result } = await record({ steps }, () => cluster?.kubeconfigFile);
    assert.equal(result, "/tmp/home/kubeconfig/project-stack-krustlet");
    const folder = `/tmp/home/nodes/${pulumi.getProject()}-${pulumi.getStack()}-a`;
    assert.deepEqual(nodes, [
        { name: "a", stateDir: folder },
        { name: "b", port: 3001, stateDir: "/srv/b" },
    ]);
});

test("with a secret anywhere in workloads, all that a program gets is secret; what it is called by is not", async () => {
    const given = {
        ...{ args: ["--token", "s3cret-arg"], env: { TOKEN: "s3cret-env" } },
        ...{ labels: { tier: "s3cret-label" }, annotations: { note: "s3cret-note" } },
        envFrom: [{ secret: "s3cret-from", prefix: "S3CRET_" }],
        envValueFrom: [{ name: "S3CRET_NAME", secret: "s3cret-value", key: "s3cret-key" }],
        volumes: [{ name: "s3cret-volume", mountPath: "/s3cret", configMap: "s3cret-map" }],
        ...{ limits: { memory: "64Mi" }, allowedDomains: ["https://s3cret.example"] },
        ...{ imagePullSecrets: ["s3cret-pull"], maxConcurrentRequests: 3 },
    };
    const values = texts({ workloads: [{ ...hello, ...given, namespace: "apps" }] });
    const { resources, result } = await record({ steps }, () => {
        const { workloads, kubeconfigFile } = new WasmStack(
            "s",
            stackArgs({ values, secretKeys: ["workloads"] }),
        );
        return { workloads, secret: areSecret({ workloads, kubeconfigFile }) };
    });
    const inTheClear = (value: unknown): string[] => {
        if (typeof value !== "object" || value === null)
            return /s3cret/i.exec(String(value)) ? [String(value)] : [];
        if ("secret" in value && Object.keys(value).length === 1) return [];
        return Object.values(value).flatMap(inTheClear);
    };
    const found = Object.values(resources).flatMap(({ inputs }) => inTheClear(inputs));
    assert.deepEqual(found, []);
    assert.ok(JSON.stringify(resources["s-hello-wasm-pod"].inputs).includes("s3cret-arg"), "it is there");
    assert.deepEqual(result.secret, { workloads: false, kubeconfigFile: false });
    assert.deepEqual(result.workloads, {
        "hello-wasm": {
            kind: "Pod",
            name: "auto-named",
            namespace: "apps",
            logsCommand: "kubectl logs --namespace apps pod/auto-named",
        },
    });
});
