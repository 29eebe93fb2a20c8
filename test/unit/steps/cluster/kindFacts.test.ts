import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { NotReady, patiently } from "../../../../steps/cluster/kind/kindFacts";
import { StepError } from "../../../../steps/lib/errors";

describe("a cluster that has just been made", () => {
    /** Fails with these, one after the other, and is well after them. */
    const failing = (...errors: Error[]) => {
        let looks = 0;
        const look = () => {
            const error = errors.at(looks++);
            return error === undefined ? Promise.resolve(looks) : Promise.reject(error);
        };
        return look;
    };
    const late = new NotReady("node w is not Ready");

    it("is waited for where a node of it is not Ready yet: kind waits for control planes alone", async () => {
        assert.equal(await patiently(30, failing(late)), 2);
    });
    it("is at fault where it stays so, with what was wrong last", async () => {
        await assert.rejects(patiently(0.4, failing(new NotReady("first"), late, late)), {
            message: late.message,
        });
    });
    it("is at fault at once by whatever no time mends", async () => {
        await assert.rejects(patiently(30, failing(new StepError("gone"))), { message: "gone" });
    });
});
