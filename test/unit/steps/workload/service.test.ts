import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { anyReady, leadsOn } from "../../../../steps/workload/serving/service";
import type { WorkloadPod } from "../../../../steps/workload/workload";

void describe("a workload's Service", () => {
    const pod = (status: string | undefined): WorkloadPod => ({
        metadata: { name: "a", uid: "1" },
        status: { conditions: status === undefined ? [] : [{ type: "Ready", status }] },
    });
    void it("is to lead somewhere once a pod is Ready", () => {
        assert.equal(anyReady([]), false);
        assert.equal(anyReady([pod("False"), pod(undefined)]), false);
        assert.equal(anyReady([pod("False"), pod("True")]), true);
    });
    void it("leads on by an endpoint that takes requests, or of which nothing is said", () => {
        assert.equal(leadsOn({ endpoints: null }), false);
        assert.equal(leadsOn({ endpoints: [] }), false);
        assert.equal(leadsOn({ endpoints: [{ conditions: { ready: false } }] }), false);
        assert.equal(leadsOn({ endpoints: [{}] }), true);
        assert.equal(
            leadsOn({ endpoints: [{ conditions: { ready: false } }, { conditions: { ready: true } }] }),
            true,
        );
    });
});
