import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { proxyOf, proxyUrl } from "../../../../steps/lib/proxy";

describe("the environment's proxy", () => {
    const through = { HTTPS_PROXY: "http://p:1", HTTP_PROXY: "http://q:2" };
    const table: [string, NodeJS.ProcessEnv, string | undefined][] = [
        ["https://a.example.com/x", through, "http://p:1/"],
        ["http://a.example.com/x", through, "http://q:2/"],
        ["https://a.example.com", { https_proxy: "p:1" }, "http://p:1/"],
        ["https://a.example.com", { HTTPS_PROXY: "" }, undefined],
        ["https://a.example.com", { HTTP_PROXY: "http://q:2" }, undefined],
        // This machine is never reached through it, whatever else is said.
        ...["localhost:5001", "127.0.0.1:6443", "127.9.9.9", "[::1]:6443", "LOCALHOST"].map(
            (host): [string, NodeJS.ProcessEnv, undefined] => [`https://${host}`, through, undefined],
        ),
        ["https://localhost.example.com", through, "http://p:1/"],
        ["https://a.example.com", { ...through, NO_PROXY: "*" }, undefined],
        ["https://a.example.com", { ...through, NO_PROXY: "b.example.com, example.com" }, undefined],
        ["https://aexample.com", { ...through, NO_PROXY: "example.com" }, "http://p:1/"],
        ["https://example.com", { ...through, no_proxy: ".example.com" }, "http://p:1/"],
        ["https://a.example.com", { ...through, no_proxy: "*.example.com" }, undefined],
        ["https://a.example.com:8443", { ...through, NO_PROXY: "a.example.com:443" }, "http://p:1/"],
        ["https://a.example.com", { ...through, NO_PROXY: "A.example.com:443" }, undefined],
        ["https://10.1.2.3", { ...through, NO_PROXY: "10.1.0.0/16" }, undefined],
        ["https://10.2.2.3", { ...through, NO_PROXY: "10.1.0.0/16,10.3.0.0/x,/" }, "http://p:1/"],
        ["https://10.1.2.3", { ...through, NO_PROXY: "1.2.3" }, "http://p:1/"],
        ["https://[fd00::1]", { ...through, NO_PROXY: "fd00::/8" }, undefined],
        ["https://[fd00::1]", { ...through, NO_PROXY: "fd00::1" }, undefined],
    ];
    for (const [url, environment, proxy] of table) {
        it(`for ${url} with ${JSON.stringify(environment)} is ${proxy ?? "none"}`, () => {
            assert.equal(proxyOf(new URL(url), environment)?.href, proxy);
        });
    }
    it("must be one that is served; its password is not repeated", () => {
        for (const address of ["socks5://u:secret@p:1", "http://", "http://u:secret@p:x"]) {
            assert.throws(
                () => proxyUrl(address),
                ({ message }: Error) =>
                    message.includes("must be http://HOST:PORT") && !message.includes("secret"),
            );
        }
    });
});
