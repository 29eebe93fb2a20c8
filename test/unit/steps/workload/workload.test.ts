import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WorkloadKind } from "../../../../steps/workload/contract";
import {
    judge,
    troublesOf,
    type Condition,
    type ContainerStatus,
    type Verdict,
    type WorkloadObject,
    type WorkloadPod,
} from "../../../../steps/workload/workload";

const metadata = { name: "w", uid: "u", generation: 2 };
const waiting = (what: string): Verdict => ({ state: "waiting", what });
const complete: Verdict = { state: "done", lasting: false };
const runs: Verdict = { state: "done", lasting: true };
const is = (type: string, more: Partial<Condition> = {}): Condition => ({ type, status: "True", ...more });

function pod(status: WorkloadPod["status"], spec?: WorkloadPod["spec"]): WorkloadPod {
    return { metadata: { name: "w-1", uid: "p" }, spec, status };
}
const ended = (exitCode: number, reason?: string): ContainerStatus["state"] => ({
    terminated: { exitCode, reason },
});

const verdicts: [what: string, kind: WorkloadKind, object: WorkloadObject, verdict: Verdict][] = [
    ["a new pod", "Pod", pod({}), waiting("the pod is not scheduled")],
    [
        "a pod without a node",
        "Pod",
        pod({
            conditions: [
                { type: "PodScheduled", status: "False", reason: "Unschedulable", message: "0/1 nodes" },
            ],
        }),
        waiting("the pod is not scheduled: 0/1 nodes"),
    ],
    [
        "a pod that is about to start",
        "Pod",
        pod({ phase: "Pending", conditions: [is("PodScheduled"), { type: "Ready", status: "False" }] }),
        waiting("the pod is Pending, not Ready"),
    ],
    [
        "a pod that is Ready",
        "Pod",
        pod({ phase: "Running", conditions: [is("PodScheduled"), is("Ready")] }),
        runs,
    ],
    [
        "a pod that has succeeded is Ready no more",
        "Pod",
        pod({ phase: "Succeeded", conditions: [{ type: "Ready", status: "False" }] }),
        complete,
    ],
    [
        "a pod that has failed",
        "Pod",
        pod({
            phase: "Failed",
            containerStatuses: [
                { name: "a", state: ended(3, "Error") },
                { name: "b", state: ended(0, "Completed") },
            ],
        }),
        {
            state: "failed",
            what: 'the pod has failed: container "a" ended with exit code 3 (Error)',
            advice: "read the events and log lines above, mend what they name, and run `pulumi up` again",
        },
    ],
    [
        "a pod that was refused",
        "Pod",
        pod({ phase: "Failed", reason: "UnsupportedOnWasmNode", message: "no hostNetwork" }),
        {
            state: "failed",
            what: "the pod has failed: UnsupportedOnWasmNode: no hostNetwork",
            advice: "take out what a WebAssembly node does not provide (docs/node.md)",
        },
    ],
    [
        "a deployment whose change was not seen",
        "Deployment",
        {
            metadata,
            status: { observedGeneration: 1, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
        },
        waiting("its controller has not seen the change"),
    ],
    [
        "a deployment of which a pod is missing",
        "Deployment",
        {
            metadata,
            spec: { replicas: 3 },
            status: { observedGeneration: 2, replicas: 4, updatedReplicas: 2 },
        },
        waiting("2 of 3 pods are there"),
    ],
    [
        "a deployment of which a pod of before is there",
        "Deployment",
        {
            metadata,
            spec: { replicas: 1 },
            status: { observedGeneration: 2, replicas: 2, updatedReplicas: 1, availableReplicas: 2 },
        },
        waiting("1 pods of before are still there"),
    ],
    [
        "a deployment of which a pod does not run",
        "Deployment",
        {
            metadata,
            spec: { replicas: 2 },
            status: { observedGeneration: 2, replicas: 2, updatedReplicas: 2, availableReplicas: 1 },
        },
        waiting("1 of 2 pods are available"),
    ],
    [
        "a deployment that is rolled out",
        "Deployment",
        {
            metadata,
            status: { observedGeneration: 2, replicas: 1, updatedReplicas: 1, availableReplicas: 1 },
        },
        runs,
    ],
    [
        "a deployment of no pods",
        "Deployment",
        { metadata, spec: { replicas: 0 }, status: { observedGeneration: 2 } },
        runs,
    ],
    [
        "a deployment that does not get on",
        "Deployment",
        {
            metadata,
            status: {
                observedGeneration: 2,
                conditions: [
                    {
                        type: "Progressing",
                        status: "False",
                        reason: "ProgressDeadlineExceeded",
                        message: "timed out",
                    },
                ],
            },
        },
        {
            state: "failed",
            what: "ProgressDeadlineExceeded: timed out",
            advice: "read the events and log lines above, mend what they name, and run `pulumi up` again",
        },
    ],
    [
        "a deployment that did not get on before its change",
        "Deployment",
        {
            metadata,
            status: {
                observedGeneration: 1,
                conditions: [{ type: "Progressing", status: "False", reason: "ProgressDeadlineExceeded" }],
            },
        },
        waiting("its controller has not seen the change"),
    ],
    [
        "a daemon set whose change was not seen",
        "DaemonSet",
        { metadata, status: { observedGeneration: 1 } },
        waiting("its controller has not seen the change"),
    ],
    [
        "a daemon set with a pod of before",
        "DaemonSet",
        {
            metadata,
            status: {
                observedGeneration: 2,
                desiredNumberScheduled: 2,
                updatedNumberScheduled: 1,
                numberAvailable: 2,
            },
        },
        waiting("pods are there on 1 of 2 nodes"),
    ],
    [
        "a daemon set with a pod that does not run",
        "DaemonSet",
        {
            metadata,
            status: { observedGeneration: 2, desiredNumberScheduled: 2, updatedNumberScheduled: 2 },
        },
        waiting("pods are available on 0 of 2 nodes"),
    ],
    [
        "a daemon set that is rolled out",
        "DaemonSet",
        {
            metadata,
            status: {
                observedGeneration: 2,
                desiredNumberScheduled: 2,
                updatedNumberScheduled: 2,
                numberAvailable: 2,
            },
        },
        runs,
    ],
    ["a new job", "Job", { metadata }, waiting("it is not complete")],
    [
        "a job that is tried again",
        "Job",
        { metadata, status: { failed: 2 } },
        waiting("it is not complete, 2 of its pods have failed"),
    ],
    [
        "a job that is done",
        "Job",
        { metadata, status: { conditions: [is("SuccessCriteriaMet"), is("Complete")] } },
        complete,
    ],
    [
        "a job that has failed",
        "Job",
        {
            metadata,
            status: {
                conditions: [is("Failed", { reason: "DeadlineExceeded", message: "was active too long" })],
            },
        },
        {
            state: "failed",
            what: "DeadlineExceeded: was active too long",
            advice: "give it more time (activeDeadlineSeconds), or less to do",
        },
    ],
    ["a cron job", "CronJob", { metadata }, complete],
];

describe("what an object's status says", () => {
    for (const [what, kind, object, verdict] of verdicts) {
        it(what, () => {
            assert.deepEqual(judge(kind, object), verdict);
        });
    }
});

const held = (reason: string, more: Partial<ContainerStatus> = {}, message?: string): WorkloadPod =>
    pod({
        phase: "Pending",
        containerStatuses: [{ name: "main", state: { waiting: { reason, message } }, ...more }],
    });

/** How long it is borne, in seconds, and a word of the advice; undefined: it is no trouble. */
const troubles: [what: string, kind: WorkloadKind, pod: WorkloadPod, found: [number, RegExp] | undefined][] =
    [
        ["being made", "Pod", held("ContainerCreating"), undefined],
        [
            "running",
            "Pod",
            pod({ phase: "Running", containerStatuses: [{ name: "main", state: { running: {} } }] }),
            undefined,
        ],
        ["a bad name", "Deployment", held("InvalidImageName"), [0, /image's name/]],
        ["an image that is never pulled", "Job", held("ErrImageNeverPull"), [0, /imagePullPolicy/]],
        ["an image that cannot be pulled", "Job", held("ErrImagePull"), [60, /registry has that module/]],
        ["its pauses", "DaemonSet", held("ImagePullBackOff"), [60, /registry has that module/]],
        ["a missing config map", "Pod", held("CreateContainerConfigError"), [30, /make the config map/]],
        [
            "what no Wasm node has",
            "Deployment",
            held("CreateContainerConfigError", {}, "this WebAssembly node does not support: hostNetwork"),
            [0, /take out what/],
        ],
        ["a container that cannot start", "Pod", held("RunContainerError"), [30, /events/]],
        ["a first failure", "Pod", held("CrashLoopBackOff", { restartCount: 0 }), undefined],
        ["a third failure", "Pod", held("CrashLoopBackOff", { restartCount: 2 }), undefined],
        [
            "a fourth failure",
            "Deployment",
            held("CrashLoopBackOff", { restartCount: 3, lastState: ended(1, "Error") }),
            [0, /mend it/],
        ],
        [
            "a program that ends again and again",
            "DaemonSet",
            held("CrashLoopBackOff", { restartCount: 3, lastState: ended(0, "Completed") }),
            [0, /comes to its end/],
        ],
        [
            "a job's failures, which it counts itself",
            "Job",
            held("CrashLoopBackOff", { restartCount: 9 }),
            undefined,
        ],
        [
            "a job's pod that was refused",
            "Job",
            pod({ phase: "Failed", reason: "UnsupportedOnWasmNode", message: "no" }),
            [0, /take out what/],
        ],
        [
            "a job's pod that has failed",
            "Job",
            pod({ phase: "Failed", containerStatuses: [{ name: "main", state: ended(1) }] }),
            undefined,
        ],
        [
            "an init container",
            "Pod",
            pod({
                initContainerStatuses: [{ name: "first", state: { waiting: { reason: "ErrImagePull" } } }],
            }),
            [60, /registry/],
        ],
    ];

describe("what keeps pods from running", () => {
    for (const [what, kind, one, found] of troubles) {
        it(`${what} (${kind})`, () => {
            const all = troublesOf(kind, { metadata }, [one]);
            assert.equal(all.length, found === undefined ? 0 : 1);
            if (found === undefined) return;
            assert.equal(all[0].patienceSeconds, found[0]);
            assert.match(all[0].advice, found[1]);
        });
    }
    it("is one trouble while an image's pull fails and pauses", () => {
        const keys = ["ErrImagePull", "ImagePullBackOff"].map(
            (reason) => troublesOf("Pod", { metadata }, [held(reason)])[0].key,
        );
        assert.deepEqual(keys, ["p/main/image", "p/main/image"]);
    });
    it("is said in a sentence, the cause first", () => {
        const crash = held(
            "CrashLoopBackOff",
            { restartCount: 3, lastState: ended(137, "OOMKilled") },
            "back-off 40s",
        );
        assert.equal(
            troublesOf("Pod", { metadata }, [crash])[0].what,
            'container "main" ended with exit code 137 (OOMKilled); container "main" of pod w-1 waits: CrashLoopBackOff: back-off 40s',
        );
    });
    it("may be the controller's own: it is not let make pods", () => {
        const conditions = [is("ReplicaFailure", { reason: "FailedCreate", message: "exceeded quota" })];
        assert.deepEqual(troublesOf("Deployment", { metadata, status: { conditions } }, []), [
            {
                key: "controller",
                what: "FailedCreate: exceeded quota",
                advice: "see whether a quota, a limit range or a pod security rule of the namespace refuses its pods",
                patienceSeconds: 30,
            },
        ]);
    });
});
