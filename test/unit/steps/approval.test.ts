import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { bearsName, withApproval } from "../../../steps/lib/approval";
import { readRequest } from "../../../steps/lib/certificateRequests";
import { parseRequest } from "../../../steps/lib/csr";
import {
    keys,
    expected,
    clientParts,
    servingParts,
    client,
    serving,
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
