// Stories of how pods end: by themselves and again, by deletion, at each point of their lives.
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import * as path from "node:path";
import { agentFiles } from "../../../../steps/node/agent/agent";
import {
    probe,
    stateOf,
    statusOf,
    type Container,
    type ContainerStatus,
    type Pod,
    type PodSpec,
} from "../../lib/pod";
import { slug, type Story } from "../../runCase";
import { scripted } from "../../lib/scriptedRegistry";
import { underTest } from "../../underTest";
import { terminationOf, timeOf, type World } from "../../lib/world";

const seconds = (from: string | undefined, to: string | undefined) => (timeOf(to) - timeOf(from)) / 1000;

/** What a busy machine may add to a time, in seconds; a runtime of containers takes longer, and a kubelet looks now and then. */
const slack = ({ place }: World) => (place.wasm ? 2 : 20);

/** How long a program has to run to be reported as running, in milliseconds: a kubelet looks once a second, and may take seconds for it. */
const reported = ({ place }: World) => (place.wasm ? 1500 : 8000);

function within(what: string, actual: number, least: number, most: number): void {
    assert.ok(actual >= least && actual <= most, `${what}: ${actual} s, not between ${least} and ${most} s`);
}

/** Nothing is left of a pod on the node, neither in memory nor on disk. */
async function leavesNothing(world: World, pod: Pod): Promise<void> {
    await world.until(`nothing left of pod ${pod.metadata.name}`, async () => {
        const { status, text } = await world.node("pods");
        assert.equal(status, 200, text);
        const uid = pod.metadata.uid ?? "";
        const files = await world.filesOf(pod);
        // Not even its folder, where that can be seen from here.
        const { dataDir } = agentFiles(underTest().node.stateDir);
        const folders = world.place.wasm ? readdirSync(path.join(dataDir, "pods")) : [];
        const left = text.includes(uid) || folders.some((folder) => folder.includes(uid));
        return files.length === 0 && !left ? true : undefined;
    });
}

const crashing: Story[] = [
    {
        name: "CrashLoopBackOff: at once, after 10 s, after 20 s",
        async run(world) {
            const pod = await world.start("back-off", {
                args: ["sleep", String(reported(world) / 2), "exit", "1"],
                spec: { restartPolicy: "Always" },
            });
            await world.untilPod(pod, "its third restart", (now) => statusOf(now)?.restartCount === 3, 90);
            await world.untilPod(pod, "the pause after it", (now) => {
                const { restartCount, state } = statusOf(now) ?? {};
                return restartCount === 3 && state?.running === undefined;
            });
            const runs = world
                .history(pod, (now) => statusOf(now))
                .flatMap(({ state, lastState }) => [lastState?.terminated, state?.terminated])
                .filter((one) => one !== undefined);
            const ends = new Map(runs.map((one) => [one.containerID, one]));
            assert.equal(ends.size, 4, JSON.stringify(runs));
            const attempts = [...ends.values()];
            const pauses = attempts
                .slice(1)
                .map(({ startedAt }, index) => seconds(attempts[index].finishedAt, startedAt));
            within("the first pause", pauses[0], 0, slack(world));
            within("the second pause", pauses[1], 10, 10 + slack(world));
            within("the third pause", pauses[2], 20, 20 + slack(world));
            const messages = world.history(pod, (now) => statusOf(now)?.state?.waiting?.message);
            const [begin, end] = [
                "back-off ",
                ` restarting failed container=main pod=back-off_${world.namespace}(`,
            ];
            const told = messages.map((text) => text.slice(begin.length, text.indexOf(end)));
            const all = ["10s", "20s", "40s"];
            // A kubelet may leave the state as it was at the end of the run for as long as it pauses.
            if (world.place.wasm) assert.deepEqual(told, all);
            else
                assert.ok(told.length > 0 && told.every((pause) => all.includes(pause)), messages.join("\n"));
            await world.remove(pod, 0);
        },
    },
    {
        name: "a container's status tells all that there is to know of it",
        async run(world) {
            const { modules } = underTest();
            const { nodeIp } = world.place;
            const begun = Math.floor(Date.now() / 1000) * 1000;
            const pod = await world.start("status-fields", {
                args: ["print", "x", "sleep", String(reported(world)), "exit", "42"],
            });
            const running = await world.untilRunning(pod);
            const { hostIP, hostIPs, startTime } = running.status;
            assert.deepEqual({ hostIP, hostIPs }, { hostIP: nodeIp, hostIPs: [{ ip: nodeIp }] });
            assert.ok(timeOf(startTime) >= begun && timeOf(startTime) <= Date.now());
            const { containerID, volumeMounts, ...status } = statusOf(running) as ContainerStatus;
            const { startedAt } = status.state?.running ?? {};
            assert.match(containerID ?? "", /^(wasmtime|containerd):\/\/\S+$/);
            assert.deepEqual(
                { ...status, state: stateOf(status.state), lastState: stateOf(status.lastState) },
                {
                    name: "main",
                    image: modules.probe.image,
                    imageID: modules.probe.imageId,
                    ready: true,
                    started: true,
                    restartCount: 0,
                    state: "running",
                    lastState: "",
                    resources: {},
                },
            );
            assert.deepEqual(
                volumeMounts?.map(({ name, ...mount }) => ({ ...mount, name: name.replace(/-\w+$/, "") })),
                [
                    {
                        name: "kube-api-access",
                        mountPath: "/var/run/secrets/kubernetes.io/serviceaccount",
                        readOnly: true,
                        recursiveReadOnly: "Disabled",
                    },
                ],
            );

            const ended = await world.untilEnded(pod);
            const end = terminationOf(ended);
            assert.deepEqual(
                { ...end, finishedAt: undefined },
                { exitCode: 42, reason: "Error", startedAt, finishedAt: undefined, containerID },
            );
            const took = Math.floor(reported(world) / 1000);
            within("the run", seconds(end?.startedAt, end?.finishedAt), took, took + 1 + slack(world));
            for (const { type, lastTransitionTime } of ended.status.conditions ?? [])
                assert.ok(timeOf(lastTransitionTime) >= begun, type);
            await world.remove(pod, 0);
        },
    },
    {
        name: "events: of a good pod, by container and in order; of a bad one, as warnings",
        async run(world) {
            const { image } = underTest().modules.probe;
            const told = (pod: Pod) =>
                world
                    .eventsOf(pod)
                    .map(({ type, reason, message, involvedObject }) => ({
                        type,
                        reason,
                        message,
                        of: involvedObject.fieldPath,
                    }))
                    .filter(({ reason }) => reason !== "Pulling");
            const good = await world.start("good-events", { args: ["ticks", "500", "0"] });
            await world.untilRunning(good);
            const events = await world.until("three events", () =>
                told(good).length >= 3 ? told(good) : undefined,
            );
            const of = "spec.containers{main}";
            assert.deepEqual(
                events.map(({ type, reason, of }) => ({ type, reason, of })),
                ["Pulled", "Created", "Started"].map((reason) => ({ type: "Normal", reason, of })),
            );
            assert.match(events[0].message, new RegExp(`mage "${image}"`));
            await world.remove(good, 1);
            const killing = await world.until("Killing", () =>
                told(good).find(({ reason }) => reason === "Killing"),
            );
            assert.deepEqual(killing, {
                type: "Normal",
                reason: "Killing",
                message: "Stopping container main",
                of,
            });

            const absent = image.replace("/probe:", "/absent:");
            const bad = await world.start("bad-events", { main: { image: absent } });
            const back = await world.until(
                "BackOff",
                () => (told(bad).some(({ reason }) => reason === "BackOff") ? told(bad) : undefined),
                { explain: () => world.describe(bad) },
            );
            const failed = back.filter(({ reason }) => reason === "Failed");
            assert.deepEqual([...new Set(failed.map(({ type }) => type))], ["Warning"]);
            assert.ok(
                failed.some(({ message }) => message.startsWith(`Failed to pull image "${absent}": `)),
                JSON.stringify(failed),
            );
            assert.match(
                back.find(({ reason }) => reason === "BackOff")?.message ?? "",
                new RegExp(`^Back-off pulling image "${absent}"`),
            );
            await world.remove(bad, 0);
        },
    },
];

const deletions: Story[] = [
    {
        name: "deletion: an endless loop has its grace, and then its end",
        async run(world) {
            const pod = await world.start("loop-grace", {
                args: ["print", "busy", "loop"],
                spec: { restartPolicy: "Always", terminationGracePeriodSeconds: 3 },
            });
            await world.untilRunning(pod);
            const begun = Date.now();
            await world.remove(pod);
            within("gone", await world.untilGone(pod, begun), 3, 5 + slack(world));
            const states = world.history(pod, (now) => stateOf(statusOf(now)?.state));
            assert.match(states.at(-1) ?? "", /^terminated \w+ 137$/, states.join("\n"));
            // The agent does not keep the pod for its sake.
            await world.until("the event of its end", () =>
                world.eventsOf(pod).some(({ reason }) => reason === "Killing") ? true : undefined,
            );
            await leavesNothing(world, pod);
        },
    },
    {
        name: "deletion: a program that ends in its grace keeps its exit code, and is not waited for any longer",
        async run(world) {
            const pod = await world.start("own-end", {
                args: ["print", "last words", "sleep", "3000", "exit", "7"],
                spec: { restartPolicy: "Always", terminationGracePeriodSeconds: 30 },
            });
            await world.untilRunning(pod);
            const begun = Date.now();
            await world.remove(pod);
            within("gone", await world.untilGone(pod, begun), 0, 4 + slack(world));
            const states = world.history(pod, (now) => stateOf(statusOf(now)?.state));
            assert.equal(states.at(-1), "terminated Error 7", states.join("\n"));
        },
    },
    {
        name: "deletion: a grace that the request makes shorter",
        async run(world) {
            const pod = await world.start("shorter", {
                args: ["loop"],
                spec: { terminationGracePeriodSeconds: 40 },
            });
            await world.untilRunning(pod);
            const begun = Date.now();
            await world.remove(pod);
            await world.remove(pod, 1);
            // A kubelet may have begun to wait for the longer one, and then goes on with that.
            const most = world.place.wasm ? 3 : 40;
            within("gone", await world.untilGone(pod, begun, 90), 1, most + slack(world));
        },
    },
    {
        name: "deletion: a preStop hook is within the grace",
        async run(world) {
            const pod = await world.start("pre-stop", {
                args: ["ticks", "100", "0"],
                main: { lifecycle: { preStop: { sleep: { seconds: 6 } } } },
                spec: { terminationGracePeriodSeconds: 8 },
            });
            await world.untilRunning(pod);
            const begun = Date.now();
            await world.remove(pod);
            within("gone", await world.untilGone(pod, begun), 8, 10 + slack(world));
        },
    },
    {
        name: "deletion with grace 0: nothing of it goes on running",
        async run(world) {
            const pod = await world.start("grace-zero", {
                args: ["loop"],
                spec: { restartPolicy: "Always", terminationGracePeriodSeconds: 60 },
            });
            await world.untilRunning(pod);
            assert.notEqual((await world.filesOf(pod)).length, 0);
            const begun = Date.now();
            await world.remove(pod, 0);
            within("gone", await world.untilGone(pod, begun), 0, slack(world));
            await leavesNothing(world, pod);
            within("left the node", (Date.now() - begun) / 1000, 0, 3 + slack(world));
        },
    },
];

/** A moment at which a pod may be deleted before its program has come to run. */
interface Moment {
    when: string;
    /** State of the container that tells. */
    state: RegExp;
    /** Where a kubelet says something else besides. Default: the same. */
    kubelet?: RegExp;
    container?: string;
    main?: () => Partial<Container>;
    spec?: Partial<PodSpec>;
    /** How long the end may take, in seconds. Default: 1, for nothing has to be given any grace. */
    most?: number;
    /** The program has run before. */
    ran?: true;
}

const moments: Moment[] = [
    {
        when: "while it is being pulled",
        state: /^waiting ContainerCreating$/,
        main: () => ({ image: scripted("slow/module:v1") }),
    },
    {
        when: "while its pull backs off",
        state: /^waiting ImagePullBackOff$/,
        main: () => ({ image: "localhost:1/nothing:v1" }),
    },
    {
        when: "while it waits for what is missing",
        state: /^waiting CreateContainerConfigError$/,
        main: () => ({ envFrom: [{ configMapRef: { name: "never-there" } }] }),
    },
    {
        when: "while it backs off",
        state: /^waiting CrashLoopBackOff$/,
        // It may leave it as it ended.
        kubelet: /^(waiting CrashLoopBackOff|terminated Error 1)$/,
        main: () => ({ args: ["exit", "1"] }),
        ran: true,
    },
    {
        when: "while an init container runs",
        state: /^running$/,
        container: "init",
        spec: { terminationGracePeriodSeconds: 1 },
        most: 2,
    },
];

const early: Story[] = moments.map(({ when, container = "main", main, spec, most = 1, ran, ...moment }) => ({
    name: `deletion ${when}: it goes at once`,
    async run(world) {
        const initContainers = container === "init" ? [probe("init", ["sleep", "60000"])] : [];
        const pod = await world.start(slug(`deleted ${when}`), {
            main: main?.(),
            spec: { restartPolicy: "Always", terminationGracePeriodSeconds: 30, initContainers, ...spec },
        });
        const state = world.place.wasm ? moment.state : (moment.kubelet ?? moment.state);
        await world.untilPod(pod, String(state), (now) =>
            state.test(stateOf(statusOf(now, container)?.state)),
        );
        const begun = Date.now();
        await world.remove(pod);
        within("gone", await world.untilGone(pod, begun), 0, most + slack(world));
        const states = world.history(pod, (now) => stateOf(statusOf(now)?.state));
        if (!ran) assert.ok(!states.includes("running"), states.join("\n"));
        await leavesNothing(world, pod);
    },
}));

export const endingStories: readonly Story[] = [...crashing, ...deletions, ...early];
