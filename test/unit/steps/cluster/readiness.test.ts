import assert from "node:assert/strict";
import { test } from "node:test";
import { unready, type ClusterNode } from "../../../../steps/cluster/readiness";

const node = (name: string, status?: string, message?: string): ClusterNode => ({
    metadata: { name },
    status: status === undefined ? {} : { conditions: [{ type: "Ready", status, message }] },
});
const own = ["krustlet-control-plane", "krustlet-worker"];
const ready = own.map((name) => node(name, "True"));

const cases: [string, ClusterNode[], string | undefined][] = [
    ["its own are Ready", ready, undefined],
    [
        "Wasm nodes whose names begin as the cluster's do are not",
        [...ready, node("krustlet-2", "Unknown"), node("krustlet-worker2", "False"), node("krustlet")],
        undefined,
    ],
    [
        "one of its own is not",
        [ready[0], node("krustlet-worker", "False", "no network plugin")],
        "node krustlet-worker is not Ready (no network plugin)",
    ],
    [
        "one of its own has said nothing",
        [node("krustlet-control-plane"), ready[1]],
        "node krustlet-control-plane is not Ready (it reports no condition)",
    ],
    ["one of its own is missing", [ready[0]], "node krustlet-worker has not joined"],
];
for (const [what, nodes, fault] of cases) {
    test(`a cluster serves or not: ${what}`, () => {
        assert.equal(unready(nodes, own), fault);
    });
}
