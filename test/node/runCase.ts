// Runs one row of a table: makes the pod, waits until it is as it should be, and says what it is instead when it is not.
import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import type { KubeObject } from "./lib/api";
import { project, type Expected } from "./lib/fit";
import { summary, type Pod, type PodParts, type PodSummary } from "./lib/pod";
import type { World } from "./lib/world";

/** What becomes of a pod. Fields that are not named may be anything, but no container may be left out. */
export interface Outcome extends Expected<PodSummary> {
    /** Reasons of the agent's events in the order in which each came first. `Pulling` is left out. */
    events?: readonly string[];
    /** Each must fit one of the agent's events, written as `<type> <reason>: <message>`. */
    notes?: readonly RegExp[];
    /** Log of the container `main`, or logs by container. */
    log?: string | RegExp | Record<string, string | RegExp>;
    /** How long it may take, in seconds. Default: 40. */
    withinSeconds?: number;
}

/** A row of a table. */
export interface Case extends PodParts {
    /** What it shows. The pod's name is made from it. */
    name: string;
    /** Made before the pod, in its namespace. */
    objects?: readonly KubeObject[];
    expect: Expectation;
    /** What a kubelet makes of it, where that is not the same: docs/node.md says why. */
    kubelet?: Expectation;
    /** What is done then, and what must come of it. */
    then?: readonly Stage[];
}

type Expectation = Outcome | ((pod: Pod, world: World) => Outcome);

export interface Stage {
    /** Objects that are made. */
    make?: readonly KubeObject[];
    /** Objects that are changed: merged into what is there. */
    change?: readonly KubeObject[];
    expect: Outcome;
}

/** A test that a table cannot tell. */
export interface Story {
    name: string;
    run(world: World): Promise<void>;
}

/** A name for objects of Kubernetes from what a test shows. */
export function slug(name: string): string {
    const words = name.toLowerCase().replace(/[^a-z0-9]+/g, "-");
    return words.slice(0, 50).replace(/^-+|-+$/g, "");
}

export async function runCase(world: World, { name, objects = [], then = [], ...test }: Case) {
    const { expect, kubelet = expect, ...parts } = test;
    for (const object of objects) await world.make(object);
    const pod = await world.start(slug(name), parts);
    const expected = world.place.wasm ? expect : kubelet;
    await becomes(world, pod, typeof expected === "function" ? expected(pod, world) : expected);
    for (const stage of then) {
        for (const object of stage.make ?? []) await world.make(object);
        for (const { kind = "", metadata, ...change } of stage.change ?? []) {
            await world.api.patch(kind, world.namespace, metadata.name, { metadata, ...change });
        }
        await becomes(world, pod, stage.expect);
    }
    await world.remove(pod, 0);
}

/** Waits until the pod is as it should be; fails with both, side by side, when its time is up. */
export async function becomes(world: World, pod: Pod, outcome: Outcome): Promise<void> {
    const { withinSeconds, log, ...status } = outcome;
    let compared: [actual: unknown, expected: unknown] = [undefined, status];
    const fits = async () => {
        compared = [project(observed(world, pod, status), status, ["containers", "init"]), status];
        // Logs cost a request: they are worth it once all else fits.
        if (isDeepStrictEqual(...compared) && log !== undefined)
            compared = [project(await logs(world, pod, log), log), log];
        return isDeepStrictEqual(...compared) ? true : undefined;
    };
    try {
        await world.until(`what is expected of pod ${pod.metadata.name}`, fits, { seconds: withinSeconds });
    } catch (error) {
        const [actual, expected] = compared;
        let message = error instanceof Error ? error.message : String(error);
        try {
            assert.deepStrictEqual(actual, expected);
        } catch (difference) {
            message += `\n${(difference as Error).message}`;
        }
        throw new Error(`${message}\n${world.describe(pod)}`, { cause: error });
    }
}

function observed(world: World, pod: Pod, expected: Outcome) {
    const now = world.pods.versions(pod.metadata.uid ?? "").at(-1) ?? pod;
    const events = world.eventsOf(pod);
    // Those of the image's way here depend on what else is pulled at the time.
    const onTheWay = ["Pulling", "Waiting"];
    const reasons = events.map(({ reason }) => reason).filter((reason) => !onTheWay.includes(reason));
    const notes = events.map(({ type, reason, message }) => `${type} ${reason}: ${message}`);
    return {
        ...summary(now),
        events: [...new Set(reasons)],
        notes: expected.notes?.map((wanted) => notes.find((note) => wanted.test(note)) ?? notes.join("\n")),
    };
}

async function logs(world: World, pod: Pod, wanted: NonNullable<Outcome["log"]>) {
    if (typeof wanted === "string" || wanted instanceof RegExp) return world.log(pod);
    const names = Object.keys(wanted);
    const texts = await Promise.all(names.map((container) => world.log(pod, { container })));
    return Object.fromEntries(names.map((container, index) => [container, texts[index]]));
}
