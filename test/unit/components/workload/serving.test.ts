/** Workloads that answer requests: their port, their probes and their Service. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import {
    WasmDeployment,
    WasmStack,
    type WasmDeploymentArgs,
    type WasmServiceArgs,
    type WasmStackWorkloadArgs,
} from "../../../../components";
import { labelOf } from "../../../../components/options";
import { addressed, stackServingProblems } from "../../../../components/workload/serving/stackServing";
import type { AwaitedService } from "../../../../steps/contract";
import { commandInputs, imageReference as image, inCluster, notUndone, steps } from "../fixtures";
import { record, type Recording } from "../mocks";
import {
    annotations,
    kubeconfigFile,
    lostAnnotation,
    parentOf,
    plain,
    provider,
    serviceAnnotations,
    template,
    workload,
} from "./workloadUnderTest";

const ports = [{ containerPort: 8080 }];

/** What is waited for of its Service. */
function awaited(resources: Recording["resources"]): { service: AwaitedService } {
    return JSON.parse(String(resources["w-ready"].inputs.stdin)) as { service: AwaitedService };
}

interface Template {
    spec: { containers: Record<string, unknown>[]; terminationGracePeriodSeconds: number };
}
interface Spec {
    strategy?: object;
    template: Template;
}

test("a program that listens itself is probed by a connection", async () => {
    const { resources } = await record({ steps }, () => {
        const ports = [{ containerPort: 7000 }];
        const probes = { readiness: { tcpSocket: {}, periodSeconds: 1 } };
        new WasmDeployment("w", { image, kubeconfigFile, ports, probes }, inCluster());
    });
    const { spec } = resources["w-deployment"].inputs as unknown as { spec: Spec };
    const [{ readinessProbe }] = plain(spec.template.spec.containers) as [{ readinessProbe: object }];
    assert.deepEqual(readinessProbe, { periodSeconds: 1, tcpSocket: { port: 7000 } });
});

test("every argument reaches the pod and the Service", async () => {
    const { resources, result } = await record({ steps }, () => {
        const args: WasmDeploymentArgs = {
            image,
            kubeconfigFile,
            appName: "hello",
            namespace: "apps",
            labels: { tier: "front" },
            ports: [{ containerPort: pulumi.output(8080), name: "http" }],
            probes: {
                startup: { httpGet: {}, failureThreshold: 30, periodSeconds: 1 },
                readiness: { httpGet: { path: "/ready?now" }, successThreshold: 2, initialDelaySeconds: 1 },
                liveness: {
                    grpc: { service: "shop.Cart" },
                    timeoutSeconds: pulumi.output(3),
                    terminationGracePeriodSeconds: 5,
                },
            },
            service: { name: "web", type: "NodePort", port: pulumi.output(80), nodePort: 30080 },
        };
        const { serviceName, url } = new WasmDeployment("w", args, inCluster());
        return { serviceName, url };
    });
    const { spec } = resources["w-deployment"].inputs as unknown as { spec: Spec };
    assert.deepEqual(plain(spec.template.spec.containers), [
        {
            name: "hello",
            image,
            ports: [{ name: "http", containerPort: 8080, hostPort: 8080 }],
            startupProbe: { failureThreshold: 30, periodSeconds: 1, httpGet: { path: "/", port: 8080 } },
            readinessProbe: {
                successThreshold: 2,
                initialDelaySeconds: 1,
                httpGet: { path: "/ready?now", port: 8080 },
            },
            livenessProbe: {
                timeoutSeconds: 3,
                terminationGracePeriodSeconds: 5,
                grpc: { service: "shop.Cart", port: 8080 },
            },
        },
    ]);
    assert.deepEqual(resources["w-service"], {
        type: "kubernetes:core/v1:Service",
        parent: parentOf("Deployment"),
        inputs: {
            apiVersion: "v1",
            kind: "Service",
            metadata: {
                name: "web",
                namespace: "apps",
                labels: { app: "hello", tier: "front" },
                annotations: serviceAnnotations,
            },
            spec: {
                type: "NodePort",
                selector: { app: "hello" },
                ports: [{ port: 80, targetPort: 8080, protocol: "TCP", nodePort: 30080 }],
            },
        },
        options: {
            provider,
            replaceOnChanges: [lostAnnotation],
            // The provider would delete by the name.
            retainOnDelete: true,
            dependsOn: ["command:local:Command::w-service-claim"],
            // It is the same one when what it leads to becomes one of another kind.
            formerParents: ["Pod", "DaemonSet"].map(parentOf),
        },
    });
    const { stdin, ...how } = resources["w-service-claim"].inputs;
    assert.deepEqual(how, {
        ...commandInputs("claimObject", "deleteObject"),
        triggers: [kubeconfigFile, "apps", "web"],
    });
    assert.deepEqual(JSON.parse(String(stdin)), {
        ...{ kubeconfigFile, namespace: "apps", name: "web", app: "hello", resource: "w-ready" },
        ...{ kind: "Service", label: labelOf("kubernetes:core/v1:Service", "w-service") },
        owner: "project/stack/0123456789abcdef",
    });
    const { options, parent } = resources["w-service-claim"];
    assert.equal(parent, parentOf("Deployment"));
    assert.deepEqual(options, { ...notUndone, formerParents: ["Pod", "DaemonSet"].map(parentOf) });
    assert.deepEqual(result, { serviceName: "web", url: "http://web.apps.svc:80" });
});

test("a Service of defaults has the name and the port of what it leads to", async () => {
    const { resources } = await workload("Pod", { ports, service: {} });
    const { metadata, spec } = resources["w-service"].inputs as { metadata: { name: string }; spec: object };
    assert.equal(metadata.name, "w");
    assert.deepEqual(spec, {
        type: "ClusterIP",
        selector: { app: "w" },
        ports: [{ port: 8080, targetPort: 8080, protocol: "TCP" }],
    });
});

test("there is no Service where none is asked for, and nothing is told of one", async () => {
    const { resources, result } = await record({ steps }, () => {
        const { serviceName, url } = new WasmDeployment("w", { image, kubeconfigFile, ports }, inCluster());
        return { serviceName, url };
    });
    assert.deepEqual(Object.keys(resources).sort(), ["other-provider", "w", "w-deployment", "w-ready"]);
    assert.deepEqual(result, { serviceName: undefined, url: undefined });
});

test("what a look has found of a Service is in it alone, and in what waits for both", async () => {
    const observeService = { lost: "it is gone", because: "it was changed" };
    const { resources, invokes } = await record(
        { steps: { ...steps, observeService } },
        () => new WasmDeployment("w", { image, kubeconfigFile, ports, service: { port: 80 } }, inCluster()),
    );
    const { annotations: of } = resources["w-service"].inputs.metadata as { annotations: object };
    const found = { "krustlet-stack/lost": "it is gone", "krustlet-stack/because": "it was changed" };
    assert.deepEqual(of, { ...serviceAnnotations, ...found, "pulumi.com/patchForce": "true" });
    const { metadata } = resources["w-deployment"].inputs as { metadata: { annotations: object } };
    assert.deepEqual(metadata.annotations, annotations);
    const { service } = awaited(resources);
    assert.deepEqual(service, {
        ...{ name: "w", uid: "object-uid", applied: service.applied },
        ...observeService,
    });
    const look = invokes.find(({ command }) => String(command).endsWith("observeService"));
    assert.deepEqual(look?.input, {
        ...{ resource: "w-ready", kubeconfigFile, namespace: "default", name: "w" },
        ...{ kind: "Service", label: labelOf("kubernetes:core/v1:Service", "w-service"), app: "w" },
        owner: "project/stack/0123456789abcdef",
    });
});

test("any change of a Service is waited for", async () => {
    const applied = async (service: WasmServiceArgs, labels?: Record<string, string>) =>
        awaited((await workload("Pod", { ports, service, labels })).resources).service.applied;
    const all = [
        await applied({}),
        await applied({ name: "x" }),
        await applied({ port: 80 }),
        await applied({ type: "NodePort" }),
        await applied({ type: "NodePort", nodePort: 30080 }),
        await applied({}, { tier: "front" }),
    ];
    assert.equal(new Set(all).size, all.length);
    assert.equal(await applied({ port: pulumi.output(8080) }), all[0]);
});

test("whose a Service's name is, is seen by the cluster's kubeconfig, whether it is waited for or not", async () => {
    const serving = (args: Partial<WasmDeploymentArgs>) =>
        record({ steps }, () => new WasmDeployment("w", { image, ports, service: {}, ...args }, inCluster()));
    await assert.rejects(
        serving({ wait: false }),
        /kubeconfigFile: is missing, and by it is seen whose the Service's name is/,
    );
    const { resources } = await serving({ wait: false, kubeconfigFile });
    assert.equal(resources["w-service"].options.retainOnDelete, true);
    assert.equal(resources["w-ready"], undefined);
});

test("what takes another's port comes when that has gone, and requests under way have time to end", async () => {
    for (const kind of ["Pod", "Deployment", "DaemonSet"] as const) {
        const { resources } = await workload(kind, { ports });
        const { inputs, options } = resources[`w-${kind.toLowerCase()}`];
        assert.equal(options.deleteBeforeReplace, true, kind);
        const { alone } = JSON.parse(String(resources["w-ready"].inputs.stdin)) as { alone: unknown };
        assert.equal(alone, true, kind);
        const { spec } = inputs as unknown as { spec: Template["spec"] & Spec };
        const pod = kind === "Pod" ? spec : spec.template.spec;
        assert.equal(pod.terminationGracePeriodSeconds, 30, kind);
    }
    const { resources } = await workload("Pod", { ports, terminationGracePeriodSeconds: 3 });
    const { spec } = resources["w-pod"].inputs as unknown as { spec: Template["spec"] };
    assert.equal(spec.terminationGracePeriodSeconds, 3);
    const none = await workload("Deployment", { ports: [] });
    assert.equal(none.resources["w-deployment"].options.deleteBeforeReplace, undefined);
    assert.doesNotMatch(String(none.resources["w-ready"].inputs.stdin), /alone/);
    assert.deepEqual((none.resources["w-deployment"].inputs.spec as Spec).template, template("Always"));
});

test("a deployment with a port rolls out with the old pod first, unless it is told otherwise", async () => {
    const strategy = async (args: Record<string, unknown>) => {
        const { resources } = await workload("Deployment", args);
        return (resources["w-deployment"].inputs.spec as Spec).strategy;
    };
    const rolling = (rollingUpdate: object) => ({ type: "RollingUpdate", rollingUpdate });
    assert.equal(await strategy({}), undefined);
    assert.deepEqual(await strategy({ ports }), rolling({ maxSurge: 0, maxUnavailable: 1 }));
    const surge = { maxSurge: pulumi.output(1), maxUnavailable: 0 };
    const told = await strategy({ ports, rollingUpdate: surge });
    assert.deepEqual(told, rolling({ maxSurge: 1, maxUnavailable: 0 }));
    assert.deepEqual(
        await strategy({ rollingUpdate: { maxUnavailable: 0 } }),
        rolling({ maxUnavailable: 0 }),
    );
});

test("a pod that has an address of its own holds no port of its node, and new ones come first", async () => {
    for (const kind of ["Pod", "Deployment", "DaemonSet"] as const) {
        const { resources } = await workload(kind, { ports, podAddresses: true });
        const { inputs, options } = resources[`w-${kind.toLowerCase()}`];
        assert.equal(options.deleteBeforeReplace, undefined, kind);
        assert.doesNotMatch(String(resources["w-ready"].inputs.stdin), /alone/, kind);
        const { spec } = inputs as unknown as { spec: Template["spec"] & Spec };
        assert.equal(spec.strategy, undefined, kind);
        const pod = kind === "Pod" ? spec : spec.template.spec;
        assert.deepEqual(plain(pod.containers[0].ports), ports, kind);
        assert.equal(pod.terminationGracePeriodSeconds, 30, kind);
    }
    await workload("Deployment", { ports, podAddresses: true, replicas: 3, node: "a" });
    await workload("Deployment", { ports, podAddresses: true, rollingUpdate: { maxUnavailable: 0 } });
});

const boxed = (name: string, podAddresses?: boolean) => ({
    name,
    runtime: "container" as const,
    podAddresses,
});
const addresses: [title: string, nodes: object[], given: object, told: boolean | undefined][] = [
    ["all nodes in containers", [boxed("a"), boxed("b")], {}, true],
    ["one of two nodes a process", [boxed("a"), { name: "b" }], {}, false],
    ["the node that it names in a container", [boxed("a"), { name: "b" }], { node: "a" }, true],
    ["the first node in a container, where a Pod stays", [boxed("a"), { name: "b" }], { kind: "Pod" }, true],
    ["nodes that are told not to", [boxed("a", false)], {}, false],
    ["it says so itself", [{ name: "a" }], { podAddresses: true }, true],
    ["it says no itself", [boxed("a")], { podAddresses: false }, false],
    ["no port", [boxed("a")], { ports: undefined }, undefined],
    ["no node", [], {}, false],
];

for (const [title, nodes, given, told] of addresses) {
    test(`a stack knows whether pods have addresses: ${title}`, () => {
        const args = { name: "w", kind: "Deployment" as const, ports, ...given };
        assert.equal(addressed<WasmStackWorkloadArgs>(args, nodes).podAddresses, told);
    });
}

test("where pods have addresses any number of them, and of workloads, may have one port", () => {
    const found = (nodes: object[]) => {
        const kind = "Deployment" as const;
        const all = [{ ports, kind, replicas: 3 }, { ports, kind, node: "a", replicas: 2 }, { ports }];
        const workloads = all.map((one) => addressed(one, nodes));
        return stackServingProblems(workloads, nodes, true);
    };
    assert.deepEqual(found([boxed("a")]), []);
    assert.equal(found([{ name: "a" }]).length, 2);
    const told = [{ ports, podAddresses: true }] as WasmStackWorkloadArgs[];
    assert.deepEqual(stackServingProblems(told, [boxed("a")], true), []);
    for (const node of [{ name: "a" }, boxed("a", false)]) {
        const [{ path, message }] = stackServingProblems(told, [node], false);
        assert.equal(path, "workloads[0].podAddresses");
        assert.match(message, /^counts on addresses that node "a" does not give its pods: /);
    }
});

test("a deployment that may run on others' nodes may have a port that is another's on the stack's own", () => {
    const workloads = [{ ports }, { ports, kind: "Deployment" as const }] as WasmStackWorkloadArgs[];
    const found = (closed: boolean) => stackServingProblems(workloads, [{ name: "a" }], closed);
    assert.deepEqual(
        found(true).map(({ path }) => path),
        ["workloads[1].ports[0].containerPort"],
    );
    assert.deepEqual(found(false), []);
});

test("a stack tells of its Services, and its nodes in containers have addresses for any number of pods", async () => {
    const source = "workloads/hello-http";
    const launchNode = { ...(steps.launchNode as object), nodeIp: "172.18.0.3" };
    const { result } = await record({ steps: { ...steps, launchNode } }, () => {
        const nodes = ["a", "b"].map((name) => ({ name, runtime: "container" as const }));
        const web = { name: "web", source, kind: "Deployment" as const, replicas: 3, ports };
        const beside = { ...web, name: "beside" };
        const workloads = [{ ...web, service: { port: 80 } }, beside];
        return new WasmStack("s", { nodes, workloads }).workloads;
    });
    const told = { kind: "Deployment", name: "auto-named", namespace: "default" };
    const logsCommand = "kubectl logs --namespace default deployment/auto-named";
    assert.deepEqual(result, {
        web: { ...told, logsCommand, serviceName: "web", url: "http://web.default.svc:80" },
        beside: { ...told, logsCommand },
    });
});

test("a stack's Service is at this host's port, where the cluster has that listen for its own", async () => {
    const source = "workloads/hello-http";
    const nodePort = (port: number) => ({ type: "NodePort" as const, nodePort: port });
    const { result } = await record({ steps }, () => {
        const at = (name: string, containerPort: number, service: WasmServiceArgs) => ({
            ...{ name, source, ports: [{ containerPort }], service },
        });
        const portMappings = [
            { containerPort: 30080, hostPort: 8080, protocol: "UDP" as const },
            { containerPort: 30080, hostPort: 8081 },
            { containerPort: 30082, hostPort: 8082, listenAddress: pulumi.output("192.0.2.1") },
            { containerPort: 31000, hostPort: 8083 },
        ];
        const workloads = [
            at("here", 8080, nodePort(30080)),
            at("there", 8081, nodePort(30082)),
            at("elsewhere", 8082, nodePort(30083)),
            at("chosen", 8083, { type: "NodePort" }),
            at("inside", 8084, {}),
        ];
        return new WasmStack("s", { cluster: { portMappings }, workloads }).workloads;
    });
    assert.deepEqual(
        Object.values(result).map(({ url }) => url),
        [
            ...["http://localhost:8081", "http://192.0.2.1:8082", "http://elsewhere.default.svc:8082"],
            ...["http://localhost:8083", "http://inside.default.svc:8084"],
        ],
    );
});
