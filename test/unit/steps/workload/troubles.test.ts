import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { WorkloadKind } from "../../../../steps/workload/contract";
import { troublesOf, type ContainerStatus, type WorkloadPod } from "../../../../steps/workload/workload";
import { ended, is, metadata, pod } from "./objects";

const held = (reason: string, more: Partial<ContainerStatus> = {}, message?: string): WorkloadPod =>
    pod({
        phase: "Pending",
        containerStatuses: [{ name: "main", state: { waiting: { reason, message } }, ...more }],
    });

const unscheduled = (why: string, spec?: WorkloadPod["spec"]): WorkloadPod => {
    const message = `0/2 nodes are available: 1 node(s) ${why} for the requested pod ports.`;
    return pod({ phase: "Pending", conditions: [is("PodScheduled", { status: "False", message })] }, spec);
};

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
        ["a full disk of its node", "Pod", held("CreateContainerError"), [30, /room on its disk/]],
        ...[
            "compiling the module takes longer than 120 s",
            "compiling the module takes more than 1024 MiB of memory",
            "compiling the module takes too much of the processors",
            "the compiler was ended by signal 11",
        ].map((why): (typeof troubles)[number] => [
            why,
            "Pod",
            held("CreateContainerError", {}, why),
            [30, /^give a smaller module, (?!.*disk).* for an hour$/],
        ]),
        [
            "what ends a compilation from outside",
            "Pod",
            held("CreateContainerError", {}, "compiling the module was stopped: the host is short of memory"),
            [30, /every ten seconds/],
        ],
        [
            "a port that is another's",
            "Pod",
            held("CreateContainerConfigError", {}, "port 80 is default/a/main's: it is waited for"),
            [30, /a port of its own/],
        ],
        [
            "a port that a program of the host's has",
            "Deployment",
            held(
                "CreateContainerConfigError",
                {},
                "cannot listen on port 80 of the address 172.18.0.3: Address already in use (os error 98)",
            ),
            [30, /a port of its own/],
        ],
        [
            "ports of a program that does not serve",
            "Deployment",
            held(
                "CreateContainerConfigError",
                {},
                "it has a hostPort, and its program answers no requests: leave",
            ),
            [0, /leave out ports, probes and service/],
        ],
        [
            "a port that no node has free",
            "Deployment",
            unscheduled("didn't have free ports"),
            [60, /of its own/],
        ],
        [
            "the same with another's grace period",
            "Pod",
            unscheduled("didn't have free ports", { terminationGracePeriodSeconds: 5 }),
            [35, /update of its own/],
        ],
        [
            "a node that is still to come",
            "Pod",
            unscheduled("didn't match Pod's node affinity/selector"),
            undefined,
        ],
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
