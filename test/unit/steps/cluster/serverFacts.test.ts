/** What a cluster's API server tells of it. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { test } from "node:test";
import { StepError } from "../../../../steps/lib/errors";
import type { Kube } from "../../../../steps/lib/kube/kube";
import { serverFacts, untilTakesPods } from "../../../../steps/cluster/serverFacts";
import { ApiServer } from "../lib/apiServer";

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

test("a new cluster takes pods as soon as its default namespace has a service account", async (t) => {
    const api = new ApiServer();
    await api.start();
    const folder = mkdtempSync(path.join(tmpdir(), "krustlet-stack-facts-"));
    t.after(async () => {
        await api.stop();
        rmSync(folder, { recursive: true });
    });
    const kubeconfigFile = path.join(folder, "kubeconfig");
    writeFileSync(kubeconfigFile, api.kubeconfig);
    api.answer = (_, response) => {
        if (api.calls.length < 3) {
            const status = {
                kind: "Status",
                reason: "NotFound",
                message: 'serviceaccounts "default" not found',
            };
            response.writeHead(404).end(JSON.stringify(status));
        } else response.end("{}");
    };
    const asked = "GET /api/v1/namespaces/default/serviceaccounts/default";
    await assert.rejects(untilTakesPods('KindCluster "a"', kubeconfigFile, 0), (error) => {
        assert.ok(error instanceof StepError);
        assert.match(error.message, /^KindCluster "a": it takes no pods after waitSeconds 0: /);
        return true;
    });
    await untilTakesPods('KindCluster "a"', kubeconfigFile, 5);
    assert.deepEqual(
        api.calls.map((call) => call.slice(0, asked.length)),
        Array(api.calls.length).fill(asked),
    );
    assert.equal(api.calls.length, 3);
});
