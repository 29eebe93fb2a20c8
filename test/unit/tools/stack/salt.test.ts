import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { mayNeed } from "../../../../tools/stack/salt";

/** By `pulumi stack init` with that passphrase. */
const passphrase = "correct horse battery staple";
const salt = "v1:9XmY/3r/dnU=:v1:ZVO5195dMUw5JrFz:t8Frys9KtuvmjOP4vYPczuTHO45Gag==";

describe("a stack's encryption salt", () => {
    it("is of the passphrase that Pulumi made it with, which a file may end with a line's end", async () => {
        assert.equal(await mayNeed(salt, passphrase), true);
        assert.equal(await mayNeed(salt, `${passphrase}\n`), true);
    });
    it("is of no other one", async () => {
        assert.equal(await mayNeed(salt, "correct horse"), false);
        // Its last byte is another one.
        assert.equal(await mayNeed(salt.replace(/.==$/, "A=="), passphrase), false);
    });
    for (const unknown of ["", "v1:x", "v1:x:v2:y:z", "v2:aaaa:v1:bbbb:cccc"])
        it(`may need any where its form is not known: ${JSON.stringify(unknown)}`, async () => {
            assert.equal(await mayNeed(unknown, passphrase), true);
        });
});
