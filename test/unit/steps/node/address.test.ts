/** Whether a node's address is where the cluster's own nodes are. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { offNetwork } from "../../../../steps/node/agent/address";

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
