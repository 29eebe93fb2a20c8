/** The figures of pods that serve: how soon one answers after it was applied, and what each takes. Printed, and held to. */
import assert from "node:assert/strict";
import * as http from "node:http";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isReady, serving } from "../cases/serving";
import { inMebibytes, MEBIBYTE } from "../../memory";
import { restart, restedBytes } from "../lib/agent";
import { World } from "../lib/world";

/** Nobody else in the suite listens here, and on as many ports after it. */
const FIRST_PORT = 18300;
const PODS = 101;

/** Aims, and what a busy machine may take before a test fails for it, in milliseconds. */
const ANSWER = { p50: { aim: 100, most: 1000 }, p99: { aim: 300, most: 3000 } };
const POD_BYTES = MEBIBYTE;

/** How long a client waits before it asks again where nobody answers yet, in milliseconds. */
const PAUSE = 2;

/** What is answered; undefined: nothing. */
const answer = (host: string, port: number) =>
    new Promise<string | undefined>((resolve) => {
        const request = http.get({ host, port, path: "/you", agent: false }, (response) => {
            let text = "";
            response.setEncoding("utf8");
            response.on("data", (part: string) => (text += part));
            response.on("end", () => resolve(text));
            response.on("error", () => resolve(undefined));
        });
        request.on("error", () => resolve(undefined));
    });

describe("figures of servers", { timeout: 300_000 }, () => {
    let world: World;
    /** Where the node's pods answer. */
    let host: string;
    const memory = new Map<number, number>();
    const took: number[] = [];

    before(async () => {
        world = await World.open("server-figures");
        await restart();
    });
    after(() => world.close());

    it("the first pod: fetched, compiled, Ready", async () => {
        const pod = await world.start("server-0", serving(FIRST_PORT));
        host = (await world.untilPod(pod, "Ready", isReady)).status.podIP ?? "";
        assert.equal(await answer(host, FIRST_PORT), "Hello, you!\n");
        memory.set(1, await restedBytes());
    });

    it(`${PODS - 1} more, one after the other: each answers`, async () => {
        for (let index = 1; index < PODS; index += 1) {
            const begun = Date.now();
            const port = FIRST_PORT + index;
            await world.start(`server-${index}`, serving(port));
            const text = await world.until(`an answer of server-${index}`, async () => {
                for (let tries = 0; tries < 50; tries += 1) {
                    const found = await answer(host, port);
                    if (found !== undefined) return found;
                    await sleep(PAUSE);
                }
                return undefined;
            });
            took.push(Date.now() - begun);
            assert.equal(text, "Hello, you!\n");
            if ([10, 100].includes(index + 1)) memory.set(index + 1, await restedBytes());
        }
        const sorted = took.toSorted((one, other) => one - other);
        // By nearest rank: the smallest that so many of them do not exceed.
        const [p50, p99] = [0.5, 0.99].map((part) => sorted[Math.ceil(part * sorted.length) - 1]);
        console.log(
            `from its making to its first answer, of ${took.length} pods: p50 ${p50} ms (aim: ${ANSWER.p50.aim}), ` +
                `p99 ${p99} ms (aim: ${ANSWER.p99.aim}), the slowest ${sorted.at(-1)} ms`,
        );
        assert.ok(p50 <= ANSWER.p50.most && p99 <= ANSWER.p99.most, took.join(" "));
    });

    it("what each takes", () => {
        for (const [pods, bytes] of memory)
            console.log(`with ${pods} servers: ${inMebibytes(bytes)} resident`);
        const each = ((memory.get(100) ?? Infinity) - (memory.get(1) ?? 0)) / 99;
        console.log(`${inMebibytes(each)} for each after the first (aim: ${inMebibytes(POD_BYTES)})`);
        assert.ok(each <= POD_BYTES, inMebibytes(each));
    });
});
