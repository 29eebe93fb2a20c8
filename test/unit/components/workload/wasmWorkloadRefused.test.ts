import assert from "node:assert/strict";
import { test } from "node:test";
import { WasmWorkload, type WasmWorkloadArgs } from "../../../../components";
import { imageReference as image, inCluster, steps } from "../fixtures";
import { record } from "../mocks";

const kubeconfigFile = "/k";

const refused: [string, object, string][] = [
    [
        "an image by tag",
        { image: "localhost:5001/hello:v1" },
        'image: must be a reference by digest (for example "ghcr.io/you/hello-wasm@sha256:…", 64 hex digits), not "localhost:5001/hello:v1"',
    ],
    ["no image", { image: undefined }, "image: is missing; for example artifact.reference"],
    [
        "an unknown kind",
        { kind: "Pods" },
        'kind: must be one of "Pod", "Deployment", "Job", "CronJob", "DaemonSet", not "Pods"; did you mean "Pod"?',
    ],
    ["replicas of a pod", { replicas: 2 }, "replicas: only a Deployment has it, not a Pod"],
    [
        "a deployment that ends",
        { kind: "Deployment", restartPolicy: "Never" },
        'restartPolicy: a Deployment may have Always, not "Never"',
    ],
    [
        "a job that never ends",
        { kind: "Job", restartPolicy: "Always" },
        'restartPolicy: a Job may have OnFailure or Never, not "Always"',
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
        "maxConcurrentRequests: must be a whole number from 1 to 10000, not 0",
    ],
    ["an environment of numbers", { env: { N: 1 } }, "env.N: must be a text (put it in quotes), not 1"],
];
for (const [what, args, problem] of refused) {
    test(`refused: ${what}`, async () => {
        await record({ steps }, () => {
            const message = `WasmWorkload "w" has 1 problem:\n  - ${problem}`;
            assert.throws(() => new WasmWorkload("w", { image, kubeconfigFile, ...args }, inCluster()), {
                message,
            });
        });
    });
}

test("all that is wrong comes in one message", async () => {
    await record({ steps }, () => {
        const args = {
            image,
            kind: "CronJob",
            replicas: 2,
            schedule: "* * *",
            volumes: [{ name: "V", mountPath: "v", hostpath: "/x" }],
        } as unknown as WasmWorkloadArgs;
        const message = [
            'WasmWorkload "w" has 7 problems:',
            '  - volumes[0].hostpath: is unknown; did you mean "hostPath"?',
            '  - volumes[0].name: must be lower-case letters, digits and "-" that begin and end with a letter or digit (for example "hello-wasm"), not "V"',
            '  - volumes[0].mountPath: must be an absolute path without ":" (for example "/etc/settings"), not "v"',
            '  - schedule: must be a schedule; of "* * *": it has 3 fields, not 5; for example "*/5 * * * *" (minute, hour, day of the month, month, day of the week)',
            "  - replicas: only a Deployment has it, not a CronJob",
            '  - volumes[0]: exactly one of "configMap", "secret", "emptyDir", "hostPath" is needed; none is given',
            "  - kubeconfigFile: is missing; for example cluster.kubeconfigFile, or set wait to false",
        ].join("\n");
        assert.throws(() => new WasmWorkload("w", args, inCluster()), { message });
    });
});
