import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as logins from "../../../../steps/registry/logins";

const base64 = (text: string) => Buffer.from(text).toString("base64");
const HUB = "https://index.docker.io/v1/";
const azureUser = "00000000-0000-0000-0000-000000000000";

describe("the registry of a login", () => {
    const cases: [string, string][] = [
        ["ghcr.io", "ghcr.io"],
        ["https://ghcr.io", "ghcr.io"],
        ["http://localhost:5001/v2/", "localhost:5001"],
        ["GHCR.io/you", "ghcr.io"],
        [HUB, "docker.io"],
        ["index.docker.io", "docker.io"],
        ["registry-1.docker.io", "docker.io"],
        ["docker.io", "docker.io"],
        ["docker.io.example.com", "docker.io.example.com"],
    ];
    for (const [key, registry] of cases) {
        it(`${key} is ${registry}`, () => {
            assert.equal(logins.registryOfKey(key), registry);
        });
    }
});

describe("the logins in docker's config file", () => {
    const auth = base64("me:password");
    const cases: [string, logins.DockerConfig, string, Record<string, logins.AuthEntry>][] = [
        ["none", {}, "ghcr.io", {}],
        [
            "the registry's own, under its key",
            { auths: { "https://ghcr.io": { auth }, "quay.io": { auth } } },
            "ghcr.io",
            { "https://ghcr.io": { auth } },
        ],
        [
            "all that are for parts of it",
            { auths: { "ghcr.io/a": { auth }, "ghcr.io/b": { username: "b", password: "p" } } },
            "ghcr.io",
            { "ghcr.io/a": { auth }, "ghcr.io/b": { username: "b", password: "p" } },
        ],
        ["not those of another port", { auths: { "localhost:5000": { auth } } }, "localhost:5001", {}],
        ["Docker Hub's under its old name", { auths: { [HUB]: { auth } } }, "docker.io", { [HUB]: { auth } }],
        [
            "not what docker leaves where a helper has it",
            { auths: { "ghcr.io": {}, "x.io": null } },
            "ghcr.io",
            {},
        ],
        [
            "a refresh token as the password that Azure's registry takes it for",
            { auths: { "a.azurecr.io": { auth: base64("user:"), identitytoken: "refresh" } } },
            "a.azurecr.io",
            { "a.azurecr.io": { identitytoken: "refresh", auth: base64(`${azureUser}:refresh`) } },
        ],
        [
            "nothing but the login of an entry",
            { auths: { "ghcr.io": { auth, email: "me@example.com" } as logins.AuthEntry } },
            "ghcr.io",
            { "ghcr.io": { auth } },
        ],
    ];
    for (const [what, config, registry, found] of cases) {
        it(`are ${what}`, () => {
            assert.deepEqual(logins.loginsInFile(config, registry), found);
        });
    }
});

describe("the credential helper of a registry", () => {
    const config = {
        credsStore: "desktop",
        credHelpers: { "europe-west1-docker.pkg.dev": "gcloud", [HUB]: "pass" },
    };
    for (const [registry, helper] of [
        ["europe-west1-docker.pkg.dev", "gcloud"],
        ["docker.io", "pass"],
        ["ghcr.io", "desktop"],
    ]) {
        it(`${registry}: ${helper}`, () => {
            assert.equal(logins.helperOf(config, registry), helper);
        });
    }
    it("none", () => {
        assert.equal(logins.helperOf({ auths: {} }, "ghcr.io"), undefined);
    });
    const printed: [object, logins.AuthEntry | undefined][] = [
        [{ ServerURL: "ghcr.io", Username: "me", Secret: "p:w" }, { auth: base64("me:p:w") }],
        [
            { ServerURL: "a.azurecr.io", Username: "<token>", Secret: "refresh" },
            { identitytoken: "refresh", auth: base64(`${azureUser}:refresh`) },
        ],
        [{ ServerURL: "ghcr.io", Username: "me", Secret: "" }, undefined],
        [{}, undefined],
    ];
    for (const [answer, login] of printed) {
        it(`that prints ${JSON.stringify(answer)}`, () => {
            assert.deepEqual(logins.loginOfHelper(JSON.stringify(answer)), login);
        });
    }
});

describe("the fingerprint of logins", () => {
    const one = { "ghcr.io": { username: "me", password: "password" } };
    const print = logins.fingerprintOf(one, "p/s");
    it("is the same for the same logins, in any order", () => {
        const b = { "b.io": { auth: "x" } };
        assert.equal(
            logins.fingerprintOf({ "ghcr.io": { password: "password", username: "me" } }, "p/s"),
            print,
        );
        assert.equal(
            logins.fingerprintOf({ ...one, ...b }, "p/s"),
            logins.fingerprintOf({ ...b, ...one }, "p/s"),
        );
    });
    it("is another one for another password, registry or stack", () => {
        const others = [
            logins.fingerprintOf({ "ghcr.io": { username: "me", password: "Password" } }, "p/s"),
            logins.fingerprintOf({ "quay.io": { username: "me", password: "password" } }, "p/s"),
            logins.fingerprintOf(one, "p/t"),
        ];
        assert.equal(new Set([print, ...others]).size, 4);
    });
    it("holds nothing of them, and takes its time", () => {
        assert.match(print, /^[A-Za-z0-9+/]{43}=$/);
        const begun = process.hrtime.bigint();
        logins.fingerprintOf(one, "other");
        assert.ok(process.hrtime.bigint() - begun > 10_000_000n, "under 10 ms: a guess would cost nothing");
    });
});
