// How containers begin and end, and what becomes of their pod.
import type { Case, Outcome } from "../../runCase";
import { mounts } from "../objects";

export const data = { volumes: [{ name: "data", emptyDir: {} }] };
export const started = ["Pulled", "Created", "Started"];
export const completed = { state: "terminated Completed 0", restarts: 0, last: "" };

const pastItsDeadline: Outcome = {
    phase: "Failed",
    reason: "DeadlineExceeded",
    message: /active on the node longer than the specified deadline/,
    containers: { main: { state: "terminated Error 137", message: "", restarts: 0 } },
    notes: [/^Normal DeadlineExceeded: /],
};

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

/** The state while a kubelet pauses: until it looks at the pod again, that in which the run ended. */
export const pausing = (end: string) => new RegExp(`^(waiting CrashLoopBackOff|terminated ${end})$`);

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
        kubelet: {
            phase: "Running",
            conditions: { ContainersReady: "False ContainersNotReady", Ready: "False ContainersNotReady" },
            containers: {
                main: { state: pausing("Completed 0"), last: "terminated Completed 0", ready: false },
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
        expect: { ...pastItsDeadline, withinSeconds: 12 },
        kubelet: pastItsDeadline,
    },
];

export const lifecycleCases: readonly Case[] = [...endings, ...restarts];
