import assert from "node:assert/strict";
import { isDeepStrictEqual } from "node:util";
import { describe, it } from "node:test";
import { project } from "../../node/lib/fit";
import { padded } from "../../node/lib/scriptedRegistry";
import { stateOf, summary, type Pod } from "../../node/lib/pod";
import { slug } from "../../node/runCase";

const fits = (actual: unknown, expected: unknown, whole: string[] = []) =>
    isDeepStrictEqual(project(actual, expected, whole), expected);

describe("what is expected of a value", () => {
    it("may leave fields out, but not items, and not names of a map that is to be known as a whole", () => {
        const pod = { phase: "Running", containers: { main: { state: "running", restarts: 0 }, side: {} } };
        assert.equal(fits(pod, {}), true);
        assert.equal(fits(pod, { phase: "Running" }), true);
        assert.equal(fits(pod, { phase: "Failed" }), false);
        assert.equal(fits(pod, { reason: "" }), false);
        assert.equal(fits(pod, { containers: { main: { state: "running" } } }), true);
        assert.equal(fits(pod, { containers: { main: { state: "running" } } }, ["containers"]), false);
        assert.equal(fits(pod, { containers: { main: {}, side: {} } }, ["containers"]), true);
        assert.equal(fits(pod, { containers: { main: {}, side: {}, third: {} } }, ["containers"]), false);
        assert.equal(fits({ events: ["a", "b"] }, { events: ["a"] }), false);
        assert.equal(fits({ events: ["a"] }, { events: ["a", "b"] }), false);
        assert.equal(fits({ events: ["a", "b"] }, { events: ["a", /^b$/] }), true);
    });

    it("may be a pattern of a text", () => {
        assert.equal(fits("back-off 10s", /^back-off \d+s$/), true);
        assert.equal(fits("back-off", /^back-off \d+s$/), false);
        assert.equal(fits(10, /10/), false);
        assert.equal(fits(undefined, /u/), false);
        assert.deepEqual(project({ log: "no", more: 1 }, { log: /yes/ }), { log: "no" });
    });
});

describe("a pod in a few words", () => {
    it("tells states, conditions and messages", () => {
        assert.equal(stateOf(undefined), "");
        assert.equal(stateOf({}), "");
        assert.equal(stateOf({ waiting: { reason: "CrashLoopBackOff" } }), "waiting CrashLoopBackOff");
        assert.equal(stateOf({ terminated: { exitCode: 42, reason: "Error" } }), "terminated Error 42");
        const pod: Pod = {
            metadata: { name: "p" },
            spec: { containers: [{ name: "main" }] },
            status: {
                phase: "Running",
                conditions: [
                    { type: "Ready", status: "False", reason: "ContainersNotReady" },
                    { type: "Initialized", status: "True" },
                ],
                containerStatuses: [
                    {
                        name: "main",
                        image: "i",
                        imageID: "id",
                        ready: false,
                        restartCount: 1,
                        state: { waiting: { reason: "CrashLoopBackOff", message: "back-off" } },
                        lastState: { terminated: { exitCode: 1, reason: "Error" } },
                    },
                ],
            },
        };
        assert.deepEqual(summary(pod), {
            phase: "Running",
            reason: "",
            message: "",
            qosClass: "",
            observedGeneration: 0,
            conditions: { Ready: "False ContainersNotReady", Initialized: "True" },
            messages: { Ready: "", Initialized: "" },
            containers: {
                main: {
                    state: "waiting CrashLoopBackOff",
                    message: "back-off",
                    last: "terminated Error 1",
                    restarts: 1,
                    ready: false,
                    started: false,
                    image: "i",
                    imageId: "id",
                },
            },
            init: {},
        });
    });

    it("has a name that Kubernetes takes", () => {
        assert.equal(slug("Always: restarted after success too"), "always-restarted-after-success-too");
        assert.equal(slug(`${"x".repeat(49)}: y`), "x".repeat(49));
    });
});

interface Engine {
    validate(bytes: Buffer): boolean;
    Module: {
        new (bytes: Buffer): object;
        customSections(module: object, name: string): ArrayBuffer[];
    };
}

// Node.js has it; the types of its API belong to browsers.
const { WebAssembly: engine } = globalThis as unknown as { WebAssembly: Engine };

describe("a module with more bytes", () => {
    it("is still one, and as much longer", () => {
        const empty = Buffer.from("\0asm\x01\0\0\0", "latin1");
        for (const more of [0, 100, 119, 120, 20_000]) {
            const module = padded(empty, more);
            assert.equal(engine.validate(module), true, `${more}`);
            const [section] = engine.Module.customSections(new engine.Module(module), "padding");
            assert.equal(section.byteLength, more);
        }
    });
});
