import assert from "node:assert/strict";
import { describe, it } from "node:test";
import {
    bearsName,
    isGrantedToStranger,
    printable,
    signers,
    withApproval,
    withDenial,
} from "../../../../steps/node/certificates/approval";
import { readRequest } from "../../../../steps/node/certificates/certificateRequests";
import { parseRequest } from "../../../../steps/node/certificates/csr";
import {
    keys,
    expected,
    clientParts,
    servingParts,
    client,
    serving,
    renewal,
    decision,
    servingNames,
    condition,
    refused,
} from "./approvalCases";
import { CN, makeCsr, newKey, O, spki, toPem } from "./makeCsr";

describe("the decision on a certificate request", () => {
    it("approves the node's client request", async () => {
        assert.deepEqual(await decision(client()), { verdict: "approve", purpose: "client" });
    });

    it("approves the node's serving request, its names in either order", async () => {
        assert.deepEqual(await decision(serving()), { verdict: "approve", purpose: "serving" });
        assert.deepEqual(await decision(serving({ names: [...servingNames].reverse() })), {
            verdict: "approve",
            purpose: "serving",
        });
    });

    it("approves the renewal of both certificates, which the node asks for itself", async () => {
        const approved = (purpose: string) => ({ verdict: "approve", purpose });
        // No token is left by then, and the node is registered.
        const later = { ...expected, bootstrapUsername: undefined, nodeTaken: true };
        assert.deepEqual(await decision(renewal(), later), approved("client"));
        assert.deepEqual(await decision(serving(), later), approved("serving"));
    });

    it("approves both bounds of expirationSeconds", async () => {
        for (const expirationSeconds of [600, 31_622_400]) {
            assert.deepEqual(await decision(client({}, { spec: { expirationSeconds } })), {
                verdict: "approve",
                purpose: "client",
            });
        }
    });

    it("knows the node's request that an ended run approved", async () => {
        const csr = client({}, { status: condition("Approved") });
        assert.deepEqual(await decision(csr), { verdict: "approved already", purpose: "client" });
    });

    it("holds a node to the life that it was told to ask for", async () => {
        const told = { ...expected, durationSeconds: 3600 };
        for (const make of [client, serving, renewal]) {
            const right = make({}, { spec: { expirationSeconds: 3600 } });
            assert.equal((await decision(right, told)).verdict, "approve");
            for (const [expirationSeconds, what] of [
                [undefined, "not set"],
                [3601, "3601"],
                [600, "600"],
            ] as const) {
                assert.deepEqual(await decision(make({}, { spec: { expirationSeconds } }), told), {
                    verdict: "refuse",
                    purpose: make === serving ? "serving" : "client",
                    reasons: [`expirationSeconds is ${what}, not 3600`],
                });
            }
        }
    });

    it("refuses a first client certificate where another has the Node already", async () => {
        assert.deepEqual(await decision(client(), { ...expected, nodeTaken: true }), {
            verdict: "refuse",
            purpose: "client",
            reasons: [
                "the cluster has a Node krustlet already, which this host's agent did not register; delete it if nothing uses it",
            ],
        });
    });

    it("shows nothing of a stranger's that a terminal would obey", async () => {
        const csr = client({ subject: [[CN, "\u001b[2Jx\n\u202eevil"]] }, { spec: { username: "eve\r\n" } });
        const result = await decision(csr);
        const reasons = "reasons" in result ? result.reasons.join("; ") : "";
        assert.match(reasons, /requester is eve\ufffd\ufffd, not /);
        assert.match(reasons, /subject is CN=\ufffd\[2Jx\ufffd\ufffdevil, not /);
        assert.equal(printable("x".repeat(201)), `${"x".repeat(197)}...`);
        assert.equal(printable("Zürich: 東京"), "Zürich: 東京");
    });

    it("has at least thirty ways to refuse", () => {
        assert.ok(refused.length >= 30);
    });

    for (const [what, csr, reason] of refused) {
        it(`refuses ${what}`, async () => {
            const result = await decision(csr);
            assert.equal(result.verdict, "refuse");
            const reasons = "reasons" in result ? result.reasons.join("; ") : "";
            if (typeof reason === "string") assert.equal(reasons, reason);
            else assert.match(reasons, reason);
        });
    }

    it("refuses another kind of key, even the one that was handed over", async () => {
        const key = newKey("P-384");
        const result = await decision(client({ key }), {
            ...expected,
            publicKeys: { ...expected.publicKeys, client: spki(key) },
        });
        assert.deepEqual(result, {
            verdict: "refuse",
            purpose: "client",
            reasons: ["its key is ec secp384r1, not P-256"],
        });
    });

    it("refuses everything until the agent has handed its key over", async () => {
        const result = await decision(client(), {
            ...expected,
            publicKeys: { client: undefined, serving: undefined },
        });
        assert.deepEqual(result, {
            verdict: "refuse",
            purpose: "client",
            reasons: ["the node's agent has handed over no public key"],
        });
    });

    it("refuses a bootstrap user when no token of this node is known", async () => {
        const result = await decision(client(), { ...expected, bootstrapUsername: undefined });
        assert.deepEqual(result, {
            verdict: "refuse",
            purpose: "client",
            reasons: ["requester is system:bootstrap:abc123, not a token of this node"],
        });
    });

    it("tells every check that failed", async () => {
        const result = await decision(
            client({ key: keys.foreign, subject: [[CN, "x"]] }, { spec: { username: "eve", usages: [] } }),
        );
        assert.equal("reasons" in result ? result.reasons.length : 0, 4);
    });
});

describe("a request's content", () => {
    const pem = makeCsr(clientParts);
    const unreadable: [string, string, RegExp][] = [
        ["nothing", "", /not one certificate request in PEM/],
        ["two requests", pem + pem, /not one certificate request in PEM/],
        ["text before it", `x\n${pem}`, /not one certificate request in PEM/],
        [
            "a certificate's label",
            pem.replaceAll("CERTIFICATE REQUEST", "CERTIFICATE"),
            /not one certificate request in PEM/,
        ],
        ["bytes after it", toPem(Buffer.concat([derOf(pem), Buffer.from([0])])), /./],
        ["a cut", toPem(derOf(pem).subarray(0, -5)), /./],
        ["a length in BER", toPem(inBer(derOf(pem))), /./],
    ];
    for (const [what, source, message] of unreadable) {
        it(`is not read when there is ${what}`, async () => {
            await assert.rejects(parseRequest(source), message);
            const csr = client({}, { spec: { request: Buffer.from(source).toString("base64") } });
            assert.equal((await decision(csr)).verdict, "refuse");
        });
    }

    it("is read whole", async () => {
        const parsed = await parseRequest(makeCsr(servingParts));
        assert.deepEqual(parsed, {
            subject: [
                { attribute: "O", value: "system:nodes" },
                { attribute: "CN", value: "system:node:krustlet" },
            ],
            alternativeNames: ["DNS:krustlet", "IP:172.18.0.1"],
            others: [],
            publicKey: spki(keys.serving),
            keyType: "P-256",
            signatureVerifies: true,
        });
    });
});

describe("which requests are looked at", () => {
    it("those with the node's name in the subject, whoever filed them", async () => {
        const csr = client({}, { spec: { username: "eve" } });
        assert.equal(bearsName(csr, await readRequest(csr), "krustlet"), true);
    });
    it("those that the node filed itself", async () => {
        const csr = serving({ subject: [[CN, "x"]] });
        assert.equal(bearsName(csr, await readRequest(csr), "krustlet"), true);
    });
    it("those that the node filed for any other signer", async () => {
        const csr = serving({ subject: [[CN, "x"]] }, { spec: { signerName: "example.com/signer" } });
        assert.equal(bearsName(csr, await readRequest(csr), "krustlet"), true);
    });
    it("those for a serving certificate of the node's name, and no other signer's", async () => {
        const by = (signerName: string) =>
            serving({ subject: [[CN, "x"]] }, { spec: { username: "eve", signerName } });
        for (const [csr, bears] of [
            [by(signers.serving), true],
            [by("example.com/signer"), false],
        ] as const) {
            assert.equal(bearsName(csr, await readRequest(csr), "krustlet"), bears);
        }
    });
    it("those that are named as the agent's are, though nobody can read them", () => {
        const names: [string, string, boolean][] = [
            ["krustlet-krustlet-client-abcde", "krustlet", true],
            ["krustlet-krustlet-serving-abcde", "krustlet", true],
            ["krustlet-krustlet-client-", "krustlet", true],
            ["krustlet-krustlet-other-abcde", "krustlet", false],
            ["krustlet-krustlet2-client-abcde", "krustlet", false],
            ["krustlet-a-client-client-abcde", "a", false],
            ["krustlet-a-client-client-abcde", "a-client", true],
            ["krustlet-a-client-serving-abcde", "a", false],
        ];
        for (const [name, node, bears] of names) {
            const csr = client({}, { spec: { username: "eve" } });
            csr.metadata.name = name;
            assert.equal(bearsName(csr, new Error("unreadable"), node), bears, `${name} of ${node}`);
        }
    });
    it("not those of another node", async () => {
        const csr = client({
            subject: [
                [O, "system:nodes"],
                [CN, "system:node:krustlet-2"],
            ],
        });
        assert.equal(bearsName(csr, await readRequest(csr), "krustlet"), false);
    });
});

it("a stranger's request that somebody granted since the launch is told from the node's own", () => {
    const eve = { spec: { username: "eve", groups: ["system:authenticated"] } };
    const granted = { status: condition("Approved") };
    assert.equal(isGrantedToStranger(client({}, { ...eve, ...granted }), expected), true);
    const others: [string, ReturnType<typeof client>][] = [
        ["not decided", client({}, eve)],
        ["denied", client({}, { ...eve, status: condition("Denied") })],
        ["before", client({}, { ...eve, ...granted, created: "2026-01-01T00:00:09Z" })],
        ["a token of the node's group, an earlier one say", client({}, granted)],
        ["the node itself, a renewal say", renewal({}, granted)],
    ];
    for (const [what, csr] of others) assert.equal(isGrantedToStranger(csr, expected), false, what);
});

it("a denial says why, and keeps the request as it was looked at", () => {
    const csr = client();
    const denied = withDenial(csr, ["one", "two"]);
    assert.deepEqual(denied, {
        ...csr,
        apiVersion: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        status: {
            conditions: [
                {
                    type: "Denied",
                    status: "True",
                    reason: "KrustletStackDenied",
                    message: "It bears a node's name and is not that node's: one; two",
                },
            ],
        },
    });
});

it("an approval keeps the request as it was looked at", () => {
    const csr = client();
    csr.metadata.resourceVersion = "17";
    const approved = withApproval(csr);
    assert.deepEqual(approved.spec, csr.spec);
    assert.deepEqual(approved.metadata, csr.metadata);
    assert.deepEqual(
        approved.status?.conditions?.map(({ type, status }) => [type, status]),
        [["Approved", "True"]],
    );
});

function derOf(pem: string): Buffer {
    return Buffer.from(pem.replace(/-----[^-]+-----|\n/g, ""), "base64");
}

/** The same request with its outer length in more bytes than it needs: allowed in BER, not in DER. */
function inBer(der: Buffer): Buffer {
    assert.deepEqual([der[0], der[1] & 0x80], [0x30, 0x80]);
    const count = der[1] & 0x7f;
    return Buffer.concat([Buffer.from([0x30, 0x80 | (count + 1), 0]), der.subarray(2)]);
}
