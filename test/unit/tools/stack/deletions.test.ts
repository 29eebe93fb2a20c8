import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { maybeDeleted } from "../../../../tools/stack/deletions";

const role = { urn: "urn:role", type: "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole" };
const pod = { urn: "urn:pod", type: "kubernetes:core/v1:Pod" };
const step = { urn: "urn:step", type: "command:local:Command" };
const provider = { urn: "urn:provider", type: "pulumi:providers:kubernetes" };
const resources = [provider, step, role, pod];
const at = (type: string, ...those: typeof resources) => those.map((resource) => ({ resource, type }));

void describe("what a run that was ended may have deleted", () => {
    for (const [what, pending_operations, last, found] of [
        ["the objects that the engine was at when it was killed", at("deleting", pod, step), {}, ["urn:pod"]],
        ["nothing that it was about to make", at("creating", pod), {}, []],
        [
            "each object where the last run could not delete all",
            [],
            { kind: "destroy", result: "failed" },
            ["urn:pod", "urn:role"],
        ],
        ["nothing where that was an update", [], { kind: "update", result: "failed" }, []],
        ["nothing where all went well", [], { kind: "update", result: "succeeded" }, []],
        ["nothing where there was no run", [], undefined, []],
    ] as const)
        void it(what, () => {
            assert.deepEqual(
                maybeDeleted({ resources, pending_operations: [...pending_operations] }, last),
                found,
            );
        });
});
