/** What is seen of the Secret that pods pull with. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { StepClaim } from "../../../../steps/contract";
import { markUndone, writeEntry } from "../../../../steps/lib/journal";
import { notesOf } from "../../../../steps/lib/step";
import { observePullSecret } from "../../../../steps/registry/observePullSecret";
import { pullSecret } from "../../../../steps/registry/logins/pullSecret";
import { claimedCluster, owner, type ClaimedCluster } from "../workload/claimedCluster";
import { scriptedTools } from "../lib/scriptedDocker";

const resource = "p-secret";
const auths = { "ghcr.io": { auth: "bWU6c2VjcmV0" } };
const path = "/api/v1/namespaces/apps/secrets/pull";

void describe("the Secret that pods pull with", () => {
    const tools = scriptedTools();
    let cluster: ClaimedCluster;
    let claim: StepClaim;
    before(async () => {
        cluster = await claimedCluster(resource);
        ({ claim } = cluster);
    });
    after(() => cluster.end());

    const input = () => ({
        ...{ kubeconfigFile: cluster.kubeconfigFile, owner, namespace: "apps", name: "pull" },
        ...{ registry: "ghcr.io", fingerprint: "of the login" },
    });
    const written = (name: string | null = "pull") => ({
        ...{ resource, undo: "deletePullSecret" as const, input: input() as object, output: { name } },
        ...{ done: true, at: Date.UTC(2026, 10, 28, 12) },
    });
    /** Why it is to be written again, where the cluster has this one, and this host these logins. */
    const seen = async (secret: object | undefined, logins: object = auths) => {
        tools.script("wasm-oci", `print(${JSON.stringify(JSON.stringify({ auths: logins }))});`);
        cluster.api.answer = (request, response) => {
            assert.equal(request.url, path);
            if (secret === undefined) response.statusCode = 404;
            response.end(JSON.stringify(secret ?? { kind: "Status", reason: "NotFound" }));
        };
        const told = await notesOf(() => observePullSecret({ resource }));
        assert.doesNotMatch(JSON.stringify(told), /bWU6|c2VjcmV0|secret":/);
        return told.because;
    };
    const own = (logins = auths) => pullSecret(input(), logins);
    const what = "Secret apps/pull, written 2026-11-28T12:00:00Z,";

    void it("is not looked at before it was written, nor where there is no login", async () => {
        assert.equal(await seen(undefined), undefined);
        await writeEntry(claim, written(null));
        assert.equal(await seen(undefined), undefined);
    });

    void it("stays as it is where it has the login that this host has, though in other words", async () => {
        await writeEntry(claim, written());
        assert.equal(await seen(own()), undefined);
        const data = {
            ".dockerconfigjson": Buffer.from(JSON.stringify({ auths }, null, 4)).toString("base64"),
        };
        assert.equal(await seen({ ...own(), data }), undefined);
    });

    void it("is made anew where it was deleted, or removed by a run that was ended", async () => {
        assert.equal(await seen(undefined), `${what} is gone: it is made anew`);
        await markUndone(claim, written());
        assert.match((await seen(undefined)) ?? "", /^p-secret was removed, .*: it is made anew$/);
        await writeEntry(claim, written());
    });

    void it("is written again where it was changed, and where this host has another login", async () => {
        const again = `${what} has not the login that this host has: it is written again`;
        const other = { "ghcr.io": { auth: "b3RoZXI=" } };
        assert.equal(await seen(own(other)), again);
        assert.equal(await seen(own(), other), again);
        assert.equal(await seen({ ...own(), data: {} }), again);
        assert.equal(await seen({ ...own(), data: { ".dockerconfigjson": "e30=" } }), again);
    });

    void it("of somebody else is told of", async () => {
        const { metadata, ...rest } = own();
        const theirs = { ...rest, metadata: { ...metadata, annotations: {} } };
        assert.equal(await seen(theirs), `${what} is gone, and another one of that name is there`);
    });

    void it("is not gone where the login or the cluster cannot be read, and where there is no login any more", async () => {
        assert.equal(await seen(own({ "ghcr.io": { auth: "x" } }), {}), undefined);
        tools.script("wasm-oci", "return 1;");
        assert.equal((await observePullSecret({ resource })).because, undefined);
        cluster.api.answer = (_request, response) => {
            response.statusCode = 503;
            response.end("{}");
        };
        assert.equal((await observePullSecret({ resource })).because, undefined);
    });
});
