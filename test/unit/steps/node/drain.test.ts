import assert from "node:assert/strict";
import type { IncomingMessage, ServerResponse } from "node:http";
import { after, before, beforeEach, describe, it } from "node:test";
import { Kube } from "../../../../steps/lib/kube/kube";
import { drain, removePodsOf, uncordon } from "../../../../steps/node/drain";
import { ApiServer, authority } from "../lib/apiServer";

/** A pod, and how often its eviction is still refused; `endless`: it does not end. */
interface Pod {
    name: string;
    uid: string;
    ownerReferences?: { kind: string }[];
    refusals?: number;
    endless?: boolean;
    /** Where it goes, its controller puts another one on the same node. */
    comesBack?: boolean;
}

void describe("draining a node", () => {
    const server = new ApiServer();
    let kube: Kube;
    let pods: Pod[] = [];
    /** The Wasm nodes, this one too, and whether each is cordoned. */
    let nodes: Record<string, boolean> = {};
    let annotations: Record<string, string> = {};
    let cordons: string[] = [];
    let notes: string[] = [];
    const note = (line: string) => notes.push(line);
    /** Method and pod of each call that changes one. */
    let changes: string[] = [];

    before(async () => {
        await server.start();
        kube = new Kube(() => Promise.resolve({ server: server.url, authorityPem: authority.certificate }));
        server.answer = answer;
    });
    after(() => server.stop());
    beforeEach(() => {
        [cordons, notes, changes, annotations] = [[], [], [], {}];
        nodes = { n: false, other: false };
    });

    function answer(request: IncomingMessage, response: ServerResponse, body: string): void {
        const url = request.url ?? "";
        const say = (code: number, what: object) => {
            response.statusCode = code;
            response.end(JSON.stringify(what));
        };
        if (request.method === "PATCH") {
            cordons.push(`${url} ${request.headers["content-type"]} ${body}`);
            say(200, {});
        } else if (url === "/api/v1/nodes?labelSelector=kubernetes.io%2Farch%3Dwasm32-wasi") {
            const items = Object.entries(nodes).map(([name, unschedulable]) => ({
                metadata: { name },
                spec: { unschedulable },
            }));
            say(200, { items });
        } else if (url === "/api/v1/nodes/n") {
            say(200, { metadata: { name: "n", annotations }, spec: { unschedulable: nodes.n } });
        } else if (request.method === "GET") {
            assert.equal(url, "/api/v1/pods?fieldSelector=spec.nodeName%3Dn");
            const items = pods.map(({ name, uid, ownerReferences }) => ({
                metadata: { namespace: "apps", name, uid, ownerReferences },
            }));
            say(200, { items });
        } else {
            const [, name] = /^\/api\/v1\/namespaces\/apps\/pods\/([^/?]+)/.exec(url) ?? [];
            changes.push(`${request.method} ${name}`);
            const given = JSON.parse(body) as {
                preconditions?: { uid: string };
                deleteOptions?: { preconditions: { uid: string } };
            };
            const pod = pods.find((one) => one.name === name);
            const { uid } = given.preconditions ?? given.deleteOptions?.preconditions ?? {};
            if (!pod) say(404, { reason: "NotFound", message: "no such pod" });
            else if (uid !== pod.uid) say(409, { reason: "Conflict", message: "another uid" });
            else if ((pod.refusals ?? 0) > 0) {
                pod.refusals = (pod.refusals ?? 0) - 1;
                say(429, {
                    reason: "TooManyRequests",
                    message: "the disruption budget b needs 1 healthy pod",
                });
            } else {
                if (!pod.endless) pods = pods.filter((one) => one !== pod);
                if (pod.comesBack) pods.push({ name: `${name}x`, uid: `${uid}x`, comesBack: true });
                say(201, {});
            }
        }
    }

    void it("cordons it, evicts each pod once and tries again where a budget holds one, and leaves a DaemonSet's", async () => {
        pods = [
            { name: "a", uid: "1" },
            { name: "b", uid: "2", refusals: 2 },
            { name: "d", uid: "3", ownerReferences: [{ kind: "DaemonSet" }] },
        ];
        await drain(kube, "n", 10, note);
        assert.deepEqual(cordons, [
            '/api/v1/nodes/n application/merge-patch+json {"metadata":{"annotations":{"krustlet-stack/drained":"true"}},"spec":{"unschedulable":true}}',
        ]);
        assert.deepEqual(changes.sort(), ["POST a", "POST b", "POST b", "POST b"]);
        assert.deepEqual(
            pods.map(({ name }) => name),
            ["d"],
        );
        assert.deepEqual(notes.sort(), [
            'pod apps/a is evicted from node "n"',
            'pod apps/b is evicted from node "n"',
        ]);
    });

    void it("lets it have pods again where that did not come to its end, and leaves a user's cordon as it is", async () => {
        [nodes.n, pods] = [true, []];
        await drain(kube, "n", 10, note);
        await uncordon(kube, "n");
        assert.deepEqual(cordons, []);
        annotations = { "krustlet-stack/drained": "true" };
        await uncordon(kube, "n");
        assert.deepEqual(cordons, [
            '/api/v1/nodes/n application/merge-patch+json {"metadata":{"annotations":{"krustlet-stack/drained":null}},"spec":{"unschedulable":null}}',
        ]);
    });

    void it("goes on when the time is up, and says of each pod that is left why", async () => {
        pods = [
            { name: "held", uid: "1", refusals: 1000 },
            { name: "slow", uid: "2", endless: true },
        ];
        await drain(kube, "n", 1, note);
        assert.deepEqual(notes.slice(-2), [
            'pod apps/held ends with node "n": in 1 s it could not be evicted: the API server answered 429: the disruption budget b needs 1 healthy pod',
            'pod apps/slow ends with node "n": in 1 s it has not ended',
        ]);
        assert.equal(changes.filter((one) => one === "POST slow").length, 1);
    });

    void it("waits for no budget where no other Wasm node takes pods, but for what it has evicted", async () => {
        for (const others of [{}, { other: true }] as Record<string, boolean>[]) {
            [notes, changes, nodes] = [[], [], { n: false, ...others }];
            pods = [
                { name: "held", uid: "1", refusals: 1000 },
                { name: "slow", uid: "2", endless: true },
            ];
            const ends = setTimeout(() => (pods = pods.filter(({ name }) => name !== "slow")), 500);
            const begun = Date.now();
            await drain(kube, "n", 60, note, 1);
            clearTimeout(ends);
            assert.ok(Date.now() - begun < 30_000);
            assert.deepEqual(notes, [
                'pod apps/slow is evicted from node "n"',
                'pod apps/held ends with node "n": no other Wasm node takes pods, and it could not be evicted: the API server answered 429: the disruption budget b needs 1 healthy pod',
            ]);
        }
    });

    void it("waits for a budget while another Wasm node may be made anew beside it", async () => {
        nodes = { n: false, other: true };
        pods = [{ name: "held", uid: "1", refusals: 12 }];
        // Its Node is gone for a moment.
        const gone = setTimeout(() => (nodes = { n: false }), 300);
        const back = setTimeout(() => (nodes.other = false), 800);
        await drain(kube, "n", 60, note, 2);
        clearTimeout(gone);
        clearTimeout(back);
        assert.deepEqual(notes, ['pod apps/held is evicted from node "n"']);
    });

    void it("takes each pod away once, though another one comes that tolerates all taints", async () => {
        pods = [{ name: "a", uid: "1", comesBack: true }];
        await drain(kube, "n", 10, note);
        assert.deepEqual(changes, ["POST a"]);
        assert.equal(pods.length, 1);
    });

    void it("does nothing where it may take no time", async () => {
        pods = [{ name: "a", uid: "1" }];
        await drain(kube, "n", 0, note);
        assert.deepEqual([cordons, changes, notes], [[], [], []]);
    });

    void it("a node without pods is drained at once", async () => {
        pods = [];
        await drain(kube, "n", 10, note);
        assert.deepEqual(notes, []);
    });

    void it("removes what a node that is gone has left, but no other pod of the same name", async () => {
        pods = [{ name: "a", uid: "1" }];
        await removePodsOf(kube, "n");
        assert.deepEqual([pods, changes], [[], ["DELETE a"]]);
        // Between the look and the deletion another one takes the name.
        pods = [{ name: "a", uid: "1" }];
        const [pod] = pods;
        server.answer = (request, response, body) => {
            if (request.method === "DELETE") pod.uid = "2";
            answer(request, response, body);
        };
        await removePodsOf(kube, "n");
        assert.deepEqual(pods, [{ name: "a", uid: "2" }]);
        server.answer = answer;
    });
});
