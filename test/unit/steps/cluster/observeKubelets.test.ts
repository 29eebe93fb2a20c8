/** What a preview says of a kubelet of kind's own that waits for a certificate. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { observeKubelets } from "../../../../steps/cluster/observeKubelets";
import { enterClaim, thisHost } from "../../../../steps/lib/claim";
import { writeEntry } from "../../../../steps/lib/journal";
import { notesOf } from "../../../../steps/lib/step";
import { ApiServer } from "../lib/apiServer";

const folder = mkdtempSync(path.join(tmpdir(), "krustlet-observe-"));
const kubeconfigFile = path.join(folder, "kubeconfig");
const api = new ApiServer();

const request = (change: { signerName?: string; username?: string; conditions?: object[] } = {}) => ({
    metadata: { name: "csr-1" },
    spec: {
        signerName: change.signerName ?? "kubernetes.io/kubelet-serving",
        username: change.username ?? "system:node:demo-control-plane",
    },
    status: { conditions: change.conditions },
});

/** What is told where there are these requests. */
async function told(...items: object[]): Promise<string | undefined> {
    api.answer = (_, response) => response.end(JSON.stringify({ items }));
    const given = { resource: "c-kubelets", kubeconfigFile };
    const { because, notes } = await notesOf(() => observeKubelets(given));
    assert.deepEqual(notes, because === undefined ? [] : [because]);
    return because;
}

void describe("a kubelet of kind's own", () => {
    before(async () => {
        await api.start();
        writeFileSync(kubeconfigFile, api.kubeconfig, { mode: 0o600 });
        const claim = {
            id: "0123456789abcdef",
            owner: "project/stack/0123456789abcdef",
            folder: path.join(folder, "claim"),
            host: await thisHost(),
        };
        await enterClaim({ ...claim, resource: "c-kubelets" });
        await writeEntry(claim, {
            resource: "c-kubelets",
            undo: "forget",
            input: {},
            output: { requests: { "demo-control-plane": "csr-0", "demo-worker": null } },
            done: true,
            at: 0,
        });
    });
    after(async () => {
        await enterClaim(undefined);
        await api.stop();
        rmSync(folder, { recursive: true });
    });

    void it("that asks for another serving certificate gets it decided on", async () => {
        assert.equal(
            await told(request({ conditions: [{ type: "Approved" }] }), request()),
            "kubelet demo-control-plane, certified 1970-01-01T00:00:00Z, asks for another serving certificate (csr-1): that is decided on",
        );
        assert.match((await told(request({ username: "system:node:demo-worker" }))) ?? "", /demo-worker/);
    });
    void it("stays as it is where its requests were decided on, and where others ask, or for something else", async () => {
        assert.equal(
            await told(
                request({ conditions: [{ type: "Denied" }] }),
                request({ username: "system:node:krustlet" }),
                request({ username: "kubernetes-admin" }),
                request({ signerName: "kubernetes.io/kube-apiserver-client-kubelet" }),
            ),
            undefined,
        );
    });
    void it("is not told of where the cluster does not answer: that has a look of its own", async () => {
        await api.stop();
        assert.equal(await told(request()), undefined);
        await api.start();
    });
});
