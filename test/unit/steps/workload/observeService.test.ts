/** What a look sees of a workload's Service: what is to be mended, and what is somebody else's. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import type { AwaitedService, AwaitWorkloadInput, StepClaim } from "../../../../steps/contract";
import { writeEntry } from "../../../../steps/lib/journal";
import { Kube } from "../../../../steps/lib/kube/kube";
import { fieldsOf } from "../../../../steps/workload/fields";
import { observeService } from "../../../../steps/workload/serving/observeService";
import type { FoundObject } from "../../../../steps/workload/named/named";
import { settleService } from "../../../../steps/workload/serving/service";
import { authority, type ApiServer } from "../lib/apiServer";
import { claimedCluster, claimId, owner } from "./claimedCluster";

const services = "/api/v1/namespaces/apps/services";
const ours = { "krustlet-stack/claim": claimId, "krustlet-stack/resource": "r", app: "web" };
const managed = (fields: object) => [
    { manager: "pulumi-krustlet-stack", operation: "Apply", fieldsV1: fields },
    { manager: "kubectl-patch", operation: "Update", time: "2026-11-28T12:00:00Z", fieldsV1: {} },
];
const service = (name: string, labels: Record<string, string> = ours, fields = {}): FoundObject => ({
    metadata: { name, namespace: "apps", uid: `uid-${name}`, labels, managedFields: managed(fields) },
});

void describe("a workload's Service", () => {
    let api: ApiServer;
    let claim: StepClaim;
    let kubeconfigFile: string;
    let end: () => Promise<void>;

    beforeEach(async () => {
        ({ api, kubeconfigFile, claim, end } = await claimedCluster());
    });
    afterEach(() => end());

    /** What the cluster has. */
    const there = (...all: FoundObject[]) => {
        api.answer = ({ method, url = "" }, response) => {
            const path = url.split("?")[0];
            const found = all.find(({ metadata }) => path === `${services}/${metadata.name}`);
            if (path === services || method === "DELETE") response.end(JSON.stringify({ items: all }));
            else if (found) response.end(JSON.stringify(found));
            else response.writeHead(404).end('{"reason":"NotFound","message":"no such service"}');
        };
    };
    /** What was waited for last. */
    const known = (name: string, output?: object) => {
        const made: AwaitedService = { name, uid: `uid-${name}`, applied: "a", because: "of old" };
        const input = { kubeconfigFile, namespace: "apps", service: made } as AwaitWorkloadInput;
        const entry = { undo: "forget" as const, done: true, at: Date.UTC(2026, 10, 28) };
        return writeEntry(claim, { ...entry, resource: "w-ready", input, output });
    };
    const look = (name: string, label = "r", app = "web") =>
        observeService({
            ...{ resource: "w-ready", owner, kubeconfigFile, kind: "Service", namespace: "apps", name },
            ...{ label, app },
        });
    const stays = { because: "of old", lost: undefined };

    void it("that is as it was applied stays as it is; one that is gone is lost, and one that was changed is applied again", async () => {
        await known("web", { serviceFields: fieldsOf(service("web")), serviceApplied: "a" });
        there(service("web"));
        assert.deepEqual(await look("web"), stays);
        there();
        const made = "Service apps/web, made 2026-11-28T00:00:00Z,";
        assert.deepEqual(await look("web"), { ...stays, lost: `${made} is gone: it is made anew` });
        const { metadata } = service("web");
        there({ metadata: { ...metadata, deletionTimestamp: "2026-11-28T12:00:00Z" } });
        assert.deepEqual(await look("web"), { ...stays, lost: `${made} is being deleted: it is made anew` });
        there(service("web", ours, { "f:spec": {} }));
        const because = `${made} was changed by kubectl-patch (2026-11-28T12:00:00Z): it is applied again`;
        assert.deepEqual(await look("web"), { ...stays, because });
    });
    void it("that was applied otherwise since it was seen is not taken for changed by somebody", async () => {
        await known("web", { serviceFields: fieldsOf(service("web")), serviceApplied: "before" });
        there(service("web", ours, { "f:spec": {} }));
        assert.deepEqual(await look("web"), stays);
    });
    void it("of another name than before cannot have the port of the nodes that the other one still has", async () => {
        await known("web");
        const held = { ...service("web"), spec: { ports: [{ nodePort: 30080 }] } };
        const renamed = (nodePort: number) =>
            observeService({
                ...{
                    resource: "w-ready",
                    owner,
                    kubeconfigFile,
                    kind: "Service",
                    namespace: "apps",
                    name: "new",
                },
                ...{ label: "r", app: "web", nodePort },
            });
        there(held);
        await assert.rejects(
            renamed(30080),
            /Service apps\/new is to have the nodePort 30080, which Service apps\/web has until it is gone: take that away first/,
        );
        await renamed(30081);
        there();
        await renamed(30080);
    });
    void it("that was never made before is another's, or what a killed run had made", async () => {
        there(service("web"), service("theirs", { app: "web" }));
        assert.deepEqual(await look("web"), { because: undefined, lost: undefined });
        assert.deepEqual(await look("other"), { because: undefined, lost: undefined });
        await assert.rejects(
            look("theirs"),
            /^StepError: Service apps\/theirs is there already, and is not this stack's \(pulumi-krustlet-stack made it\)/,
        );
    });
    void it("that is another workload's of the stack is to be removed there first; one of a renamed component is its own", async () => {
        there(service("web"));
        await assert.rejects(
            look("web", "s", "shop"),
            /that of this stack's workload "web".*: remove it there/,
        );
        assert.deepEqual(await look("web", "s"), { because: undefined, lost: undefined });
        assert.deepEqual(await look("web", "r", "shop"), { because: undefined, lost: undefined });
    });
    void it("that was made before and is another's by now is left to that one, also where ours has another name now", async () => {
        await known("web");
        const others = service("web", { "krustlet-stack/claim": "fedcba9876543210" });
        there({ metadata: { ...others.metadata, uid: "uid-another" } });
        const why =
            "Service apps/web is there already, and is not this stack's (another stack's, of claim fedcba9876543210): it is left as it is; " +
            "give the workload's another name (service.name), or delete that one";
        await assert.rejects(look("web"), { message: why });
        api.calls.length = 0;
        assert.deepEqual(await look("new"), stays);
        assert.deepEqual(
            api.calls.map((call) => call.split(" ")[1]),
            [`${services}/new`],
        );
        // Ours, from which somebody has taken the labels.
        there(service("web", {}));
        await look("web");
    });
    void it("is settled when what an ended run had made for the same workload has gone", async () => {
        const kube = new Kube(() => ({ server: api.url, authorityPem: authority.certificate }));
        there(service("web"), service("older"), service("before"));
        const settled = await settleService(kube, "apps", "web", "uid-before");
        assert.equal(settled, fieldsOf(service("web")));
        const deleted = api.calls.filter((call) => call.startsWith("DELETE"));
        assert.deepEqual(
            deleted.map((call) => call.split(" ")[1]),
            [`${services}/older?propagationPolicy=Background`],
        );
        there();
        assert.equal(await settleService(kube, "apps", "web", undefined), undefined);
    });
});
