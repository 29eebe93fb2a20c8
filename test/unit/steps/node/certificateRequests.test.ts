import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { holdsKey, isNamedAsOf, isUndecided } from "../../../../steps/node/certificates/certificateRequests";
import { CN, makeCsr, newKey, spki } from "./makeCsr";

describe("a certificate request", () => {
    it("is known to be named as the agent of a node names its own", () => {
        const names: [string, string, boolean][] = [
            ["krustlet-krustlet-client-abcde", "krustlet", true],
            ["krustlet-krustlet-serving-abcde", "krustlet", true],
            ["krustlet-krustlet-other-abcde", "krustlet", false],
            ["krustlet-krustlet2-client-abcde", "krustlet", false],
            ["krustlet-a-client-client-abcde", "a", false],
            ["krustlet-a-client-client-abcde", "a-client", true],
        ];
        for (const [name, node, named] of names)
            assert.equal(isNamedAsOf(name, node), named, `${name} of ${node}`);
    });

    it("is known to be for a key that was handed over", () => {
        const [own, other] = [newKey(), newKey()];
        const of = (pem: string) => ({
            metadata: { name: "csr" },
            spec: { request: Buffer.from(pem).toString("base64"), signerName: "s" },
        });
        const csr = of(makeCsr({ key: own, subject: [[CN, "x"]] }));
        assert.equal(holdsKey(csr, spki(own)), true);
        assert.equal(holdsKey(csr, spki(other)), false);
        assert.equal(holdsKey(of("nothing"), spki(own)), false);
    });

    it("is undecided until it has a condition", () => {
        const csr = { metadata: { name: "csr" }, spec: { request: "", signerName: "s" } };
        assert.equal(isUndecided(csr), true);
        assert.equal(isUndecided({ ...csr, status: { conditions: [] } }), true);
        assert.equal(
            isUndecided({ ...csr, status: { conditions: [{ type: "Denied", status: "True" }] } }),
            false,
        );
    });
});
