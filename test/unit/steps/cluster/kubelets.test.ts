import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { Container } from "../../../../steps/lib/docker";
import {
    certificatesIn,
    denialNote,
    kindNodes,
    nodesOf,
    servesAs,
    startOf,
    type KindNode,
} from "../../../../steps/cluster/kubelets";
import { makeCertificate } from "../node/makeCertificate";

const name = "wasm-control-plane";
const node: KindNode = {
    name,
    container: "1",
    address: "172.18.0.2",
};
const dns = (dNSName: string) => ({ dNSName });
const ip = (iPAddress: string) => ({ iPAddress });

describe("the nodes that a request may be for", () => {
    const nodes = ["a", "b"].map((name) => ({ ...node, name }));
    const cases: [string, string | undefined, string[]][] = [
        ["are its requester's alone", "system:node:b", ["b"]],
        ["are all where another asks", "kubernetes-admin", ["a", "b"]],
        ["are all where nobody is named", undefined, ["a", "b"]],
    ];
    for (const [what, username, found] of cases) {
        it(what, () => {
            assert.deepEqual(
                nodesOf(username, nodes).map((one) => one.name),
                found,
            );
        });
    }
});

describe("kind's nodes", () => {
    const container = (change: Partial<Container> = {}, role = "control-plane"): Container => ({
        Id: "1",
        Name: `/${name}`,
        Config: { Image: "kindest/node", Labels: { "io.x-k8s.kind.role": role } },
        State: { Running: true },
        HostConfig: { NetworkMode: "kind" },
        Mounts: [],
        NetworkSettings: { Networks: { kind: { IPAddress: node.address } }, Ports: {} },
        ...change,
    });

    it("are its containers, but for the load balancer", () => {
        assert.deepEqual(kindNodes([container(), container({}, "external-load-balancer")]), [node]);
        assert.deepEqual(kindNodes([container({}, "worker")]), [node]);
    });

    it("are at their address on the network that kind made them on, whatever they were connected to since", () => {
        const Networks = { another: { IPAddress: "172.19.0.2" }, kind: { IPAddress: node.address } };
        assert.deepEqual(kindNodes([container({ NetworkSettings: { Networks, Ports: {} } })]), [node]);
    });

    it("are not guessed at where they have no address there", () => {
        const Networks = { another: { IPAddress: "172.19.0.2" }, kind: {} };
        assert.throws(
            () => kindNodes([container({ NetworkSettings: { Networks, Ports: {} } })]),
            /must have an IPv4 address on Docker's network kind, and has none$/,
        );
    });
});

describe("the start of a process", () => {
    const now = Date.parse("2026-01-01T01:00:00Z");
    // From the state on, the start is the 20th field.
    const stat = `812 (a) name) S 1 812 812 0 -1 4194560 1 0 0 0 5 6 0 0 20 0 12 0 1050 1 2 3`;
    const cases: [string, string, string, number | undefined][] = [
        ["is told in hundredths of a second since the machine's", stat, "3600.25 7000.00", now - 3_589_750],
        ["is unknown of a process that is gone", "", "3600.25 7000.00", undefined],
        ["is unknown without the machine's", stat, "", undefined],
    ];
    for (const [what, process, uptime, start] of cases) {
        it(what, () => {
            assert.equal(startOf(process, uptime, now), start);
        });
    }
});

describe("a kubelet's serving certificate", () => {
    const authority = makeCertificate({ commonName: "kubernetes", authority: true });
    const right = { commonName: `system:node:${name}`, organization: "system:nodes", issuer: authority };
    const names = [dns(name), ip(node.address)];
    const cases: [string, string, boolean][] = [
        ["the cluster's", makeCertificate({ ...right, names }).certificate, true],
        ["its own", makeCertificate({ ...right, names, issuer: undefined }).certificate, false],
        [
            "one of another authority of that name",
            makeCertificate({
                ...right,
                names,
                issuer: makeCertificate({ commonName: "kubernetes", authority: true }),
            }).certificate,
            false,
        ],
        [
            "one of another address",
            makeCertificate({ ...right, names: [dns(name), ip("172.18.0.9")] }).certificate,
            false,
        ],
        [
            "one of another name",
            makeCertificate({ ...right, names: [dns("other"), ip(node.address)] }).certificate,
            false,
        ],
        [
            "one that has ended",
            makeCertificate({ ...right, names, notAfter: new Date(Date.now() - 1000) }).certificate,
            false,
        ],
    ];
    for (const [what, certificate, serves] of cases) {
        it(`${what}: ${serves ? "serves" : "does not serve"}`, () => {
            assert.equal(servesAs(certificate, node, authority.certificate), serves);
        });
    }

    it("is found in a file that holds the key too", () => {
        const { certificate, privateKey } = makeCertificate({ ...right, names });
        assert.deepEqual(certificatesIn(`${privateKey}${certificate}${authority.certificate}`), [
            certificate.trimEnd(),
            authority.certificate.trimEnd(),
        ]);
        assert.deepEqual(certificatesIn(privateKey), []);
    });
});

describe("a denial", () => {
    it("is told as usual where the kubelet itself asked before it was started anew", () => {
        assert.equal(
            denialNote("csr-1", node, { outOfDate: true, reasons: ["r"] }),
            `certificate request csr-1 of kubelet ${name} is out of date and denied, as usual when a cluster is made: ` +
                "kubeadm has restarted the kubelet since, which asks again with a new key",
        );
    });
    it("is told with its reasons where anything else is wrong", () => {
        const told = denialNote("csr-1", node, { outOfDate: false, reasons: ["one", "two"] });
        assert.equal(told, "certificate request csr-1 is denied: one; two");
    });
});
