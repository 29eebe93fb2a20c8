// Pods of several containers: those that come before the others, beside them, or run for as long as they do.
import { probe } from "../../lib/pod";
import type { Case } from "../../runCase";
import { mounts } from "../objects";
import { completed, data, pausing, started } from "./lifecycle";

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
        kubelet: {
            phase: "Pending",
            init: { init: { state: pausing("Error 1"), last: "terminated Error 1" } },
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

export const containerCases: readonly Case[] = [...initContainers, ...several];
