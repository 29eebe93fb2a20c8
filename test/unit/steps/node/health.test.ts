/** When an agent that runs is taken to hang. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { silence } from "../../../../steps/node/agent/health";

const now = Date.parse("2026-11-28T12:00:00Z");
const heard = "2026-11-28T11:50:00Z";
const node = (status: string, secondsAgo: number) => ({
    metadata: { name: "n" },
    status: {
        conditions: [
            {
                type: "Ready",
                status,
                lastHeartbeatTime: heard,
                lastTransitionTime: new Date(now - secondsAgo * 1000).toISOString(),
            },
        ],
    },
});

test("one that the cluster has not heard of for longer than a heartbeat takes", () => {
    assert.equal(
        silence(node("Unknown", 31), now),
        `runs, but the cluster has not heard of it since ${heard}`,
    );
});
test("not one of a cluster that has just gone on, and says so of every node", () => {
    assert.equal(silence(node("Unknown", 5), now), undefined);
});
test("not one that is Ready, says itself that it is not, or has said nothing yet", () => {
    assert.equal(silence(node("True", 600), now), undefined);
    assert.equal(silence(node("False", 600), now), undefined);
    assert.equal(silence({ metadata: { name: "n" } }, now), undefined);
});
