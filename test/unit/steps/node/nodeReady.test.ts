import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { describeConditions, isReady } from "../../../../steps/node/nodeReady";

describe("a node's readiness", () => {
    const launchedAt = Date.parse("2026-01-01T00:00:10.900Z");
    const node = (status: string, lastHeartbeatTime?: string) => ({
        metadata: { name: "n" },
        status: { conditions: [{ type: "Ready", status, reason: "R", message: "M", lastHeartbeatTime }] },
    });
    it("is that of the agent that runs now", () => {
        assert.equal(isReady(node("True", "2026-01-01T00:00:11Z"), launchedAt), true);
        assert.equal(
            isReady(node("True", "2026-01-01T00:00:10Z"), launchedAt),
            true,
            "times are cut to seconds",
        );
        assert.equal(isReady(node("True", "2026-01-01T00:00:09Z"), launchedAt), false);
        assert.equal(isReady(node("False", "2026-01-01T00:00:11Z"), launchedAt), false);
        assert.equal(isReady(node("True"), launchedAt), false);
        assert.equal(isReady({ metadata: { name: "n" } }, launchedAt), false);
    });
    it("is described for an error", () => {
        assert.equal(describeConditions(undefined), "no such Node was registered");
        assert.equal(describeConditions({ metadata: { name: "n" } }), "the Node has no conditions");
        assert.equal(describeConditions(node("False")), "Ready=False (R, M, heartbeat never)");
    });
});
