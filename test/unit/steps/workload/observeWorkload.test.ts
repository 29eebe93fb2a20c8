/** What a look sees of a workload that was waited for. */
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import type { AwaitWorkloadInput } from "../../../../steps/contract";
import { writeEntry } from "../../../../steps/lib/journal";
import { fieldsOf } from "../../../../steps/workload/fields";
import { observeWorkload } from "../../../../steps/workload/observeWorkload";
import { claimedCluster, type ClaimedCluster } from "./claimedCluster";

const by = (fields: object) => ({
    manager: "pulumi-krustlet-stack",
    operation: "Apply",
    fieldsV1: fields,
});
const metadata = { name: "web-1", uid: "one", managedFields: [by({ "f:spec": {} })] };
const at = "2026-11-28T12:00:00Z";
const what = "Deployment apps/web-1, made 2026-11-28T00:00:00Z,";
const changed = {
    managedFields: [by({}), { manager: "kubectl-patch", operation: "Update", time: at, fieldsV1: {} }],
};

let cluster: ClaimedCluster;
before(async () => {
    cluster = await claimedCluster();
});
after(() => cluster.end());

for (const [title, now, seen] of [
    ["is as it was left", metadata, {}],
    ["is gone", undefined, { lost: `${what} is gone: it is made anew` }],
    [
        "is another one",
        { ...metadata, uid: "two" },
        { lost: `${what} is gone, and another one of that name is there: it is made anew` },
    ],
    [
        "is being deleted",
        { ...metadata, deletionTimestamp: at, ...changed },
        { lost: `${what} is being deleted: it is made anew` },
    ],
    [
        "was changed",
        { ...metadata, ...changed },
        { because: `${what} was changed by kubectl-patch (${at}): it is applied again` },
    ],
] as const) {
    for (const passing of [undefined, true as const]) {
        test(`a workload that ${title}${passing === undefined ? "" : ", and goes by itself"}`, async () => {
            cluster.api.answer = (_, response) => {
                if (now !== undefined) response.end(JSON.stringify({ metadata: now }));
                else response.writeHead(404).end('{"reason":"NotFound","message":"no such deployment"}');
            };
            const input = {
                ...{ kubeconfigFile: cluster.kubeconfigFile, kind: "Deployment", namespace: "apps" },
                ...{ name: "web-1", uid: "one" },
            } as AwaitWorkloadInput;
            const output = { fields: fieldsOf({ metadata }), passing };
            const entry = { undo: "forget" as const, done: true, at: Date.UTC(2026, 10, 28) };
            await writeEntry(cluster.claim, { ...entry, resource: "web-ready", input, output });
            const lasting = passing !== undefined && "lost" in seen ? {} : seen;
            const expected = { because: undefined, lost: undefined, ...lasting };
            assert.deepEqual(await observeWorkload({ resource: "web-ready" }), expected);
        });
    }
}
