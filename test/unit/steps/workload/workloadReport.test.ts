import assert from "node:assert/strict";
import { it } from "node:test";
import { render, type Report, type WorkloadEvent } from "../../../../steps/workload/workloadReport";

const now = Date.parse("2026-11-22T10:00:30Z");

function event(second: number, more: Partial<WorkloadEvent>): WorkloadEvent {
    const lastTimestamp = new Date(now - 30_000 + second * 1000).toISOString();
    return { type: "Warning", involvedObject: { kind: "Pod", name: "w-1" }, lastTimestamp, ...more };
}

const empty: Report = {
    workload: "Job apps/w",
    problem: "it is not complete",
    pods: [],
    events: [],
    logs: [],
    advice: "mend it",
    now,
};

it("a workload of which nothing is there", () => {
    assert.equal(
        render(empty),
        [
            "Job apps/w: it is not complete",
            "Pods: there are none",
            "Events, the newest last: there are none",
            "What to do: mend it.",
        ].join("\n"),
    );
});

it("pods with their containers, events in their order, and logs of both runs", () => {
    const report: Report = {
        ...empty,
        pods: [
            {
                metadata: { name: "w-1", uid: "1" },
                spec: { nodeName: "krustlet" },
                status: {
                    phase: "Running",
                    containerStatuses: [
                        {
                            name: "main",
                            restartCount: 1,
                            state: { waiting: { reason: "CrashLoopBackOff", message: "back-off 10s" } },
                            lastState: { terminated: { exitCode: 1, reason: "Error" } },
                        },
                        { name: "side", restartCount: 2, state: { running: {} } },
                        { name: "last", state: { terminated: { exitCode: 0, reason: "Completed" } } },
                    ],
                },
            },
            {
                metadata: { name: "w-2", uid: "2" },
                status: {
                    conditions: [
                        {
                            type: "PodScheduled",
                            status: "False",
                            reason: "Unschedulable",
                            message: "0/2 nodes",
                        },
                    ],
                },
            },
        ],
        events: [
            event(20, { reason: "BackOff", message: "Back-off\nrestarting", count: 3 }),
            event(10, { reason: "Started", message: "Started", type: "Normal" }),
            event(0, {
                reason: "SuccessfulCreate",
                message: "Created pod",
                type: "Normal",
                lastTimestamp: null,
                eventTime: "2026-11-22T10:00:01.500000Z",
                involvedObject: { kind: "Job", name: "w" },
            }),
        ],
        logs: [
            { pod: "w-1", container: "main", previous: true, text: "one\ntwo\n" },
            { pod: "w-1", container: "main", previous: false, text: "" },
            {
                pod: "w-1",
                container: "side",
                previous: false,
                text: "it cannot be read: timeout",
                unread: true,
            },
        ],
    };
    assert.deepEqual(render(report).split("\n"), [
        "Job apps/w: it is not complete",
        "Pods:",
        "  w-1 on node krustlet: Running",
        "    container main: waits (CrashLoopBackOff: back-off 10s); restarted 1 time; before that ended with exit code 1 (Error)",
        "    container side: runs; restarted 2 times",
        "    container last: ended with exit code 0 (Completed)",
        "  w-2: Pending, Unschedulable: 0/2 nodes",
        "Events, the newest last:",
        "  29 s ago: Normal SuccessfulCreate of Job w: Created pod",
        "  20 s ago: Normal Started of Pod w-1: Started",
        "  10 s ago: Warning BackOff of Pod w-1 (3 times): Back-off restarting",
        "Log of container main of pod w-1, the run before, the last lines:",
        "  | one",
        "  | two",
        "Log of container main of pod w-1: it has written nothing",
        "Log of container side of pod w-1: it cannot be read: timeout",
        "What to do: mend it.",
    ]);
});

it("no more than can be read: 5 pods, 20 events, 20 lines of a log, 500 characters of a line", () => {
    const numbers = Array.from({ length: 30 }, (_, index) => index + 1);
    const lines = render({
        ...empty,
        pods: numbers.map((n) => ({
            metadata: { name: `w-${n}`, uid: `${n}` },
            status: { phase: "Pending" },
        })),
        events: numbers.map((n) => event(n, { reason: `R${n}`, message: "m" })),
        logs: [
            {
                pod: "w-1",
                container: "main",
                previous: false,
                text: numbers.map((n) => `${n} ${"x".repeat(600)}\n`).join(""),
            },
        ],
    }).split("\n");
    assert.deepEqual(lines.slice(2, 8), [
        ...[1, 2, 3, 4, 5].map((n) => `  w-${n}: Pending`),
        "  and 25 more",
    ]);
    const events = lines.filter((line) => line.includes(" s ago: "));
    assert.equal(events.length, 20);
    assert.equal(events[0], "  19 s ago: Warning R11 of Pod w-1: m");
    const log = lines.filter((line) => line.startsWith("  | "));
    assert.equal(log.length, 20);
    assert.equal(log[0], `  | 11 ${"x".repeat(497)}…`);
});
