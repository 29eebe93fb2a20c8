/** What an ended run had made in a cluster: which of it is removed, and what is left alone. */
import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { removeClaimed, removeEarlier } from "../../../../steps/lib/kube/claimed";
import { Kube } from "../../../../steps/lib/kube/kube";
import { ApiServer, authority, client } from "./apiServer";

let api: ApiServer;
const kube = () =>
    new Kube(() => ({
        server: api.url,
        authorityPem: authority.certificate,
        certificatePem: client.certificate,
        keyPem: client.privateKey,
    }));
const pods = "/api/v1/namespaces/apps/pods";
const labels = { "krustlet-stack/claim": "0123456789abcdef", "krustlet-stack/resource": "a1" };
const object = (name: string, namespace?: string) => ({
    metadata: { name, namespace, uid: `uid-${name}`, labels },
});
/** Answers each list with what there is in that collection; another one is not there. */
function serve(lists: Record<string, object[] | 403>): void {
    api.answer = ({ method, url = "" }, response) => {
        const found = method === "GET" ? lists[url.split("?")[0]] : [];
        if (found === undefined)
            response.writeHead(404).end('{"reason":"NotFound","message":"no such kind"}');
        else if (found === 403) response.writeHead(403).end('{"reason":"Forbidden","message":"may not"}');
        else response.end(JSON.stringify({ items: found }));
    };
}
const deleted = () => api.calls.filter((call) => call.startsWith("DELETE")).map((call) => call.split(" ")[1]);

beforeEach(async () => {
    api = new ApiServer();
    await api.start();
});
afterEach(() => api.stop());

void describe("what an ended run had made", () => {
    it("of a workload goes when another one is ready", async () => {
        serve({ [pods]: [object("old", "apps"), object("new", "apps"), object("older", "apps")] });
        await removeEarlier(kube(), pods, object("new", "apps"));
        assert.deepEqual(deleted(), [
            `${pods}/old?propagationPolicy=Background`,
            `${pods}/older?propagationPolicy=Background`,
        ]);
        const selector = "krustlet-stack/claim=0123456789abcdef,krustlet-stack/resource=a1";
        assert.ok(api.calls[0].includes(`${pods}?labelSelector=${encodeURIComponent(selector)} `));
    });
    it("is not what Pulumi knows of, and deletes itself", async () => {
        serve({ [pods]: [object("old", "apps"), object("new", "apps"), object("older", "apps")] });
        await removeEarlier(kube(), pods, object("new", "apps"), "uid-old");
        assert.deepEqual(deleted(), [`${pods}/older?propagationPolicy=Background`]);
    });
    it("of a workload without labels is not known", async () => {
        const { metadata } = object("new", "apps");
        await removeEarlier(kube(), pods, { metadata: { ...metadata, labels: { app: "x" } } });
        assert.deepEqual(api.calls, []);
    });
    it("goes with the claim, in all namespaces and in none; kinds that are not there, or not to be seen, are passed over", async () => {
        serve({
            "/api/v1/pods": [object("a", "apps"), object("b", "default")],
            "/apis/batch/v1/jobs": 403,
            "/apis/rbac.authorization.k8s.io/v1/clusterroles": [object("krustlet-stack:bootstrap:n")],
        });
        await removeClaimed(kube(), "0123456789abcdef");
        const how = "?propagationPolicy=Background&gracePeriodSeconds=0";
        assert.deepEqual(deleted().sort(), [
            `${pods}/a${how}`,
            `/api/v1/namespaces/default/pods/b${how}`,
            `/apis/rbac.authorization.k8s.io/v1/clusterroles/krustlet-stack:bootstrap:n${how}`,
        ]);
        const selector = `?labelSelector=${encodeURIComponent("krustlet-stack/claim=0123456789abcdef")} `;
        for (const call of api.calls.filter((one) => one.startsWith("GET")))
            assert.ok(call.includes(selector));
    });
});
