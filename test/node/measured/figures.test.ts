/** The figures of issue and README: memory of the agent, and how quickly a full node is Ready. Printed, and held to. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { inMebibytes, MEBIBYTE } from "../../memory";
import { restart, restedBytes } from "../lib/agent";
import { podOf, type Pod } from "../lib/pod";
import { underTest } from "../underTest";
import { timeOf, World } from "../lib/world";

/** Aims, and what a busy machine may take before a test fails for it. */
const IDLE_BYTES = 40 * MEBIBYTE;
const POD_BYTES = 0.5 * MEBIBYTE;
/** As many as a kubelet takes by default. */
const PODS = 110;
const READY = { aimSeconds: 5, mostSeconds: 10 };

const readySince = (pod: Pod) => {
    const ready = pod.status.conditions?.find(({ type }) => type === "Ready");
    return ready?.status === "True" ? timeOf(ready.lastTransitionTime) : undefined;
};

describe("figures", { timeout: 240_000 }, () => {
    const { modules } = underTest();
    let world: World;
    let idle: number;
    let first: number;

    before(async () => {
        world = await World.open("figures");
        await restart();
    });
    after(async () => {
        await world.close();
    });

    /** A pod like hello-world's that goes on: it prints a line and sleeps. */
    const sleeper = (name: string) =>
        podOf(world.namespace, name, {
            main: { image: modules.ticker.image, args: ["3600000"] },
            spec: { restartPolicy: "Always" },
        });

    it("the idle agent's memory", async () => {
        idle = await restedBytes();
        console.log(`idle: ${inMebibytes(idle)} resident (aim: ${inMebibytes(IDLE_BYTES)})`);
        assert.ok(idle < IDLE_BYTES, inMebibytes(idle));
    });

    it("the first pod of a module: fetched, compiled, Ready", async () => {
        const begun = Date.now();
        const pod = (await world.api.create(sleeper("sleeper-000"))) as Pod;
        await world.untilRunning(pod);
        console.log(`first pod: Running ${((Date.now() - begun) / 1000).toFixed(2)} s after it was made`);
        first = await restedBytes();
        console.log(`with one pod: ${inMebibytes(first)} resident`);
    });

    it(`${PODS} pods, applied at once: all Ready`, async () => {
        const more = PODS - 1;
        const names = Array.from(
            { length: more },
            (_, index) => `sleeper-${String(index + 1).padStart(3, "0")}`,
        );
        const list = { apiVersion: "v1", kind: "List", items: names.map(sleeper) };
        const begun = Date.now();
        const applied = await world.kubectl(["apply", "--filename=-"], { input: JSON.stringify(list) });
        assert.equal(applied.exitCode, 0, applied.stderr);
        const appliedIn = (Date.now() - begun) / 1000;
        const ours = () => world.pods.all().filter(({ metadata }) => metadata.namespace === world.namespace);
        const ready = () => ours().filter((pod) => readySince(pod) !== undefined);
        await world.until(`${PODS} pods Ready`, () => (ready().length === PODS ? true : undefined), {
            seconds: 60,
            explain: () => {
                const late = ours().find((pod) => readySince(pod) === undefined);
                return `${ready().length} of ${ours().length} are\n${late ? world.describe(late) : ""}`;
            },
        });
        const seconds = (Date.now() - begun) / 1000;
        const created = Math.max(...ours().map(({ metadata }) => timeOf(metadata.creationTimestamp)));
        const last = Math.max(...ours().map((pod) => readySince(pod) ?? 0));
        console.log(
            `${PODS} pods: all Ready ${seconds.toFixed(2)} s after kubectl apply was begun ` +
                `(aim: ${READY.aimSeconds} s), which itself took ${appliedIn.toFixed(2)} s; by the API server's times the ` +
                `last was Ready ${(last - created) / 1000} s after the last was made`,
        );
        assert.ok(seconds <= READY.mostSeconds, `${seconds} s`);
    });

    it("each further pod's memory", async () => {
        const full = await restedBytes();
        const each = (full - first) / (PODS - 1);
        console.log(
            `with ${PODS} pods: ${inMebibytes(full)} resident, ${inMebibytes(each)} for each after the first ` +
                `(aim: ${inMebibytes(POD_BYTES)})`,
        );
        assert.ok(each <= POD_BYTES, inMebibytes(each));
    });
});
