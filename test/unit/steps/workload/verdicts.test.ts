import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WorkloadKind } from "../../../../steps/workload/contract";
import { judge, type Verdict, type WorkloadObject } from "../../../../steps/workload/workload";
import { complete, ended, is, metadata, pod, runs, waiting } from "./objects";

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
