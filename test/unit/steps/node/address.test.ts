/** Whether a node's address is where the cluster's own nodes are. */
import assert from "node:assert/strict";
import * as path from "node:path";
import { writeFileSync } from "node:fs";
import { after, before, test } from "node:test";
import { offNetwork, podsHaveAddresses } from "../../../../steps/node/agent/address";
import type { NodeInput } from "../../../../steps/contract";
import { scratchFolder } from "../lib/scriptedDocker";
import { ApiServer } from "../lib/apiServer";

const cases: [title: string, cidr: string | null, addresses: string[], off: string | undefined][] = [
    ["the gateway of the nodes' network", "172.18.0.1/16", ["172.18.0.2", "172.18.0.3"], undefined],
    ["another network", "192.168.1.7/24", ["172.18.0.2"], "172.18.0.2"],
    ["one of several is elsewhere", "172.18.0.1/16", ["172.18.0.2", "172.19.0.2"], "172.19.0.2"],
    ["another family says nothing", "172.18.0.1/16", ["fc00:f853:ccd:e793::2"], undefined],
    ["IPv6", "fc00:f853:ccd:e793::1/64", ["fc00:f853:ccd:e793::2"], undefined],
    ["IPv6 elsewhere", "fc00:f853:ccd:e793::1/64", ["fc00:1::2"], "fc00:1::2"],
    ["no cluster whose network asks for it", "192.168.1.7/24", [], undefined],
    ["an interface without a network", null, ["172.18.0.2"], undefined],
];

for (const [title, cidr, addresses, off] of cases) {
    test(title, () => assert.equal(offNetwork(cidr, addresses), off));
}

const server = new ApiServer();
before(() => server.start());
after(() => server.stop());

const kubeconfigFile = path.join(scratchFolder("address"), "admin");
const [kindnet, other] = ["kindnet", "pod-network"].map(
    (name) => `GET /apis/apps/v1/namespaces/kube-system/daemonsets/${name} system:admin`,
);
const addressed: [
    title: string,
    given: Partial<NodeInput>,
    there: string[],
    have: boolean,
    asked: string[],
][] = [
    ["where kindnet is", { network: "kind" }, ["kindnet"], true, [kindnet]],
    ["where another one does what that does", { network: "kind" }, ["pod-network"], true, [kindnet, other]],
    ["where neither is", { network: "kind" }, [], false, [kindnet, other]],
    ["as it is said", { network: "kind", podAddresses: true }, [], true, []],
    ["as it is denied", { network: "kind", podAddresses: false }, ["kindnet"], false, []],
    ["of a process", {}, ["kindnet"], false, []],
];

for (const [title, given, there, have, asked] of addressed) {
    test(`pods have addresses: ${title}`, async () => {
        writeFileSync(kubeconfigFile, server.kubeconfig);
        server.calls.length = 0;
        server.answer = ({ url = "" }, response) => {
            if (!there.some((name) => url.endsWith(`/${name}`))) response.statusCode = 404;
            response.end("{}");
        };
        const input = { ...given, kubeconfigFile } as NodeInput;
        assert.equal(await podsHaveAddresses(input), have);
        assert.deepEqual(server.calls, asked);
    });
}
