/** What a cluster's API server tells of it. */
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Kube } from "../../../../steps/lib/kube/kube";
import { serverFacts } from "../../../../steps/cluster/serverFacts";

const node = (name: string, arch: string, ...addresses: [string, string][]) => ({
    metadata: { name, labels: { "kubernetes.io/arch": arch } },
    status: { addresses: addresses.map(([type, address]) => ({ type, address })) },
});

test("a cluster's facts are of its own nodes: a Wasm node that joined it says nothing of it", async () => {
    const own = node("main", "amd64", ["Hostname", "main"], ["InternalIP", "192.0.2.1"]);
    const bare = { metadata: { name: "bare" } };
    const answers: Record<string, object> = {
        "/version": { gitVersion: "v1.36.4" },
        "/api/v1/namespaces/kube-system": { metadata: { uid: "cluster-uid" } },
        "/api/v1/nodes": { items: [own, node("wasm", "wasm32-wasi", ["InternalIP", "192.0.2.2"]), bare] },
    };
    const kube = { get: (path: string) => Promise.resolve(answers[path]) } as unknown as Kube;
    assert.deepEqual(await serverFacts(kube), {
        kubernetesVersion: "v1.36.4",
        identity: "cluster-uid",
        nodes: [own, bare],
        nodeAddresses: ["192.0.2.1"],
    });
});
