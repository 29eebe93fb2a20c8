import assert from "node:assert/strict";
import { test } from "node:test";
import { WasmCronJob, WasmDeployment, WasmJob, WasmPod, type WorkloadKind } from "../../../../components";
import { imageReference as image, inCluster, steps } from "../fixtures";
import { record } from "../mocks";
import { ofKind } from "./ofKind";

const refused: [string, { kind?: WorkloadKind } & Record<string, unknown>, string][] = [
    [
        "an image by tag",
        { image: "localhost:5001/hello:v1" },
        'image: must be a reference by digest (for example "ghcr.io/you/hello-wasm@sha256:…", 64 hex digits), not "localhost:5001/hello:v1"',
    ],
    ["no image", { image: undefined }, "image: is missing; for example artifact.reference"],
    ["replicas of a pod", { replicas: 2 }, "replicas: only a Deployment has it, not a Pod"],
    ["a pod that is autoscaled", { autoscaled: true }, "autoscaled: only a Deployment has it, not a Pod"],
    [
        "two who say how many pods there are",
        { kind: "Deployment", autoscaled: true, replicas: 2 },
        "replicas: is the autoscaler's to say (minReplicas, maxReplicas); leave it out, or autoscaled",
    ],
    [
        "a deployment that ends",
        { kind: "Deployment", restartPolicy: "Never" },
        "restartPolicy: only a Pod, Job, CronJob has it, not a Deployment",
    ],
    [
        "a job that never ends",
        { kind: "Job", restartPolicy: "Always" },
        'restartPolicy: must be one of "OnFailure", "Never", not "Always"',
    ],
    [
        "a wait for what comes when it is due",
        { kind: "CronJob", schedule: "@daily", wait: true },
        "wait: only a Pod, Deployment, Job, DaemonSet has it, not a CronJob",
    ],
    [
        "the label that the pods are found by",
        { labels: { app: "other" } },
        "labels.app: is the component's own: the pods are found by it; it is the component's appName, in a stack the workload's name",
    ],
    [
        "an annotation that is an argument",
        { annotations: { "alpha.wasi.krustlet.dev/allowed-domains": "[]" } },
        "annotations.alpha.wasi.krustlet.dev/allowed-domains: is the component's own: give allowedDomains",
    ],
    [
        "an annotation that the wait needs",
        { annotations: { "pulumi.com/waitFor": "condition=Ready" } },
        "annotations.pulumi.com/waitFor: is the component's own: give wait and waitTimeoutSeconds",
    ],
    [
        "an annotation that is no text",
        { annotations: { a: 1 } },
        "annotations.a: must be a text (put it in quotes), not 1",
    ],
    [
        "a name that no label has",
        { labels: { "a b": "c" } },
        'labels: name "a b": must be a label\'s name (for example "example.com/zone"), not "a b"',
    ],
    [
        "no way to wait",
        { kubeconfigFile: undefined },
        "kubeconfigFile: is missing; for example cluster.kubeconfigFile, or set wait to false",
    ],
    [
        "a time for what is not waited for",
        { wait: false, waitTimeoutSeconds: 5 },
        "waitTimeoutSeconds: is for a workload that is waited for; wait is false",
    ],
    [
        "a cron job without a schedule",
        { kind: "CronJob" },
        'schedule: is missing; for example "0 * * * *", each hour',
    ],
    [
        "a schedule of a job",
        { kind: "Job", schedule: "@daily" },
        "schedule: only a CronJob has it, not a Job",
    ],
    ["a limit of tries of a pod", { backoffLimit: 1 }, "backoffLimit: only a Job, CronJob has it, not a Pod"],
    [
        "a deadline of what runs for good",
        { kind: "DaemonSet", activeDeadlineSeconds: 5 },
        "activeDeadlineSeconds: only a Pod, Job, CronJob has it, not a DaemonSet",
    ],
    [
        "a volume of nothing",
        { volumes: [{ name: "v", mountPath: "/v" }] },
        'volumes[0]: exactly one of "configMap", "secret", "emptyDir", "hostPath" is needed; none is given',
    ],
    [
        "a volume of two things",
        { volumes: [{ name: "v", mountPath: "/v", secret: "a", emptyDir: {} }] },
        'volumes[0]: exactly one of "configMap", "secret", "emptyDir", "hostPath" is needed; "secret" and "emptyDir" are given',
    ],
    [
        "a volume without a place",
        { volumes: [{ name: "v", configMap: "a" }] },
        'volumes[0].mountPath: is missing; for example "/etc/settings"',
    ],
    [
        "two volumes in one place",
        {
            volumes: [
                { name: "v", mountPath: "/v", configMap: "a" },
                { name: "w", mountPath: "/v", configMap: "b" },
            ],
        },
        'volumes[1].mountPath: is "/v" again, as volumes[0].mountPath is; give each volume its own',
    ],
    [
        "a way out of a folder",
        { volumes: [{ name: "v", mountPath: "/v", hostPath: "/srv/../etc" }] },
        'volumes[0].hostPath: must be an absolute path without ".." (for example "/srv/data"), not "/srv/../etc"',
    ],
    [
        "a variable from nowhere",
        { envValueFrom: [{ name: "A", key: "a" }] },
        'envValueFrom[0]: exactly one of "configMap", "secret" is needed; none is given',
    ],
    [
        "a variable twice",
        { env: { A: "1" }, envValueFrom: [{ name: "A", secret: "s", key: "a" }] },
        'envValueFrom[0].name: "A" is set by env, too; leave one out',
    ],
    [
        "a thousandth of a byte",
        { limits: { memory: "64m" } },
        'limits.memory: must be a quantity of bytes (for example "64Mi"), not "64m"',
    ],
    [
        "processors in bytes",
        { limits: { cpu: "1Gi" } },
        'limits.cpu: must be a quantity of processors (for example "250m", a quarter of one), not "1Gi"',
    ],
    [
        "a path of an origin",
        { allowedDomains: ["https://catfact.ninja", "https://catfact.ninja/fact"] },
        'allowedDomains[1]: must be an origin; of "https://catfact.ninja/fact": it has a path; give scheme://host or scheme://host:port (for example "https://catfact.ninja")',
    ],
    [
        "a password in an origin, which is not shown",
        { allowedDomains: ["https://me:hunter2@catfact.ninja"] },
        'allowedDomains[0]: must be an origin; of what was given: it has a user name; give scheme://host or scheme://host:port (for example "https://catfact.ninja")',
    ],
    [
        "no requests at all",
        { maxConcurrentRequests: 0 },
        "maxConcurrentRequests: must be a whole number from 1 to 1000, not 0",
    ],
    [
        "a port of what comes to its end",
        { kind: "Job", ports: [{ containerPort: 8080 }] },
        "ports: only a Pod, Deployment, DaemonSet has it, not a Job",
    ],
    [
        "a second port",
        { ports: [{ containerPort: 8080 }, { containerPort: 8081 }] },
        "ports[1]: is one too many: a program answers at one port; leave it out",
    ],
    [
        "a port without a number",
        { ports: [{ name: "http" }] },
        "ports[0].containerPort: is missing; for example 8080",
    ],
    [
        "a port's name that is none",
        { ports: [{ containerPort: 8080, name: "80" }] },
        'ports[0].name: must be a port\'s name of lower-case letters, digits and single "-", a letter among them (for example "http"), not "80"',
    ],
    [
        "a Service of what answers nothing",
        { service: {} },
        "service: needs ports, which say where the program answers; for example [{ containerPort: 8080 }]",
    ],
    [
        "a probe of what answers nothing",
        { ports: [], probes: { liveness: { httpGet: {} } } },
        "probes: needs ports, which say where the program answers; for example [{ containerPort: 8080 }]",
    ],
    [
        "a probe that asks nothing",
        { ports: [{ containerPort: 8080 }], probes: { liveness: { periodSeconds: 1 } } },
        'probes.liveness: exactly one of "httpGet", "grpc", "tcpSocket" is needed; none is given',
    ],
    [
        "what only ends a program of a probe that does not",
        {
            ports: [{ containerPort: 8080 }],
            probes: { readiness: { grpc: {}, terminationGracePeriodSeconds: 3 } },
        },
        "probes.readiness.terminationGracePeriodSeconds: is unknown; there are httpGet, grpc, tcpSocket, initialDelaySeconds, periodSeconds, timeoutSeconds, failureThreshold, successThreshold",
    ],
    [
        "a path that is none",
        { ports: [{ containerPort: 8080 }], probes: { startup: { httpGet: { path: "up" } } } },
        'probes.startup.httpGet.path: must be a path of printable ASCII characters that begins with "/" (for example "/healthz"), not "up"',
    ],
    [
        "a Service's name that no host has",
        { ports: [{ containerPort: 8080 }], service: { name: "1st" } },
        'service.name: must be the name of a Service: lower-case letters, digits and "-", a letter first (for example "hello-http"), not "1st"',
    ],
    [
        "a port of the nodes within the cluster",
        { ports: [{ containerPort: 8080 }], service: { nodePort: 30080 } },
        'service.nodePort: is for a Service of the type "NodePort"; set type to that',
    ],
    [
        "a roll-out of nothing",
        { kind: "Deployment", ports: [{ containerPort: 8080 }], rollingUpdate: { maxUnavailable: 0 } },
        "rollingUpdate: lets no pod come before one has gone, and none go; give maxSurge (which at a port of the node's own needs a node that is free) or maxUnavailable",
    ],
    [
        "several pods at one port of one node",
        { kind: "Deployment", ports: [{ containerPort: 8080 }], replicas: 2, node: "krustlet" },
        'replicas: 2 pods that serve at port 8080 need as many addresses of nodes, and there is 1: each has its node\'s own, and more of them would wait; have fewer, or more nodes for them, or nodes with runtime "container", which give each pod an address',
    ],
    [
        "a roll-out of a pod",
        { rollingUpdate: { maxSurge: 1 } },
        "rollingUpdate: only a Deployment has it, not a Pod",
    ],
    ["an environment of numbers", { env: { N: 1 } }, "env.N: must be a text (put it in quotes), not 1"],
];
for (const [what, { kind = "Pod", ...args }, problem] of refused) {
    test(`refused: ${what}`, async () => {
        await record({ steps }, () => {
            const message = `Wasm${kind} "w" has 1 problem:\n  - ${problem}`;
            assert.throws(() => ofKind(kind, args), { message });
        });
    });
}

test("all that is wrong comes in one message", async () => {
    await record({ steps }, () => {
        const args = {
            replicas: 2,
            schedule: "* * *",
            volumes: [{ name: "V", mountPath: "v", hostpath: "/x" }],
        };
        const message = [
            'WasmCronJob "w" has 6 problems:',
            '  - volumes[0].hostpath: is unknown; did you mean "hostPath"?',
            '  - volumes[0].name: must be lower-case letters, digits and "-" that begin and end with a letter or digit (for example "hello-wasm"), not "V"',
            '  - volumes[0].mountPath: must be an absolute path without ":" (for example "/etc/settings"), not "v"',
            "  - replicas: only a Deployment has it, not a CronJob",
            '  - schedule: must be a schedule; of "* * *": it has 3 fields, not 5; for example "*/5 * * * *" (minute, hour, day of the month, month, day of the week)',
            '  - volumes[0]: exactly one of "configMap", "secret", "emptyDir", "hostPath" is needed; none is given',
        ].join("\n");
        assert.throws(() => ofKind("CronJob", args), { message });
    });
});

test("the compiler refuses what a kind does not have", async () => {
    await record({ steps }, () => {
        const opts = inCluster();
        const args = { image, kubeconfigFile: "/k" };
        const made: (() => unknown)[] = [
            // @ts-expect-error -- a pod has no replicas
            () => new WasmPod("w1", { ...args, replicas: 3 }, opts),
            // @ts-expect-error -- a kind is the component itself
            () => new WasmPod("w2", { ...args, kind: "Pod" }, opts),
            // @ts-expect-error -- a deployment runs for good
            () => new WasmDeployment("w3", { ...args, restartPolicy: "Never" }, opts),
            // @ts-expect-error -- a job comes to its end
            () => new WasmJob("w4", { ...args, restartPolicy: "Always" }, opts),
            // @ts-expect-error -- a cron job has a schedule
            () => new WasmCronJob("w5", { image }, opts),
            // @ts-expect-error -- a cron job is not waited for
            () => new WasmCronJob("w6", { image, schedule: "@daily", wait: true }, opts),
        ];
        for (const make of made) assert.throws(make, /has 1 problem/);
    });
});
