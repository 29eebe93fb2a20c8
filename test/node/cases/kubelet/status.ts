// What a pod's status tells besides how its containers are.
import assert from "node:assert/strict";
import { stateOf, statusOf, type Container } from "../../lib/pod";
import type { Case, Story } from "../../runCase";

const goesOn = ["ticks", "500", "0"];
const gate = (name: string) => `example.com/${name}`;

const classes: Case[] = (
    [
        ["BestEffort", undefined],
        ["Burstable", { requests: { memory: "16Mi" }, limits: { memory: "32Mi" } }],
        ["Guaranteed", { limits: { cpu: "100m", memory: "32Mi" } }],
    ] as const
).map(([qosClass, resources]) => ({
    name: `qosClass ${qosClass}, and the generation of the spec`,
    args: goesOn,
    main: { resources },
    expect: { phase: "Running", qosClass, observedGeneration: 1 },
}));

const gates: Case = {
    name: "readiness gates: Ready when their conditions hold",
    args: goesOn,
    spec: { readinessGates: [{ conditionType: gate("a") }, { conditionType: gate("b") }] },
    expect: {
        phase: "Running",
        conditions: { ContainersReady: "True", Ready: "False ReadinessGatesNotReady" },
        messages: {
            Ready:
                `corresponding condition of pod readiness gate "${gate("a")}" does not exist., ` +
                `corresponding condition of pod readiness gate "${gate("b")}" does not exist.`,
        },
    },
};

/** What a container says of its end. */
function says(name: string, args: string[], message: string | RegExp, main: Partial<Container> = {}): Case {
    return {
        name: `terminationMessagePolicy: ${name}`,
        args,
        main: { terminationMessagePolicy: "FallbackToLogsOnError", ...main },
        expect: { containers: { main: { state: /^terminated/, message } } },
    };
}

const messages: Case[] = [
    says("the end of the log, as it is", ["print", "one", "print", "two", "exit", "3"], "one\ntwo\n"),
    says("the last 80 lines", ["lines", "100", "20", "exit", "3"], /^00000021 .*\n(.*\n){78}00000100 .*\n$/),
    says("the last 2048 bytes", ["lines", "100", "60", "exit", "3"], /^[^]{2048}$/),
    says("none of a program that ends well", ["print", "fine"], ""),
    says("none without FallbackToLogsOnError", ["print", "no", "exit", "3"], "", {
        terminationMessagePolicy: "File",
    }),
    {
        name: "terminationMessagePath: a module has no such file",
        args: ["write", "/dev/termination-log", "bye", "exit", "3"],
        expect: { phase: "Failed", containers: { main: { state: "terminated Error 74", message: "" } } },
        kubelet: { phase: "Failed", containers: { main: { state: "terminated Error 3", message: "bye\n" } } },
    },
];

const resources = {
    requests: { cpu: "100m", memory: "16Mi" },
    limits: { cpu: "500m", memory: "32Mi" },
};

/** What a table does not look at. */
export const statusStories: readonly Story[] = [
    {
        name: "resources and mounts: of a container that runs, and of one that was not created yet",
        async run(world) {
            const parts = {
                args: goesOn,
                main: { resources, volumeMounts: [{ name: "v", mountPath: "/v" }] },
                spec: { volumes: [{ name: "v", emptyDir: {} }] },
            };
            const pod = await world.start("status-resources", parts);
            await world.untilPod(
                pod,
                "its resources",
                (now) => statusOf(now)?.resources?.limits !== undefined,
            );
            const status = statusOf(await world.untilRunning(pod));
            assert.deepEqual(
                [status?.resources, status?.allocatedResources],
                [resources, resources.requests],
            );
            const late = await world.start("status-late", {
                main: { envFrom: [{ configMapRef: { name: "never-there" } }] },
            });
            const waiting = statusOf(
                await world.untilPod(late, "waiting", (now) =>
                    stateOf(statusOf(now)?.state).endsWith("CreateContainerConfigError"),
                ),
            );
            assert.equal(waiting?.resources, undefined);
            for (const [one, names] of [
                [status, ["v", "kube-api-access"]],
                [waiting, ["kube-api-access"]],
            ] as const)
                assert.deepEqual(
                    one?.volumeMounts?.map(({ name }) => name.replace(/-\w{5}$/, "")),
                    names,
                );
        },
    },
];

export const statusCases: readonly Case[] = [...classes, gates, ...messages];
