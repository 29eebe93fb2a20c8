/** Forty hostile clients of one pod: others are served meanwhile, the node is as it was, and the pod serves once they are gone. */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { inMebibytes, MEBIBYTE } from "../../memory";
import { isReady, serving } from "../cases/serving";
import { agent, renewedAt, residentBytes } from "../lib/agent";
import { pathOf } from "../lib/api";
import { greatest, timed } from "../lib/measure";
import { statusOf, type Pod } from "../lib/pod";
import { holding, World } from "../lib/world";
import { hostileClients } from "./clients";

/** Nobody else in the suite listens there. */
const PORTS = { attacked: 18195, other: 18196 };
const SECONDS = 25;
/** How long an answer may take on a busy machine, in milliseconds. A tenth of it and less is what was seen on a quiet one. */
const SLOWEST = 30_000;

describe("hostile clients", { timeout: 300_000 }, () => {
    let world: World;
    let attacked: Pod;
    let other: Pod;

    before(async () => {
        world = await World.open("hostile-clients");
        attacked = await world.start("attacked", serving(PORTS.attacked));
        other = await world.start("other", serving(PORTS.other));
        for (const pod of [attacked, other]) await world.untilPod(pod, "Ready", isReady);
    });
    after(() => world.close());

    const now = (pod: Pod) => world.pods.versions(pod.metadata.uid ?? "").at(-1) as Pod;

    it("of one pod take nothing from the others, the node or its log port, and the pod serves when they are gone", async () => {
        const { pid } = agent();
        const host = now(attacked).status.podIP ?? "";
        const ask = async (port: number) => {
            const response = await fetch(`http://${host}:${port}/you`, {
                signal: AbortSignal.timeout(SLOWEST),
            });
            assert.equal(await response.text(), "Hello, you!\n");
            return true;
        };
        const byApi = async () => {
            const pod = pathOf("Pod", world.namespace, `other:${PORTS.other}`);
            assert.equal(await world.api.text(`${pod}/proxy/you`), "Hello, you!\n");
        };
        const descriptors = () => readdirSync(`/proc/${pid}/fd`).length;
        const idle = { descriptors: descriptors(), bytes: residentBytes() };
        const [answers, answersByApi, open, memory]: number[][] = [[], [], [], []];
        const renewals = new Set<number>();
        let isOver = false;
        const attack = hostileClients({ host, port: PORTS.attacked, seconds: SECONDS }).finally(() => {
            isOver = true;
        });
        while (!isOver) {
            answers.push(await timed(() => ask(PORTS.other)));
            answersByApi.push(await timed(byApi));
            await world.log(other);
            open.push(descriptors());
            memory.push(residentBytes());
            renewals.add(await renewedAt(world));
            assert.deepEqual(holding(await world.nodeObject()), ["Ready"]);
            await sleep(100);
        }
        const deeds = await attack;
        const again = await timed(() =>
            world.until("the attacked pod serves", () => ask(PORTS.attacked).catch(() => undefined)),
        );
        const most = { descriptors: greatest(open) - idle.descriptors, bytes: greatest(memory) - idle.bytes };
        console.log(
            `${SECONDS} s of hostile clients: ${answers.length} answers of another pod, the slowest ${greatest(answers)} ms, ` +
                `by the API server ${greatest(answersByApi)} ms; the agent had ${most.descriptors} descriptors and ` +
                `${inMebibytes(most.bytes)} more than before; the attacked pod served ${again} ms after them`,
        );
        for (const [way, { connected, ended, statuses }] of Object.entries(deeds))
            console.log(`  ${way}: ${connected} connections, ${ended} ended, ${JSON.stringify(statuses)}`);
        // Each way got through to the server.
        for (const [way, { connected }] of Object.entries(deeds)) assert.ok(connected > 0, way);
        // And these were ended by it within the time.
        for (const way of ["slow headers", "smuggles", "rapid reset", "continuation", "endless bodies"])
            assert.ok(deeds[way].ended > 0, `${way}: ${JSON.stringify(deeds[way])}`);
        assert.deepEqual(Object.keys(deeds.smuggles.statuses), ["400"]);
        // 1,024 connections at most, with what an instance of each request has.
        assert.ok(most.descriptors < 2500, String(most.descriptors));
        assert.ok(most.bytes < 1024 * MEBIBYTE, String(most.bytes));
        assert.ok(greatest([...answers, ...answersByApi]) < SLOWEST);
        assert.ok(renewals.size > 1);
        for (const pod of [attacked, other]) {
            assert.ok(isReady(now(pod)), world.describe(pod));
            assert.equal(statusOf(now(pod))?.restartCount, 0);
        }
        assert.equal(agent().pid, pid);
    });
});
