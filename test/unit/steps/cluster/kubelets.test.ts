import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { CertificateSigningRequest } from "../../../../steps/node/certificates/approval";
import { readRequest } from "../../../../steps/node/certificates/certificateRequests";
import type { Container } from "../../../../steps/lib/docker";
import {
    asksToServeAs,
    certificatesIn,
    credentialOf,
    decideForKubelet,
    denialNote,
    kindNodes,
    servesAs,
    startOf,
    type KindNode,
} from "../../../../steps/cluster/kubelets";
import { makeCertificate } from "../node/makeCertificate";
import { CN, makeCsr, newKey, O, type CsrParts } from "../node/makeCsr";

const name = "wasm-control-plane";
const node: KindNode = {
    name,
    container: "1",
    address: "172.18.0.2",
};
const startedAt = Date.parse("2026-01-01T00:00:10.500Z");
const clientCertificate = makeCertificate({ commonName: `system:node:${name}` }).certificate;
const credential = "authentication.kubernetes.io/credential-id";
const subject: [string, string][] = [
    [O, "system:nodes"],
    [CN, `system:node:${name}`],
];
const dns = (dNSName: string) => ({ dNSName });
const ip = (iPAddress: string) => ({ iPAddress });

/** A kubelet's request, with what is changed in it. */
function request(
    parts: Partial<CsrParts> = {},
    spec: Partial<CertificateSigningRequest["spec"]> = {},
    created = "2026-01-01T00:00:15Z",
): CertificateSigningRequest {
    const pem = makeCsr({ key: newKey(), subject, names: [dns(name), ip(node.address)], ...parts });
    return {
        metadata: { name: "csr", creationTimestamp: created },
        spec: {
            request: Buffer.from(pem).toString("base64"),
            signerName: "kubernetes.io/kubelet-serving",
            usages: ["digital signature", "server auth"],
            username: `system:node:${name}`,
            groups: ["system:nodes", "system:authenticated"],
            extra: { [credential]: [credentialOf(clientCertificate)] },
            ...spec,
        },
    };
}

const renewed = makeCertificate({ commonName: `system:node:${name}` }).certificate;
const foreign = makeCertificate({ commonName: `system:node:${name}` }).certificate;

/** What is wrong, the request, and why it is refused. */
const refused: [string, CertificateSigningRequest, RegExp][] = [
    [
        "one by somebody in the node's name: no credential",
        request({}, { extra: undefined }),
        /credential unknown/,
    ],
    ["one with no such entry", request({}, { extra: {} }), /credential unknown/],
    [
        "one filed with another certificate of that name",
        request({}, { extra: { [credential]: [credentialOf(foreign)] } }),
        /^it was filed with credential X509SHA256=[0-9a-f]{64}, not with one that the kubelet of wasm-control-plane holds$/,
    ],
    [
        "one with two credentials",
        request({}, { extra: { [credential]: [credentialOf(clientCertificate), credentialOf(foreign)] } }),
        /filed with credential/,
    ],
    [
        "a token's credential",
        request({}, { extra: { [credential]: ["JTI=1"] } }),
        /filed with credential JTI=1/,
    ],
    [
        "another node as requester",
        request({}, { username: "system:node:other" }),
        /requester is system:node:other/,
    ],
    [
        "an administrator as requester",
        request({}, { username: "kubernetes-admin" }),
        /requester is kubernetes-admin/,
    ],
    [
        "an administrator's groups",
        request({}, { groups: ["system:masters", "system:authenticated"] }),
        /requester's groups/,
    ],
    [
        "another CN",
        request({
            subject: [
                [O, "system:nodes"],
                [CN, "system:node:other"],
            ],
        }),
        /subject is/,
    ],
    ["an extra O", request({ subject: [[O, "system:masters"], ...subject] }), /subject is/],
    ["no O", request({ subject: [[CN, `system:node:${name}`]] }), /subject is/],
    [
        "another name beside its own",
        request({ names: [dns(name), dns("kubernetes"), ip(node.address)] }),
        /names are/,
    ],
    ["a wildcard", request({ names: [dns("*"), ip(node.address)] }), /names are/],
    ["another address", request({ names: [dns(name), ip("172.18.0.1")] }), /names are/],
    ["two addresses", request({ names: [dns(name), ip(node.address), ip("10.96.0.1")] }), /names are/],
    ["no address", request({ names: [dns(name)] }), /names are/],
    ["no names", request({ names: undefined }), /names are none/],
    ["client auth", request({}, { usages: ["digital signature", "client auth"] }), /usages are/],
    [
        "one usage more",
        request({}, { usages: ["digital signature", "server auth", "client auth"] }),
        /usages are/,
    ],
    ["a key of another curve", request({ key: newKey("P-384") }), /its key is/],
    ["a foreign signature", request({ signer: newKey() }), /signature does not verify/],
    ["a broken signature", request({ corrupt: true }), /signature does not verify/],
    ["more extensions", request({ extensions: ["2.5.29.19"] }), /it asks for more/],
    [
        "one from before the cluster",
        request({}, {}, "2025-12-31T23:59:00Z"),
        /filed at 2025-12-31T23:59:00Z, before/,
    ],
    [
        "one of a kubelet that has been started anew since",
        request({}, {}, "2026-01-01T00:00:09Z"),
        /^the kubelet that runs on wasm-control-plane was started after it was filed$/,
    ],
    ["ten years", request({}, { expirationSeconds: 315_360_000 }), /expirationSeconds/],
    [
        "a client certificate",
        request({ names: undefined }, { signerName: "kubernetes.io/kube-apiserver-client-kubelet" }),
        /handed over no public key/,
    ],
    ["what is no request", request({}, { request: "bm9uZQ==" }), /cannot be read/],
    [
        "one that was denied",
        {
            ...request(),
            status: { conditions: [{ type: "Denied", status: "True", reason: "R", message: "M" }] },
        },
        /it was decided before: Denied/,
    ],
];

describe("the decision on a kubelet's request", () => {
    const decision = async (
        csr: CertificateSigningRequest,
        clientCertificates = [renewed, clientCertificate],
    ) => decideForKubelet(csr, await readRequest(csr), node, { clientCertificates, startedAt });

    it("approves the kubelet's own", async () => {
        assert.deepEqual(await decision(request()), { verdict: "approve", purpose: "serving" });
    });

    it("approves one that it filed in the second of its start", async () => {
        const csr = request({}, {}, "2026-01-01T00:00:10Z");
        assert.equal((await decision(csr)).verdict, "approve");
    });

    it("refuses all where no kubelet runs", async () => {
        const csr = request();
        const facts = { clientCertificates: [clientCertificate], startedAt: undefined };
        const result = decideForKubelet(csr, await readRequest(csr), node, facts);
        assert.equal(result.verdict, "refuse");
    });

    it("knows one that was approved already", async () => {
        const csr = request();
        csr.status = { conditions: [{ type: "Approved", status: "True" }] };
        assert.deepEqual(await decision(csr), { verdict: "approved already", purpose: "serving" });
    });

    it("refuses all where the kubelet has no client certificate", async () => {
        assert.equal((await decision(request(), [])).verdict, "refuse");
    });

    for (const [what, csr, reason] of refused) {
        it(`refuses ${what}`, async () => {
            const result = await decision(csr);
            assert.equal(result.verdict, "refuse");
            assert.match("reasons" in result ? result.reasons.join("; ") : "", reason);
        });
    }
});

describe("whether a request is for a kubelet's serving certificate", () => {
    const cases: [string, CertificateSigningRequest, boolean][] = [
        ["the kubelet's own", request(), true],
        ["somebody else's in its name", request({}, { username: "kubernetes-admin" }), true],
        ["one of it that cannot be read", request({}, { request: "bm9uZQ==" }), true],
        [
            "another node's",
            request({ subject: [[CN, "system:node:other"]] }, { username: "system:node:other" }),
            false,
        ],
        [
            "its client certificate",
            request({}, { signerName: "kubernetes.io/kube-apiserver-client-kubelet" }),
            false,
        ],
    ];
    for (const [what, csr, asks] of cases) {
        it(`${what}: ${asks ? "yes" : "no"}`, async () => {
            assert.equal(asksToServeAs(csr, await readRequest(csr), name), asks);
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
    const told = async (csr: CertificateSigningRequest) => {
        const facts = {
            clientCertificates: [clientCertificate],
            startedAt: Date.parse("2026-01-01T00:00:11Z"),
        };
        const decision = decideForKubelet(csr, await readRequest(csr), node, facts);
        if (decision.verdict !== "refuse") throw new Error("it is approved");
        return denialNote("csr-1", node, decision.reasons);
    };
    const late = "2026-01-01T00:00:09Z";

    it("is told as usual where the kubelet itself asked before it was started anew", async () => {
        assert.equal(
            await told(request({}, {}, late)),
            `certificate request csr-1 of kubelet ${name} is out of date and denied, as usual when a cluster is made: ` +
                "kubeadm has restarted the kubelet since, which asks again with a new key",
        );
    });
    it("is told with its reasons where anything else is wrong, whenever it was filed", async () => {
        for (const wrong of [
            request({}, { extra: {} }, late),
            request({ signer: newKey() }, {}, late),
            request({ signer: newKey() }),
        ])
            assert.match(await told(wrong), /^certificate request csr-1 is denied: (it|the|its) /);
    });
});
