import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { because, type JournalEntry } from "../../../../steps/lib/journal";
import { notesOf } from "../../../../steps/lib/step";

/** What `because` says of an entry, and what it tells the user. */
async function said(entry: Partial<JournalEntry> | undefined, found?: string) {
    const whole = entry && {
        ...{
            resource: "n-agent",
            undo: "stopNode" as const,
            input: {},
            done: true,
            at: Date.UTC(2026, 10, 28, 12),
        },
        ...entry,
    };
    const { why, notes } = await notesOf(() => Promise.resolve({ why: because(whole, found) }));
    return [why, ...notes];
}

describe("why a step runs again", () => {
    it("is nothing before it has run at all, whatever is found", async () => {
        assert.deepEqual(await said(undefined, "the agent is gone"), [undefined]);
        assert.deepEqual(await said({ done: false }, "the agent is gone"), [undefined]);
    });
    it("is what was found, and told", async () => {
        assert.deepEqual(await said({ output: {} }, "the agent is gone"), [
            "the agent is gone",
            "the agent is gone",
        ]);
    });
    it("stays what it ran for last where all is as it was left: that is no change", async () => {
        assert.deepEqual(await said({ output: {} }), [undefined]);
        assert.deepEqual(await said({ output: {}, input: { because: "it was gone" } }), ["it was gone"]);
    });
    it("is a run that did not come to its end, for what it left is not known", async () => {
        const why = "the last run of n-agent, 2026-11-28T12:00:00Z, did not come to its end: it runs again";
        assert.deepEqual(await said({ output: {}, done: false }), [why, why]);
        assert.deepEqual(await said({ output: {}, done: false, input: { because: "it was gone" } }), [
            why,
            why,
        ]);
    });
    it("of a create that never came to its end is what it was begun for: the state does not know of it", async () => {
        assert.deepEqual(await said({ done: false, input: { because: "it was gone" } }), ["it was gone"]);
    });
    it("is that it was removed, where Pulumi may have been ended before it knew", async () => {
        const why = "n-agent was removed, 2026-11-28T13:00:00Z: it is made anew";
        const undone = Date.UTC(2026, 10, 28, 13);
        assert.deepEqual(await said({ output: {}, undone }), [why, why]);
        assert.deepEqual(await said({ output: {}, undone, input: { because: "it was gone" } }), [why, why]);
    });
});
