import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { Kube } from "../../../../steps/lib/kube/kube";
import { pressures } from "../../../../steps/workload/workloadLook";
import { ApiServer, authority } from "../lib/apiServer";
import { is, pod } from "./objects";

void describe("why no node takes a pod", () => {
    const server = new ApiServer();
    let kube: Kube;
    before(async () => {
        await server.start();
        kube = new Kube(() => Promise.resolve({ server: server.url, authorityPem: authority.certificate }));
    });
    after(() => server.stop());

    const waits = pod({ conditions: [{ type: "PodScheduled", status: "False", reason: "Unschedulable" }] });
    const node = (name: string, ...conditions: object[]) => ({
        metadata: { name },
        status: { conditions: [is("Ready"), ...conditions] },
    });
    const answer = (code: number, body: object) => {
        server.answer = (_, response) => {
            response.statusCode = code;
            response.end(JSON.stringify(body));
        };
    };

    void it("is a Wasm node's pressure, which the scheduler does not name", async () => {
        const message = "kubelet has disk pressure";
        answer(200, {
            items: [
                node("free", { type: "DiskPressure", status: "False" }),
                node("full", { type: "DiskPressure", status: "True", message }),
                node("low", { type: "MemoryPressure", status: "True" }),
            ],
        });
        assert.deepEqual(await pressures(kube, { pods: [waits], owners: [] }), [
            'node "full" takes no new pods: DiskPressure (kubelet has disk pressure); free space on the disk that the node\'s folder is on; it takes some again minutes after that has ended',
            'node "low" takes no new pods: MemoryPressure; it takes some again minutes after that has ended',
        ]);
        assert.match(
            server.calls.at(-1) ?? "",
            /^GET \/api\/v1\/nodes\?labelSelector=kubernetes\.io%2Farch%3Dwasm32-wasi /,
        );
    });
    void it("is not asked where every pod has a node", async () => {
        const asked = server.calls.length;
        const placed = pod({ conditions: [is("PodScheduled")] });
        assert.deepEqual(await pressures(kube, { pods: [placed], owners: [] }), []);
        assert.equal(server.calls.length, asked);
    });
    void it("is nothing to who may not look at nodes", async () => {
        answer(403, { reason: "Forbidden", message: "no" });
        assert.deepEqual(await pressures(kube, { pods: [waits], owners: [] }), []);
    });
});
