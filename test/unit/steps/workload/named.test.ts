/** Objects whose names are given: what is another's is neither taken over nor deleted. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import { join } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { ClaimObjectInput, NamedKind, StepClaim } from "../../../../steps/contract";
import { writeEntry } from "../../../../steps/lib/journal";
import { Kube } from "../../../../steps/lib/kube/kube";
import { keepKubeconfig } from "../../../../steps/lib/kube/kept";
import { notesOf } from "../../../../steps/lib/step";
import { claimObject } from "../../../../steps/workload/named/claimObject";
import { deleteObject } from "../../../../steps/workload/named/deleteObject";
import { nameFault } from "../../../../steps/workload/named/named";
import { authority, type ApiServer } from "../lib/apiServer";
import { claimedCluster, claimId, owner } from "./claimedCluster";

const ours = { "krustlet-stack/claim": claimId, "krustlet-stack/resource": "r" };
const paths: Record<NamedKind, string> = {
    Service: "/api/v1/namespaces/apps/services/web",
    RuntimeClass: "/apis/node.k8s.io/v1/runtimeclasses/web",
};

void describe("an object whose name is given", () => {
    let api: ApiServer;
    let folder: string;
    let claim: StepClaim;
    let kubeconfigFile: string;
    /** What the API server was sent to delete. */
    let deleted: string[];

    let end: () => Promise<void>;

    beforeEach(async () => {
        ({ api, folder, kubeconfigFile, claim, end } = await claimedCluster("c"));
        deleted = [];
    });
    afterEach(() => end());

    const input = (kind: NamedKind, more: Partial<ClaimObjectInput> = {}): ClaimObjectInput => ({
        ...{ owner, kubeconfigFile, kind, name: "web", label: "r" },
        ...(kind === "Service" && { namespace: "apps" }),
        ...more,
    });
    /** What the cluster has; `changing`: by the time that it is deleted it is another one. */
    const there = (
        labels?: Record<string, string>,
        { changing = false, manager = "kubectl-create" }: { changing?: boolean; manager?: string } = {},
    ) => {
        const managedFields = [{ manager, time: "2026-11-28T12:00:00Z" }];
        const metadata = { name: "web", uid: "u", labels, managedFields };
        api.answer = ({ method, url = "" }, response, body) => {
            const known = labels !== undefined && Object.values(paths).includes(url);
            if (method === "DELETE") deleted.push(`${url} ${body}`);
            if (!known) response.writeHead(404).end('{"reason":"NotFound","message":"no such object"}');
            else if (method === "DELETE" && changing)
                response.writeHead(409).end('{"reason":"Conflict","message":"the UID is another one"}');
            else response.end(JSON.stringify({ handler: "wasi", metadata }));
        };
    };
    const byUid = (kind: NamedKind) => `${paths[kind]} {"preconditions":{"uid":"u"}}`;
    const notes = async (undone: ClaimObjectInput) =>
        (await notesOf(async () => ({ output: await deleteObject(undone) }))).notes;

    for (const kind of ["Service", "RuntimeClass"] as const) {
        const title = kind === "Service" ? "Service apps/web" : "RuntimeClass web";
        void it(`of the kind ${kind} is made where there is none, or this stack's`, async () => {
            there();
            const first = await claimObject(input(kind));
            there(ours);
            assert.notDeepEqual(await claimObject(input(kind)), first);
        });
        void it(`of the kind ${kind} is refused where it is another's, with whose it is`, async () => {
            const refused = (whose: string) => {
                const begin = `${title} is there already, and is not this stack's (${whose}): it is left as it is; `;
                return (error: Error) => error.message.startsWith(begin) || assert.fail(error.message);
            };
            there({ app: "web" });
            await assert.rejects(
                claimObject(input(kind)),
                refused("kubectl-create (2026-11-28T12:00:00Z) made it"),
            );
            there({ ...ours, "krustlet-stack/claim": "fedcba9876543210" });
            await assert.rejects(
                claimObject(input(kind)),
                refused("another stack's, of claim fedcba9876543210"),
            );
            // Before there is a claim nothing is this stack's, and what bears none is not its either.
            there({});
            const early = input(kind, { owner: "shop/dev" });
            await assert.rejects(
                claimObject(early),
                refused("kubectl-create (2026-11-28T12:00:00Z) made it"),
            );
        });
        void it(`of the kind ${kind} is deleted as the very object that was looked at`, async () => {
            there(ours);
            assert.deepEqual(await notes(input(kind)), []);
            assert.deepEqual(deleted, [byUid(kind)]);
        });
        void it(`of the kind ${kind} is left alone where another one has its name by now`, async () => {
            const left = `${title} is not this stack's any more: left alone`;
            for (const labels of [
                {},
                { ...ours, "krustlet-stack/claim": "fedcba9876543210" },
                { ...ours, "krustlet-stack/resource": "of another" },
            ]) {
                there(labels);
                assert.deepEqual(await notes(input(kind)), [left]);
            }
            there();
            assert.deepEqual(await notes(input(kind)), []);
            assert.deepEqual(deleted, []);
            there(ours, { changing: true });
            assert.deepEqual(await notes(input(kind)), [left]);
            assert.deepEqual(deleted, [byUid(kind)]);
        });
    }

    void it("stays where only the file that leads to its cluster is another one by now", async () => {
        there(ours);
        const moved = join(folder, "moved");
        writeFileSync(moved, api.kubeconfig, { mode: 0o600 });
        const entry = { resource: "c", undo: "deleteObject" as const, done: true, at: 0 };
        await writeEntry(claim, { ...entry, input: input("Service", { kubeconfigFile: moved }) as object });
        assert.deepEqual(await notes(input("Service")), []);
        assert.deepEqual(deleted, []);
        // One of another name has come in its place.
        await writeEntry(claim, { ...entry, input: input("Service", { name: "new" }) as object });
        await deleteObject(input("Service"));
        assert.deepEqual(deleted, [byUid("Service")]);
    });
    void it("stays where its name was given up, and taken again before the first claim of it was ended", async () => {
        there(ours);
        const [first, again] = [await claimObject(input("Service")), await claimObject(input("Service"))];
        const entry = { resource: "c", undo: "deleteObject" as const, done: true, at: 0 };
        await writeEntry(claim, { ...entry, input: input("Service") as object, output: again });
        try {
            process.env.PULUMI_COMMAND_STDOUT = JSON.stringify(first);
            assert.deepEqual(await notes(input("Service")), []);
            assert.deepEqual(deleted, []);
            process.env.PULUMI_COMMAND_STDOUT = JSON.stringify(again);
            await deleteObject(input("Service"));
            assert.deepEqual(deleted, [byUid("Service")]);
        } finally {
            delete process.env.PULUMI_COMMAND_STDOUT;
        }
    });
    void it("is not deleted where nobody can see whether another claim has it by now", async () => {
        there(ours);
        const gone = join(folder, "none");
        const entry = { resource: "c", undo: "deleteObject" as const, done: true, at: 0 };
        await writeEntry(claim, { ...entry, input: input("Service", { kubeconfigFile: gone }) as object });
        await assert.rejects(deleteObject(input("Service")), /no cluster answers by /);
        assert.deepEqual(deleted, []);
    });
    void it("is deleted by what was kept of its cluster's kubeconfig, where that file went before", async () => {
        there(ours);
        const gone = join(folder, "gone");
        await keepKubeconfig(gone, api.kubeconfig);
        await deleteObject(input("Service", { kubeconfigFile: gone }));
        assert.deepEqual(deleted, [byUid("Service")]);
    });
    void it("of before there were claims is this stack's, if it is the RuntimeClass that they all had", async () => {
        there({}, { manager: "pulumi-kubernetes-34ca96d6" });
        await claimObject(input("RuntimeClass"));
        // It bears a claim as soon as it has been applied again, and is not deleted before.
        assert.equal((await notes(input("RuntimeClass"))).length, 1);
        assert.deepEqual(deleted, []);
        there({ "krustlet-stack/claim": "fedcba9876543210" }, { manager: "pulumi-kubernetes-34ca96d6" });
        await assert.rejects(claimObject(input("RuntimeClass")), /is not this stack's/);
    });
    void it("is looked at before anything is made; one that is shared must be there", async () => {
        const kube = new Kube(() => ({ server: api.url, authorityPem: authority.certificate }));
        const look = (shared?: true) => nameFault(kube, { ...input("RuntimeClass"), shared });
        there();
        assert.equal(await look(), undefined);
        assert.match((await look(true)) ?? "", /^RuntimeClass web is to be shared, and is not there: /);
        there({});
        assert.equal(await look(true), undefined);
        there(ours);
        assert.match((await look(true)) ?? "", /^RuntimeClass web is this stack's own, /);
        there({});
        const why =
            /^RuntimeClass web is there already, and is not this stack's \(kubectl-create \(\S+\) made it\): .*runtimeClassShared/;
        assert.match((await look()) ?? "", why);
        there(ours);
        assert.equal(await look(), undefined);
    });
});
