import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { describe, it } from "node:test";
import { proxyOf, proxyUrl } from "../../../../steps/lib/proxy";

/** The table that the artifact tool's and the node's rule is held to. */
const { proxies, refused } = JSON.parse(
    readFileSync(path.join(__dirname, "../../../../krustlet/oci/testdata/proxies.json"), "utf8"),
) as { proxies: [string, NodeJS.ProcessEnv, string | null][]; refused: string[] };

describe("the environment's proxy", () => {
    for (const [url, environment, proxy] of proxies) {
        it(`for ${url} with ${JSON.stringify(environment)} is ${proxy ?? "none"}`, () => {
            assert.equal(proxyOf(new URL(url), environment)?.href ?? null, proxy);
        });
    }
    it("must be one that is served; its password is not repeated", () => {
        for (const address of refused) {
            assert.throws(
                () => proxyUrl(address),
                ({ message }: Error) =>
                    message.includes("must be http://HOST:PORT") && !message.includes("hunter2"),
            );
        }
    });
});
