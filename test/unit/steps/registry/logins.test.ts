import assert from "node:assert/strict";
import { afterEach, beforeEach, describe, it } from "node:test";
import { describeLogin } from "../../../../steps/registry/describeLogin";
import * as logins from "../../../../steps/registry/logins/logins";
import { ScriptedTools } from "../lib/scriptedDocker";

// Which logins a registry has is for wasm-oci to say, and its tests: krustlet/oci/src/auth/stored.rs, wasm-oci/tests/integration/asking.rs.
describe("the logins for a registry", () => {
    let tools: ScriptedTools;
    beforeEach(() => (tools = new ScriptedTools()));
    afterEach(() => tools.remove());
    const auths = { "ghcr.io": { auth: "bWU6c2VjcmV0" } };
    const says = (body: string) => tools.script("wasm-oci", body);
    const answers = (found: object) => says(`print(${JSON.stringify(JSON.stringify({ auths: found }))});`);

    it("are asked of wasm-oci, of the file that is named", async () => {
        answers(auths);
        assert.deepEqual(await logins.loginsOf("ghcr.io", { dockerConfigFile: "/logins.json" }), auths);
        assert.deepEqual(await logins.loginsOf("ghcr.io", {}), auths);
        assert.deepEqual(tools.asked(), [
            "wasm-oci login-of ghcr.io --secrets --json --registry-config=/logins.json",
            "wasm-oci login-of ghcr.io --secrets --json",
        ]);
        answers({});
        assert.equal(await logins.loginsOf("ghcr.io", {}), undefined);
    });

    it("are repeated in no error", async () => {
        const failures: [string, RegExp][] = [
            [`print('{"auths": "hunter2'); return 0;`, /wasm-oci did not print JSON \(18 characters\)$/],
            [
                `print('{"logins": "hunter2"}'); return 0;`,
                /wasm-oci printed no logins; is it of this version\?$/,
            ],
            [`print("hunter2"); return 1;`, /: exit code 1$/],
            [`print("hunter2"); say("wasm-oci: damaged\\n"); return 2;`, /: wasm-oci: damaged$/],
        ];
        for (const [body, said] of failures) {
            says(body);
            await assert.rejects(logins.loginsOf("ghcr.io", {}), (error: Error) => {
                assert.match(error.message, /^RegistryPullSecret: could not read the login for ghcr\.io: /);
                assert.match(error.message, said);
                assert.doesNotMatch(JSON.stringify([error.message, error.cause]), /hunter2/);
                return true;
            });
        }
    });

    it("are looked at in a preview only where nothing has to be built for it", async () => {
        const { PATH, XDG_CACHE_HOME } = process.env;
        const question = { registry: "ghcr.io", salt: "p/s", mayBuild: false };
        answers({});
        assert.deepEqual(await describeLogin(question), { known: true, fingerprint: null });
        answers(auths);
        const fingerprint = logins.loginFingerprint(auths, "p/s");
        assert.deepEqual(await describeLogin(question), { known: true, fingerprint });
        process.env.PATH = process.env.XDG_CACHE_HOME = "/nowhere";
        try {
            assert.deepEqual(await describeLogin(question), { known: false, fingerprint: null });
        } finally {
            Object.assign(process.env, { PATH, XDG_CACHE_HOME });
            if (XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
        }
    });
});

describe("the fingerprint of logins", () => {
    const one = { "ghcr.io": { username: "me", password: "password" } };
    const print = logins.loginFingerprint(one, "p/s");
    it("is the same for the same logins, in any order", () => {
        const b = { "b.io": { auth: "x" } };
        assert.equal(
            logins.loginFingerprint({ "ghcr.io": { password: "password", username: "me" } }, "p/s"),
            print,
        );
        assert.equal(
            logins.loginFingerprint({ ...one, ...b }, "p/s"),
            logins.loginFingerprint({ ...b, ...one }, "p/s"),
        );
    });
    it("is another one for another password, registry or stack", () => {
        const others = [
            logins.loginFingerprint({ "ghcr.io": { username: "me", password: "Password" } }, "p/s"),
            logins.loginFingerprint({ "quay.io": { username: "me", password: "password" } }, "p/s"),
            logins.loginFingerprint(one, "p/t"),
        ];
        assert.equal(new Set([print, ...others]).size, 4);
    });
    it("holds nothing of them, and takes its time", () => {
        assert.match(print, /^[A-Za-z0-9+/]{43}=$/);
        const begun = process.hrtime.bigint();
        logins.loginFingerprint(one, "other");
        assert.ok(process.hrtime.bigint() - begun > 10_000_000n, "under 10 ms: a guess would cost nothing");
    });
});
