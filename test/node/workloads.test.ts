/** awaitWorkload: each kind comes up, or what is wrong with it is said with its events and log lines. And the RuntimeClass. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { wasmNodeSelector, wasmTolerations } from "../../components/workload/podTemplate";
import type { AwaitWorkloadInput, WorkloadKind } from "../../steps/contract";
import { fail, pass } from "../steps/runStep";
import { pathOf, type KubeObject } from "./lib/api";
import { probe, type Container, type Pod, type PodSpec } from "./lib/pod";
import { underTest } from "./underTest";
import { World } from "./lib/world";

interface Made extends KubeObject {
    metadata: KubeObject["metadata"] & { generation?: number };
}

const apiVersions: Record<string, string> = {
    Pod: "v1",
    Deployment: "apps/v1",
    DaemonSet: "apps/v1",
    Job: "batch/v1",
    CronJob: "batch/v1",
};

/** What a pod of a workload is made of. */
function podSpec(args: string[], restartPolicy: string, more: Partial<PodSpec>, main: Partial<Container>) {
    return {
        restartPolicy,
        terminationGracePeriodSeconds: 1,
        nodeSelector: wasmNodeSelector,
        tolerations: wasmTolerations,
        containers: [probe("main", args, main)],
        ...more,
    };
}

interface Parts {
    args?: string[];
    main?: Partial<Container>;
    pod?: Partial<PodSpec>;
    restartPolicy?: string;
    /** More of the object's own spec. */
    spec?: object;
}

/** A workload of a kind that runs workloads/probe. */
function workload(kind: string, name: string, parts: Parts): KubeObject & { spec: object } {
    const { args = [], main = {}, pod = {}, spec = {} } = parts;
    const always = kind === "Deployment" || kind === "DaemonSet";
    const template = {
        metadata: { labels: { app: name } },
        spec: podSpec(args, parts.restartPolicy ?? (always ? "Always" : "OnFailure"), pod, main),
    };
    const selector = { matchLabels: { app: name } };
    const specs: Record<string, object> = {
        Pod: { ...template.spec, ...spec },
        Deployment: { selector, template, ...spec },
        DaemonSet: { selector, template, ...spec },
        Job: { template, ...spec },
        CronJob: { schedule: "0 0 1 1 *", jobTemplate: { spec: { template } }, ...spec },
    };
    return {
        apiVersion: apiVersions[kind],
        kind,
        metadata: { name, labels: { app: name } },
        spec: specs[kind],
    };
}

describe("workloads", { concurrency: 8, timeout: 300_000 }, () => {
    let world: World;
    before(async () => {
        world = await World.open("workloads");
    });
    after(async () => {
        for (const kind of ["Deployment", "DaemonSet", "Job", "CronJob"])
            await world.api.delete(pathOf(kind, world.namespace));
        await world.close();
    });

    const inputFor = ({ kind = "", metadata }: Made, timeoutSeconds: number): AwaitWorkloadInput => ({
        kubeconfigFile: underTest().kubeconfigFile,
        kind: kind as WorkloadKind,
        namespace: world.namespace,
        name: metadata.name,
        uid: metadata.uid ?? "",
        generation: metadata.generation ?? 0,
        applied: "0".repeat(64),
        timeoutSeconds,
    });
    const make = async (kind: string, name: string, parts: Parts): Promise<Made> => ({
        ...(await world.make(workload(kind, name, parts))),
        kind,
    });
    /** Waits for it; it must come up. */
    const comesUp = async (made: Made): Promise<void> => {
        const output = await pass("awaitWorkload", inputFor(made, 120));
        assert.deepEqual(output, { kind: made.kind, namespace: world.namespace, name: made.metadata.name });
    };
    /** Waits for it; it must not come up. What is said, and how long that took in seconds. */
    const failsBy = async (made: Made, timeoutSeconds = 120): Promise<{ said: string; seconds: number }> => {
        const begun = Date.now();
        const said = await fail("awaitWorkload", inputFor(made, timeoutSeconds));
        // Progress goes before the message.
        return {
            said: said.slice(said.indexOf("awaitWorkload: ")),
            seconds: (Date.now() - begun) / 1000,
        };
    };
    const object = <T extends KubeObject>({ kind = "", metadata }: KubeObject) =>
        world.api.get<T>(pathOf(kind, world.namespace, metadata.name));

    const endless = ["print", "begun", "ticks", "500", "0"];

    describe("that come up", { concurrency: 8 }, () => {
        it("a pod that runs on", async () => {
            const made = await make("Pod", "pod-runs", { args: endless });
            await comesUp(made);
            const { status } = await object<Pod>(made);
            assert.equal(status.phase, "Running");
        });
        it("a pod that comes to its end", async () => {
            const made = await make("Pod", "pod-ends", { args: ["print", "done"] });
            await comesUp(made);
        });
        it("a deployment, and its roll-out", async () => {
            const made = await make("Deployment", "deployment", { args: endless, spec: { replicas: 2 } });
            await comesUp(made);
            type Deployment = Made & {
                status: Record<string, number>;
                spec: { template: { spec: PodSpec } };
            };
            const first = await object<Deployment>(made);
            assert.equal(first.status.availableReplicas, 2);
            const template = { metadata: { annotations: { "example.com/changed": "yes" } } };
            await world.api.patch("Deployment", world.namespace, made.metadata.name, {
                spec: { template },
            });
            const changed = { ...(await object<Deployment>(made)), kind: "Deployment" };
            assert.equal(changed.metadata.generation, 2);
            await comesUp(changed);
            const { status } = await object<Deployment>(made);
            assert.deepEqual(
                [
                    status.observedGeneration,
                    status.replicas,
                    status.updatedReplicas,
                    status.availableReplicas,
                ],
                [2, 2, 2, 2],
            );
        });
        it("a daemon set, on each Wasm node and no other", async () => {
            const made = await make("DaemonSet", "daemonset", { args: endless });
            await comesUp(made);
            const { status } = await object<Made & { status: Record<string, number> }>(made);
            assert.deepEqual([status.desiredNumberScheduled, status.numberAvailable], [1, 1]);
        });
        it("a job that is tried again", async () => {
            const made = await make("Job", "job", {
                args: ["attempt", "/data/tries", "2"],
                main: { volumeMounts: [{ name: "data", mountPath: "/data" }] },
                pod: { volumes: [{ name: "data", emptyDir: {} }] },
            });
            await comesUp(made);
            const { status } = await object<Made & { status: { succeeded?: number } }>(made);
            assert.equal(status.succeeded, 1);
        });
        it("a cron job whose time has not come", async () => {
            await comesUp(await make("CronJob", "cronjob", { args: ["print", "x"] }));
        });
        it("a deployment that is mended: the pods of before do not count", async () => {
            const made = await make("Deployment", "mended", { args: ["exit", "3"] });
            await failsBy(made);
            const containers = [probe("main", endless)];
            await world.api.patch("Deployment", world.namespace, made.metadata.name, {
                spec: { template: { spec: { containers } } },
            });
            await comesUp({ ...(await object<Made>(made)), kind: "Deployment" });
        });
    });

    describe("that do not", { concurrency: 8 }, () => {
        it("a program that fails again and again", async () => {
            const made = await make("Deployment", "crash", {
                args: ["print", "about to fail", "error", "no database", "exit", "3"],
            });
            const { said, seconds } = await failsBy(made);
            const lines = said.trimEnd().split("\n");
            assert.match(
                lines[0],
                /^awaitWorkload: Deployment workloads\/crash: container "main" ended with exit code 3 \(Error\); container "main" of pod crash-\w+-\w+ waits: CrashLoopBackOff: back-off/,
            );
            assert.match(
                said,
                /\nPods:\n {2}crash-\w+-\w+ on node krustlet-under-test: Running\n {4}container main: waits \(CrashLoopBackOff: .*\); restarted 3 times; before that ended with exit code 3 \(Error\)\n/,
            );
            assert.match(said, /\nEvents, the newest last:\n/);
            assert.match(
                said,
                /\n {2}\d+ s ago: Warning BackOff of Pod crash-\w+-\w+.*: Back-off restarting failed container/i,
            );
            assert.match(
                said,
                /\nLog of container main of pod crash-\w+-\w+, the last lines:\n {2}\| about to fail\n {2}\| no database\n/,
            );
            assert.equal(
                lines.at(-1),
                "What to do: read the program's last lines above, and mend it or its args, env and volumes.",
            );
            assert.ok(seconds < 70, `${seconds} s`);
        });
        it("a pod that fails and is not restarted", async () => {
            const made = await make("Pod", "fails", {
                args: ["print", "bye", "exit", "7"],
                restartPolicy: "Never",
            });
            const { said, seconds } = await failsBy(made);
            assert.match(
                said,
                /^awaitWorkload: Pod workloads\/fails: the pod has failed: container "main" ended with exit code 7 \(Error\)\n/,
            );
            assert.match(said, /\nLog of container main of pod fails, the last lines:\n {2}\| bye\n/);
            assert.ok(seconds < 20, `${seconds} s`);
        });
        it("a program that ends where one is to run for good", async () => {
            const made = await make("Deployment", "ends", { args: ["print", "all done"] });
            const { said } = await failsBy(made);
            assert.match(said, /\n {2}\| all done\n/);
            assert.match(said, /What to do: the program comes to its end, and is started again each time/);
        });
        it("a job that fails", async () => {
            const made = await make("Job", "fails-too", {
                args: ["error", "cannot", "exit", "4"],
                restartPolicy: "Never",
                spec: { backoffLimit: 0 },
            });
            const { said, seconds } = await failsBy(made);
            assert.match(
                said,
                /^awaitWorkload: Job workloads\/fails-too: BackoffLimitExceeded: Job has reached the specified backoff limit\n/,
            );
            assert.match(said, /\n {4}container main: ended with exit code 4 \(Error\)\n/);
            assert.match(said, /: Warning BackoffLimitExceeded of Job fails-too: /);
            assert.match(said, /\n {2}\| cannot\n/);
            assert.ok(seconds < 30, `${seconds} s`);
        });
        it("an image that is not there", async () => {
            const image = `${underTest().registry}/not-there:v1`;
            const { said, seconds } = await failsBy(await make("DaemonSet", "no-image", { main: { image } }));
            assert.match(
                said,
                /^awaitWorkload: DaemonSet workloads\/no-image: container "main" of pod no-image-\w+ waits: (ErrImagePull|ImagePullBackOff): /,
            );
            assert.match(said, /: Warning Failed of Pod no-image-\w+.*not-there/);
            assert.match(said, /What to do: see that the registry has that module/);
            assert.ok(seconds >= 60 && seconds < 90, `${seconds} s`);
        });
        it("an image whose name is none", async () => {
            const made = await make("Pod", "bad-name", { main: { image: "NOT AN IMAGE" } });
            const { said, seconds } = await failsBy(made);
            assert.match(said, /container "main" of pod bad-name waits: InvalidImageName/);
            assert.ok(seconds < 20, `${seconds} s`);
        });
        it("a config map that is not there", async () => {
            const envFrom = [{ configMapRef: { name: "nowhere" } }];
            const { said, seconds } = await failsBy(
                await make("Deployment", "no-map", { main: { envFrom } }),
            );
            assert.match(said, /waits: CreateContainerConfigError: .*nowhere.* not found/);
            assert.match(said, /What to do: make the config map or secret that it names/);
            assert.ok(seconds >= 30 && seconds < 60, `${seconds} s`);
        });
        it("what no Wasm node has", async () => {
            const made = await make("Deployment", "refused", { pod: { hostNetwork: true } });
            const { said, seconds } = await failsBy(made);
            assert.match(said, /this WebAssembly node does not support: hostNetwork/);
            assert.match(said, /What to do: take out what a WebAssembly node does not provide/);
            assert.ok(seconds < 20, `${seconds} s`);
        });
        it("a pod for which there is no node", async () => {
            const nodeSelector = { "kubernetes.io/hostname": "elsewhere" };
            const { said, seconds } = await failsBy(
                await make("Pod", "homeless", { pod: { nodeSelector } }),
                5,
            );
            assert.match(
                said,
                /^awaitWorkload: Pod workloads\/homeless: not Ready within 5 s: the pod is not scheduled: 0\/2 nodes are available/,
            );
            assert.match(said, /\n {2}homeless: Pending, Unschedulable: 0\/2 nodes are available/);
            assert.match(said, /: Warning FailedScheduling of Pod homeless: 0\/2 nodes are available/);
            assert.match(said, /raise waitTimeoutSeconds/);
            assert.ok(seconds < 15, `${seconds} s`);
        });
        it("one that is gone, and another of its name", async () => {
            const made = await make("Pod", "replaced", { args: endless });
            const other = {
                ...made,
                metadata: { ...made.metadata, uid: "0f0f0f0f-0000-4000-8000-000000000000" },
            };
            assert.match(
                (await failsBy(other)).said,
                /^awaitWorkload: Pod workloads\/replaced is another object of that name; run `pulumi up` again/,
            );
            const gone = { ...made, metadata: { ...made.metadata, name: "never-made" } };
            assert.match((await failsBy(gone)).said, /^awaitWorkload: Pod workloads\/never-made is gone;/);
        });
    });

    describe("of others' manifests, by runtimeClassName", () => {
        it("run on the Wasm node, and never on the control plane", async () => {
            await world.api.create({
                apiVersion: "node.k8s.io/v1",
                kind: "RuntimeClass",
                metadata: { name: "krustlet-wasi" },
                handler: "wasi",
                scheduling: { nodeSelector: wasmNodeSelector, tolerations: wasmTolerations },
            } as KubeObject);
            const manifest = (index: number): KubeObject & { spec: object } => ({
                apiVersion: "v1",
                kind: "Pod",
                metadata: { name: `plain-${index}`, namespace: world.namespace },
                spec: {
                    runtimeClassName: "krustlet-wasi",
                    restartPolicy: "Never",
                    containers: [{ name: "hello", image: underTest().modules.hello.image }],
                },
            });
            try {
                const pods: Pod[] = [];
                for (let index = 0; index < 8; index++)
                    pods.push((await world.api.create(manifest(index))) as Pod);
                for (const pod of pods) {
                    const { status, spec } = await world.untilEnded(pod);
                    assert.deepEqual([spec.nodeName, status.phase], ["krustlet-under-test", "Succeeded"]);
                    assert.equal(await world.log(pod, { container: "hello" }), "Hello, World!\n");
                }
            } finally {
                await world.api.delete(pathOf("RuntimeClass", undefined, "krustlet-wasi"));
            }
        });
    });
});
