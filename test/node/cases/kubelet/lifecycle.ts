// How containers begin and end, and what becomes of their pod.
import { probe } from "../../lib/pod";
import type { Case } from "../../runCase";
import { mounts } from "../objects";

const data = { volumes: [{ name: "data", emptyDir: {} }] };
const started = ["Pulled", "Created", "Started"];
const completed = { state: "terminated Completed 0", restarts: 0, last: "" };

/** A container that ends by itself, once. */
const endings: Case[] = [
    {
        name: "a program that returns: Succeeded",
        args: ["print", "Hello"],
        expect: {
            phase: "Succeeded",
            reason: "",
            message: "",
            conditions: {
                PodScheduled: "True",
                PodReadyToStartContainers: "False",
                Initialized: "True PodCompleted",
                ContainersReady: "False PodCompleted",
                Ready: "False PodCompleted",
            },
            containers: { main: { ...completed, message: "", ready: false, started: false } },
            init: {},
            events: started,
            log: "Hello\n",
        },
    },
    ...[1, 42].map((code): Case => ({
        name: `exit code ${code}: Failed`,
        args: ["error", "no", "exit", String(code)],
        expect: {
            phase: "Failed",
            conditions: {
                PodScheduled: "True",
                PodReadyToStartContainers: "False",
                Initialized: "True",
                ContainersReady: "False PodFailed",
                Ready: "False PodFailed",
            },
            containers: {
                main: { state: `terminated Error ${code}`, restarts: 0, last: "", ready: false },
            },
            events: started,
            log: "no\n",
        },
    })),
    {
        name: "a trap: 134, and what it was",
        args: ["print", "before", "trap"],
        expect: {
            phase: "Failed",
            containers: { main: { state: "terminated Error 134", message: /unreachable/ } },
            log: "before\n",
        },
        // How a process ends that aborts as the first of its container; nobody says why.
        kubelet: {
            phase: "Failed",
            containers: { main: { state: /^terminated Error 13[49]$/, message: "" } },
            log: "before\n",
        },
    },
    {
        name: "recursion without end: a trap, and the node goes on",
        args: ["recurse"],
        expect: {
            phase: "Failed",
            containers: { main: { state: "terminated Error 134", message: /stack|out of bounds/ } },
        },
        kubelet: {
            phase: "Failed",
            containers: { main: { state: /^terminated Error 13[49]$/, message: "" } },
        },
    },
    {
        name: "more memory than its limit: OOMKilled, 137",
        args: ["alloc", "8", "print", "eight", "alloc", "64", "print", "more"],
        main: { resources: { limits: { memory: "32Mi" } } },
        expect: {
            phase: "Failed",
            containers: {
                main: {
                    state: "terminated OOMKilled 137",
                    message: /^the memory limit is 33554432 bytes/,
                    restarts: 0,
                },
            },
            log: /^eight\n/,
        },
        kubelet: {
            phase: "Failed",
            // Its runtime may miss why, when the machine is busy.
            containers: { main: { state: /^terminated (OOMKilled|Error) 137$/, message: "", restarts: 0 } },
            log: /^eight\n/,
        },
    },
    {
        name: "as much memory as its limit allows",
        args: ["alloc", "24", "print", "enough"],
        main: { resources: { limits: { memory: "32Mi" } } },
        expect: { phase: "Succeeded", containers: { main: completed }, log: "enough\n" },
    },
];

const restarts: Case[] = [
    {
        name: "OnFailure: restarted until it succeeds",
        args: ["attempt", "/data/n", "2"],
        main: mounts({ data: "/data" }),
        spec: { ...data, restartPolicy: "OnFailure" },
        expect: {
            phase: "Succeeded",
            containers: {
                main: { state: "terminated Completed 0", restarts: 1, last: "terminated Error 1" },
            },
            log: "attempt 2\n",
        },
    },
    {
        name: "OnFailure: not restarted after success",
        args: ["print", "once"],
        spec: { restartPolicy: "OnFailure" },
        expect: { phase: "Succeeded", containers: { main: completed }, events: started },
    },
    {
        name: "Always: restarted after success too, and backing off",
        args: ["print", "again"],
        spec: { restartPolicy: "Always" },
        expect: {
            phase: "Running",
            conditions: {
                PodReadyToStartContainers: "True",
                Initialized: "True",
                ContainersReady: "False ContainersNotReady",
                Ready: "False ContainersNotReady",
            },
            containers: {
                main: {
                    state: "waiting CrashLoopBackOff",
                    message: /^back-off 10s restarting failed container/,
                    restarts: 1,
                    last: "terminated Completed 0",
                    ready: false,
                    started: false,
                },
            },
            events: [...started, "BackOff"],
            notes: [/^Warning BackOff: Back-off restarting failed container/],
        },
    },
    {
        name: "a program that runs: Ready",
        args: ["ticks", "1000", "0"],
        spec: { restartPolicy: "Always" },
        expect: {
            phase: "Running",
            conditions: {
                PodScheduled: "True",
                PodReadyToStartContainers: "True",
                Initialized: "True",
                ContainersReady: "True",
                Ready: "True",
            },
            containers: { main: { state: "running", restarts: 0, last: "", ready: true, started: true } },
            events: started,
            log: /^tick 1\n/,
        },
    },
    {
        name: "activeDeadlineSeconds: DeadlineExceeded",
        args: ["ticks", "500", "0"],
        spec: { activeDeadlineSeconds: 2, terminationGracePeriodSeconds: 0, restartPolicy: "Always" },
        expect: {
            phase: "Failed",
            reason: "DeadlineExceeded",
            message: /active on the node longer than the specified deadline/,
            containers: { main: { state: "terminated Error 137", message: "", restarts: 0 } },
            notes: [/^Normal DeadlineExceeded: /],
        },
    },
];

const append = (name: string, ...more: string[]) =>
    probe(name, ["append", "/data/order", name, ...more], mounts({ data: "/data" }));
const waits = { state: "waiting PodInitializing", restarts: 0, last: "", ready: false, started: false };

const initContainers: Case[] = [
    {
        name: "init containers run in order, before the others",
        args: ["cat", "/data/order"],
        main: mounts({ data: "/data" }),
        spec: { ...data, initContainers: [append("first", "sleep", "300"), append("second")] },
        expect: {
            phase: "Succeeded",
            conditions: { Initialized: "True PodCompleted" },
            init: { first: { ...completed, ready: true }, second: { ...completed, ready: true } },
            containers: { main: completed },
            log: "first\nsecond\n",
        },
    },
    {
        name: "an init container that runs: the pod is Pending",
        args: ["print", "main"],
        spec: { initContainers: [probe("init", ["ticks", "500", "0"])] },
        expect: {
            phase: "Pending",
            conditions: {
                Initialized: "False ContainersNotInitialized",
                ContainersReady: "False ContainersNotReady",
                Ready: "False ContainersNotReady",
            },
            init: { init: { state: "running", restarts: 0, ready: false } },
            containers: { main: waits },
            log: { init: /^tick 1\n/ },
        },
    },
    {
        name: "Never and an init container that fails: Failed, and nothing else runs",
        args: ["print", "main"],
        spec: { ...data, initContainers: [append("first", "exit", "3"), append("second")] },
        expect: {
            phase: "Failed",
            conditions: {
                Initialized: "False ContainersNotInitialized",
                ContainersReady: "False PodFailed",
                Ready: "False PodFailed",
            },
            init: { first: { state: "terminated Error 3", restarts: 0, ready: false }, second: waits },
            containers: { main: waits },
            events: started,
        },
    },
    {
        name: "OnFailure and an init container that fails: tried again",
        args: ["print", "main"],
        spec: {
            ...data,
            restartPolicy: "OnFailure",
            initContainers: [probe("init", ["attempt", "/data/n", "2"], mounts({ data: "/data" }))],
        },
        expect: {
            phase: "Succeeded",
            init: { init: { state: "terminated Completed 0", restarts: 1, ready: true } },
            containers: { main: completed },
            log: { init: "attempt 2\n", main: "main\n" },
        },
    },
    {
        name: "Always and an init container that keeps failing: backing off",
        args: ["print", "main"],
        spec: { restartPolicy: "Always", initContainers: [probe("init", ["exit", "1"])] },
        expect: {
            phase: "Pending",
            init: { init: { state: "waiting CrashLoopBackOff", restarts: 1, last: "terminated Error 1" } },
            containers: { main: waits },
            events: [...started, "BackOff"],
        },
    },
];

const several: Case[] = [
    {
        name: "several containers: Running as long as one of them runs",
        spec: {
            containers: [probe("one", ["exit", "3"]), probe("two", ["print", "two", "ticks", "500", "0"])],
        },
        expect: {
            phase: "Running",
            conditions: { Initialized: "True", Ready: "False ContainersNotReady" },
            containers: {
                one: { state: "terminated Error 3", restarts: 0, ready: false },
                two: { state: "running", restarts: 0, ready: true },
            },
            log: { one: "", two: /^two\ntick 1\n/ },
        },
    },
    {
        name: "several containers: Failed when one of them has",
        spec: { containers: [probe("one", ["exit", "3"]), probe("two", ["sleep", "800", "exit", "0"])] },
        expect: {
            phase: "Failed",
            containers: { one: { state: "terminated Error 3" }, two: completed },
        },
    },
    {
        name: "several containers: one restarts, the other goes on",
        spec: {
            restartPolicy: "OnFailure",
            ...data,
            containers: [
                probe("one", ["attempt", "/data/n", "2"], mounts({ data: "/data" })),
                probe("two", ["ticks", "500", "0"]),
            ],
        },
        expect: {
            phase: "Running",
            containers: {
                one: { state: "terminated Completed 0", restarts: 1 },
                two: { state: "running", restarts: 0 },
            },
        },
    },
    {
        name: "a sidecar runs before, beside and not after the others",
        args: ["attempt", "/data/n", "1", "sleep", "1000", "print", "main"],
        main: mounts({ data: "/data" }),
        spec: {
            ...data,
            initContainers: [probe("sidecar", ["ticks", "200", "0"], { restartPolicy: "Always" })],
        },
        expect: {
            phase: "Succeeded",
            init: { sidecar: { state: /^terminated \w+ 137$/, restarts: 0 } },
            containers: { main: completed },
            events: [...started, "Killing"],
            log: { sidecar: /^tick 1\ntick 2\ntick 3\n/, main: "attempt 1\nmain\n" },
        },
    },
    {
        name: "a sidecar that ends is started again, also with Never",
        args: ["ticks", "500", "0"],
        spec: {
            ...data,
            initContainers: [
                probe("sidecar", ["attempt", "/data/n", "2", "ticks", "500", "0"], {
                    restartPolicy: "Always",
                    ...mounts({ data: "/data" }),
                }),
            ],
        },
        expect: {
            phase: "Running",
            conditions: { Initialized: "True", Ready: "True" },
            init: { sidecar: { state: "running", restarts: 1, ready: true, started: true } },
            containers: { main: { state: "running", restarts: 0, ready: true } },
        },
    },
];

export const lifecycleCases: readonly Case[] = [...endings, ...restarts, ...initContainers, ...several];
