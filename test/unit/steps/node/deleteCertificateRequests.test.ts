/** Which of a node's certificate requests go with their approval. */
import assert from "node:assert/strict";
import { createPublicKey } from "node:crypto";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, test } from "node:test";
import { notesOf } from "../../../../steps/lib/step";
import { agentFiles } from "../../../../steps/node/agent/agent";
import { deleteCertificateRequests } from "../../../../steps/node/certificates/deleteCertificateRequests";
import { ApiServer } from "../lib/apiServer";
import { CN, makeCsr, newKey, spki } from "./makeCsr";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const folder = mkdtempSync(path.join(tmpdir(), "krustlet-requests-"));
const kubeconfigFile = path.join(folder, "kubeconfig");
const group = "system:bootstrappers:krustlet-stack:n";
const api = new ApiServer();

before(async () => {
    await api.start();
    writeFileSync(kubeconfigFile, api.kubeconfig, { mode: 0o600 });
});
after(async () => {
    await api.stop();
    rmSync(folder, { recursive: true });
});

test("all that it filed, but what its agent of now waits for: that was started before the approval is replaced", async () => {
    const [now, earlier] = [newKey(), newKey()];
    const { publicKeys } = agentFiles(folder);
    mkdirSync(path.dirname(publicKeys.client), { recursive: true });
    const pem = createPublicKey({ key: spki(now), format: "der", type: "spki" }).export({
        format: "pem",
        type: "spki",
    });
    writeFileSync(publicKeys.client, pem);
    const request = (letters: string, key: typeof now, conditions: object[] = []) => ({
        metadata: { name: `krustlet-n-client-${letters}` },
        spec: {
            request: base64(makeCsr({ key, subject: [[CN, "x"]] })),
            signerName: "s",
            groups: [group],
        },
        status: { conditions },
    });
    const items = [
        request("awaited", now),
        request("approved", now, [{ type: "Approved", status: "True" }]),
        request("old", earlier),
        { ...request("stranger", earlier), spec: { ...request("stranger", earlier).spec, groups: [] } },
    ];
    api.answer = (_, response) => response.end(JSON.stringify({ items }));
    const given = { kubeconfigFile, nodeName: "n", bootstrapGroup: group, stateDir: folder };
    const { notes } = await notesOf(() => deleteCertificateRequests(given).then(() => ({})));
    assert.deepEqual(notes, [
        "certificate request krustlet-n-client-approved was deleted",
        "certificate request krustlet-n-client-old was deleted",
    ]);
});
