/** Who has set which fields of an object, as the API server tells it. */
import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { fieldsOf, othersOf, type ManagedFields } from "../../../../steps/workload/fields";

const object = (...managedFields: ManagedFields[]) => ({ metadata: { managedFields } });
const pulumi = (fieldsV1: object, subresource?: string): ManagedFields => ({
    manager: "pulumi-kubernetes-1a2b3c4d",
    operation: "Apply",
    time: "2026-11-28T12:00:00Z",
    fieldsV1,
    subresource,
});
const ours = { "f:spec": { "f:replicas": {}, "f:template": {} } };

describe("what Pulumi has set in an object", () => {
    it("is the same whatever the order, and whoever else has set what else", () => {
        const same = { "f:spec": { "f:template": {}, "f:replicas": {} } };
        const other = { manager: "kube-controller-manager", operation: "Update", subresource: "status" };
        assert.equal(fieldsOf(object(pulumi(ours))), fieldsOf(object(other, pulumi(same))));
        assert.match(fieldsOf(object(pulumi(ours))) ?? "", /^[0-9a-f]{64}$/);
    });
    it("is less when somebody has set a field of it to another value", () => {
        const less = { "f:spec": { "f:template": {} } };
        assert.notEqual(fieldsOf(object(pulumi(ours))), fieldsOf(object(pulumi(less))));
    });
    it("is not its status", () => {
        const status = pulumi({ "f:status": {} }, "status");
        assert.equal(fieldsOf(object(pulumi(ours), status)), fieldsOf(object(pulumi(ours))));
    });
    it("is not known where the API server tells of none", () => {
        assert.equal(fieldsOf({ metadata: {} }), undefined);
        assert.equal(fieldsOf(object({ manager: "kubectl-scale", fieldsV1: ours })), undefined);
    });
});

describe("who else has set fields", () => {
    it("is named with the time, but for controllers that tell its status and for others that apply", () => {
        assert.equal(
            othersOf(
                object(
                    pulumi(ours),
                    { manager: "kubectl-edit", operation: "Update", time: "2026-11-28T12:30:00Z" },
                    { manager: "kube-controller-manager", operation: "Update", subresource: "status" },
                    { manager: "argocd", operation: "Apply" },
                    { manager: "kubectl", operation: "Update", subresource: "scale" },
                ),
            ),
            "kubectl-edit (2026-11-28T12:30:00Z), kubectl",
        );
    });
    it("is somebody where nobody is named", () => {
        assert.equal(othersOf(object()), "somebody");
        assert.equal(othersOf(object({ operation: "Update" })), "somebody");
    });
});
