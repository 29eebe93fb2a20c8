/** Many more pods than a kubelet takes by default, on one node: all run, are answered for, come back, and go. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { inMebibytes, MEBIBYTE } from "../../memory";
import { connectionsTo, kill, launch, renewedAt, restart, restedBytes } from "../lib/agent";
import { pathOf } from "../lib/api";
import { longestPause } from "../lib/measure";
import { podOf, type Pod } from "../lib/pod";
import { underTest } from "../underTest";
import { World } from "../lib/world";

const PODS = 500;
/** What the suite's other tests leave, and those that may come. */
const SETTINGS = { maxPods: PODS + 20 };

/** What a busy machine may take before a test fails for it, in seconds. */
const PATIENCE = 180;
const POD_BYTES = 0.5 * MEBIBYTE;
/** The Node's controller takes one for lost that is not heard of for as long, in seconds. */
const LOST = 40;
/** Watches, and as many as the agent asks at once. */
const CONNECTIONS = 20;

const isReady = (pod: Pod) =>
    pod.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;
const attempts = (pod: Pod) => pod.status.containerStatuses?.[0]?.restartCount ?? 0;

describe(`a node of ${PODS} pods`, { timeout: 900_000 }, () => {
    const { modules } = underTest();
    let world: World;
    let idle: number;
    const renewals: number[] = [];
    let looking: NodeJS.Timeout;

    const ours = () => world.pods.all().filter(({ metadata }) => metadata.namespace === world.namespace);
    /** Waits until so many are so; how long that took, in seconds. */
    const untilAll = async (what: string, test: (pod: Pod) => boolean, since: number) => {
        await world.until(
            `${PODS} pods ${what}`,
            () => (ours().filter(test).length === PODS ? true : undefined),
            {
                seconds: PATIENCE,
                explain: () => {
                    const late = ours().find((pod) => !test(pod));
                    return `${ours().filter(test).length} of ${ours().length} are\n${late ? world.describe(late) : ""}`;
                },
            },
        );
        const took = (Date.now() - since) / 1000;
        console.log(`${PODS} pods: all ${what} after ${took.toFixed(1)} s`);
    };
    const apply = async (pods: object[]) => {
        const list = JSON.stringify({ apiVersion: "v1", kind: "List", items: pods });
        const applied = await world.kubectl(["apply", "--filename=-"], {
            input: list,
            timeoutSeconds: PATIENCE,
        });
        assert.equal(applied.exitCode, 0, applied.stderr);
    };
    const names = (name: string) => Array.from({ length: PODS }, (_, index) => `${name}-${index}`);

    before(async () => {
        world = await World.open("scale");
        await restart(SETTINGS);
        idle = await restedBytes();
        looking = setInterval(
            () =>
                void renewedAt(world).then(
                    (at) => renewals.push(at),
                    () => undefined,
                ),
            2000,
        );
    });
    const removeAll = async () => {
        // One request for all of them, which takes the API server longer than another.
        const answer = await world.api.request(
            "DELETE",
            pathOf("Pod", world.namespace),
            { apiVersion: "v1", kind: "DeleteOptions", gracePeriodSeconds: 1 },
            {},
            PATIENCE,
        );
        assert.equal(answer.status, 200, JSON.stringify(answer).slice(0, 500));
        const gone = () => (ours().length === 0 ? true : undefined);
        await world.until("their end in the watch", gone, { seconds: PATIENCE });
    };
    after(async () => {
        clearInterval(looking);
        try {
            await removeAll();
        } finally {
            await world.close();
            await restart();
        }
    });

    it("all run, in little memory", async () => {
        const sleeper = (name: string) =>
            podOf(world.namespace, name, {
                main: { image: modules.ticker.image, args: ["3600000"] },
                spec: { restartPolicy: "Always" },
            });
        const since = Date.now();
        await apply(names("sleeper").map(sleeper));
        await untilAll("Ready", isReady, since);
        const bytes = (await restedBytes()) - idle;
        console.log(`${inMebibytes(bytes / PODS)} resident for each`);
        assert.ok(bytes / PODS <= POD_BYTES, inMebibytes(bytes / PODS));
    });

    it("it has few connections to the API server, whatever it runs", () => {
        const connections = connectionsTo(Number(world.api.base.port));
        console.log(`${connections} connections to the API server`);
        assert.ok(connections >= 1 && connections <= CONNECTIONS, String(connections));
    });

    it("each is answered for: its log is read, the last one's too", async () => {
        for (const name of [0, PODS / 2, PODS - 1].map((index) => `sleeper-${index}`)) {
            const logs = await world.kubectl(["logs", name, `--namespace=${world.namespace}`]);
            assert.match(logs.stdout, /\S/, logs.stderr);
        }
    });

    it("and the node was heard of all the time", () => {
        clearInterval(looking);
        const pause = longestPause(renewals) / 1000;
        console.log(`the Lease's longest pause: ${pause.toFixed(1)} s`);
        assert.ok(renewals.length > 0 && pause < LOST, `${pause} s`);
    });

    it("an agent that is killed has all of them again, each started once more", async () => {
        await kill(world);
        const since = Date.now();
        await launch(SETTINGS);
        await untilAll("Ready once more", (pod) => isReady(pod) && attempts(pod) === 1, since);
    });

    it("all that are deleted go", async () => {
        const since = Date.now();
        await removeAll();
        console.log(`${PODS} pods: all gone after ${((Date.now() - since) / 1000).toFixed(1)} s`);
    });

    it("as many that end are each told as they ended", async () => {
        const short = (name: string) =>
            podOf(world.namespace, name, {
                main: { image: modules.hello.image },
                spec: { restartPolicy: "Never" },
            });
        const since = Date.now();
        await apply(names("short").map(short));
        await untilAll("ended", ({ status }) => status.phase === "Succeeded", since);
        const codes = ours().map(({ status }) => status.containerStatuses?.[0]?.state?.terminated?.exitCode);
        assert.deepEqual(new Set(codes), new Set([0]));
    });
});
