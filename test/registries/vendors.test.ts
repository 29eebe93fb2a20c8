// wasm-oci with each vendor's registry: who gets in, how, and what is said to who does not.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import type { TestRegistry } from "../parts";
import { clients } from "./clients";
import { Front, type Seen } from "./front/front";
import { withPasswords, withTokens } from "./front/distribution";
import type { Account } from "./front/tokens";
import { azure, AZURE_USER, dockerHub, github, google, type Vendor } from "./front/vendors";
import { startRegistry, stopRegistry } from "./started";
import { module, Workplace, type Ran } from "./wasmOci";

const own = [withPasswords(), withTokens()];
const [ghcr, acr, gar, hub] = [github(), azure(), google(), dockerHub()];
const vendors: Vendor[] = [ghcr, acr, gar, hub, ...own];

const addresses = new Map<string, string>();
const front = new Front(
    Object.assign({}, ...vendors.map(({ sites }) => sites)) as Vendor["sites"],
    (host) => addresses.get(host) ?? addresses.get("") ?? "",
);
let workplace: Workplace;
/** Where the others keep what they are given. */
const STORE: TestRegistry = { name: "krustlet-registries-test", port: 5933 };

before(async () => {
    addresses.set("", await startRegistry(STORE));
    for (const { registry, container } of own) addresses.set(registry, await startRegistry(container));
    await front.start();
    workplace = new Workplace({ HTTPS_PROXY: front.proxyUrl });
    workplace.write("ca.pem", front.certificate);
    // Should the proxy be passed by, it is better seen with a name that leads nowhere than with a vendor's own.
    await wasmOci("inspect", "nobody.invalid/a:v1");
    assert.deepEqual(front.strangers, ["nobody.invalid:443"], "wasm-oci does not go through HTTPS_PROXY");
});

after(async () => {
    workplace.remove();
    await front.stop();
    for (const container of [STORE, ...own.map((vendor) => vendor.container)]) await stopRegistry(container);
});

/** Runs wasm-oci as somebody with the private CA. */
const wasmOci = (...argv: string[]): Promise<Ran> =>
    workplace.run(["wasm-oci", ...argv, "--json", "--ca-file", workplace.file("ca.pem")]);

async function done(...argv: string[]): Promise<Record<string, unknown>> {
    const { exitCode, stdout, stderr } = await wasmOci(...argv);
    assert.equal(exitCode, 0, `wasm-oci ${argv.join(" ")}: ${stderr}`);
    return JSON.parse(stdout) as Record<string, unknown>;
}

/** What is said where it fails; never a secret. */
async function refused(...argv: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await wasmOci(...argv);
    assert.equal(exitCode, 1, `wasm-oci ${argv.join(" ")}: ${exitCode} ${stdout}${stderr}`);
    assert.equal(stdout, "");
    for (const { full, reader } of vendors)
        for (const { secret } of [full, reader, { secret: "wrong-password" }])
            assert.ok(!stderr.includes(secret), `a secret is in: ${stderr}`);
    return stderr;
}

const encoded = ({ user, secret }: Pick<Account, "user" | "secret">) =>
    Buffer.from(`${user}:${secret}`).toString("base64");
const logIn = (vendor: Vendor, account: Pick<Account, "user" | "secret">) =>
    workplace.dockerConfig({ auths: { [vendor.key]: { auth: encoded(account) } } });
const logOut = () => workplace.dockerConfig({});

/** Requests that change something in a registry. */
const writes = (seen: Seen[]) =>
    seen.filter(({ request }) => /^(POST|PUT|PATCH|DELETE) \S+\/v2\/.+\//.test(request));
const uploads = (seen: Seen[]) => writes(seen).filter(({ request }) => request.includes("/blobs/"));

let count = 0;
/** A file with a module of its own. */
function file(bytes?: number): { path: string; wasm: Buffer } {
    const wasm = module(`registries ${++count}`, bytes);
    return { path: workplace.write(`${count}.wasm`, wasm), wasm };
}

for (const vendor of vendors) {
    describe(vendor.name, () => {
        const name = `${vendor.registry}/${vendor.repository}`;
        let digest: unknown;
        let first: { path: string; wasm: Buffer };

        before(() => {
            first = file(300_000);
            front.forget();
        });

        it("takes a module, and gives it back by its tag and its digest", async () => {
            logIn(vendor, vendor.full);
            const pushed = await done("push", first.path, `${name}:v1`);
            digest = pushed.digest;
            assert.equal(pushed.alreadyPresent, false);
            assert.equal(pushed.reference, `${name}@${String(digest)}`);
            // The module and the config, and the manifest after them.
            assert.equal(uploads(front.seen).filter(({ status }) => status === 201).length, 2);
            for (const reference of [`${name}:v1`, String(pushed.reference)]) {
                const pulled = await done("pull", reference, "--output", workplace.file("back.wasm"));
                assert.equal(pulled.digest, digest);
                assert.ok(readFileSync(workplace.file("back.wasm")).equals(first.wasm));
            }
            const inspected = await done("inspect", `${name}:v1`);
            assert.deepEqual([inspected.digest, inspected.size], [digest, first.wasm.length]);
            assert.equal((await done("resolve", `${name}:v1`)).digest, digest);
        });

        it("gives it to crane with the same login", async () => {
            const crane = path.join(await clients(), "crane");
            const { exitCode, stdout, stderr } = await workplace.run([crane, "digest", `${name}:v1`], "", {
                SSL_CERT_FILE: workplace.file("ca.pem"),
            });
            assert.equal(exitCode, 0, stderr);
            assert.equal(stdout.trim(), digest);
        });

        it("is sent nothing by a second push", async () => {
            front.forget();
            const again = await done("push", first.path, `${name}:v1`);
            assert.deepEqual([again.digest, again.alreadyPresent], [digest, true]);
            assert.deepEqual(writes(front.forget()), []);
        });

        it("is sent a manifest alone for another tag", async () => {
            const tagged = await done("push", first.path, `${name}:v2`);
            assert.equal(tagged.digest, digest);
            const seen = front.forget();
            assert.deepEqual(uploads(seen), []);
            assert.equal(writes(seen).filter(({ status }) => status === 201).length, 1);
        });

        it("does not let in a wrong password", async () => {
            logIn(vendor, { user: vendor.full.user, secret: "wrong-password" });
            for (const argv of [
                ["push", first.path, `${name}:v3`],
                ["pull", `${name}:v1`, "--output", workplace.file("x")],
            ])
                assert.match(await refused(...argv), vendor.says.wrongPassword);
        });

        it("does not let in nobody", async () => {
            logOut();
            for (const argv of [
                ["push", first.path, `${name}:v3`],
                ["inspect", `${name}:v1`],
            ])
                assert.match(await refused(...argv), vendor.says.noLogin);
        });

        if (vendor.reader !== vendor.full) {
            it("lets a reader read, and says why it may not push", async () => {
                logIn(vendor, vendor.reader);
                assert.equal((await done("resolve", `${name}:v1`)).digest, digest);
                front.forget();
                assert.match(await refused("push", file().path, `${name}:v3`), vendor.says.readOnly);
                // With the login, once more with a new token, and as nobody.
                assert.ok(front.forget().length <= 24, "too many requests");
            });
        }

        it("takes a login of a credential helper", async () => {
            const helper = workplace.helper("vendor", { [vendor.key]: vendor.full });
            workplace.dockerConfig({ credHelpers: { [vendor.key]: "vendor" } });
            assert.equal((await done("push", file().path, `${name}:helper`)).alreadyPresent, false);
            assert.ok(helper.asked().includes(`get ${vendor.key}`), helper.asked().join());
            workplace.dockerConfig({ credsStore: "vendor" });
            assert.match(String((await done("resolve", `${name}:helper`)).digest), /^sha256:/);
            logOut();
        });

        it("takes a login of the command line, its password by standard input", async () => {
            const { user, secret } = vendor.full;
            const argv = ["wasm-oci", "push", file().path, `${name}:stdin`, "--json"];
            argv.push("--ca-file", workplace.file("ca.pem"), "--username", user, "--password-stdin");
            const { exitCode, stdout, stderr } = await workplace.run(argv, `${secret}\n`);
            assert.equal(exitCode, 0, stderr);
            assert.match((JSON.parse(stdout) as { digest: string }).digest, /^sha256:/);
        });

        it("shows a certificate that is verified", async () => {
            const { exitCode, stderr } = await workplace.run(["wasm-oci", "inspect", `${name}:v1`]);
            assert.equal(exitCode, 1);
            assert.match(stderr, /certificate/i);
        });
    });
}

describe("GHCR", () => {
    it("gives everybody what is public", async () => {
        const name = `${ghcr.registry}/octo/public`;
        logIn(ghcr, ghcr.full);
        const { digest } = await done("push", file().path, `${name}:v1`);
        logOut();
        assert.equal((await done("resolve", `${name}:v1`)).digest, digest);
        assert.match(await refused("push", file().path, `${name}:v2`), /permission_denied|denied/);
    });
});

describe("Azure", () => {
    const name = `${acr.registry}/${acr.repository}`;
    let refreshToken: string;

    before(async () => {
        // What `az acr login` does with its token of the directory.
        const answer = await acr.sites[acr.registry]({
            method: "POST",
            url: new URL(`https://${acr.registry}/oauth2/exchange`),
            authorization: "",
            form: new URLSearchParams({
                grant_type: "access_token",
                service: acr.registry,
                access_token: acr.directoryToken,
            }),
        });
        assert.ok(answer !== "registry" && answer.status === 200);
        refreshToken = (answer.body as { refresh_token: string }).refresh_token;
    });

    it("takes a refresh token, as `az acr login` leaves it in docker's config file", async () => {
        const auth = encoded({ user: AZURE_USER, secret: "" });
        workplace.dockerConfig({ auths: { [acr.registry]: { auth, identitytoken: refreshToken } } });
        front.forget();
        assert.match(String((await done("push", file().path, `${name}:identity`)).digest), /^sha256:/);
        const asked = front.forget().filter(({ request }) => request.endsWith("/oauth2/token"));
        assert.ok(
            asked.length > 0 && asked.every(({ request }) => request.startsWith("POST ")),
            JSON.stringify(asked),
        );
        assert.ok(asked.every(({ authorization, status }) => authorization === "" && status === 200));
    });

    it("takes one as a helper gives it, as the secret of <token>", async () => {
        workplace.helper("azure", { [acr.registry]: { user: "<token>", secret: refreshToken } });
        workplace.dockerConfig({ credsStore: "azure" });
        assert.match(String((await done("resolve", `${name}:identity`)).digest), /^sha256:/);
    });

    it("takes one as a password of the user of zeros, as `az acr login --expose-token` shows it", async () => {
        logIn(acr, { user: AZURE_USER, secret: refreshToken });
        assert.match(String((await done("resolve", `${name}:identity`)).digest), /^sha256:/);
    });

    it("says so where one is no longer good, and does not show it", async () => {
        const [auth, old] = [encoded({ user: AZURE_USER, secret: "" }), "a-refresh-token-of-yesterday"];
        workplace.dockerConfig({ auths: { [acr.registry]: { auth, identitytoken: old } } });
        const message = await refused("resolve", `${name}:identity`);
        assert.match(message, acr.says.wrongPassword);
        assert.ok(!message.includes(old), message);
    });
});

describe("Google", () => {
    for (const account of gar.others) {
        it(`takes the user ${account.user}`, async () => {
            const name = `${gar.registry}/${gar.repository}`;
            logIn(gar, account);
            const { digest } = await done("push", file().path, `${name}:${account.user}`);
            assert.equal((await done("resolve", `${name}:${account.user}`)).digest, digest);
        });
    }
});

describe("Docker Hub", () => {
    it("has names of one part in library/, under any of its own names", async () => {
        logOut();
        // Nobody may push there; what is there was put there by the registry itself.
        const { path: at, wasm } = file();
        const address = addresses.get("") ?? "";
        const put = await workplace.run([
            "wasm-oci",
            "push",
            at,
            `${address}/library/hello:v1`,
            "--plain-http",
            address,
        ]);
        assert.equal(put.exitCode, 0, put.stderr);
        for (const reference of ["hello:v1", "docker.io/hello:v1", "index.docker.io/library/hello:v1"]) {
            const pulled = await done("pull", reference, "--output", workplace.file("hub.wasm"));
            assert.equal(pulled.reference, "docker.io/library/hello:v1");
            assert.ok(readFileSync(workplace.file("hub.wasm")).equals(wasm));
        }
    });

    it("is asked where its registry is, never at docker.io itself", async () => {
        front.forget();
        await done("resolve", "hello:v1");
        const hosts = front.forget().map(({ request }) => request.split(" ")[1].split("/")[0]);
        assert.ok(hosts.includes("auth.docker.io"), hosts.join());
        assert.ok(
            hosts.some((host) => ["registry-1.docker.io", "index.docker.io"].includes(host)),
            hosts.join(),
        );
        assert.deepEqual(front.strangers, ["nobody.invalid:443"]);
    });
});

describe("a proxy", () => {
    it("is passed by for what NO_PROXY names", async () => {
        const own = new Workplace({ HTTPS_PROXY: front.proxyUrl, NO_PROXY: "passed-by.invalid" });
        try {
            const { stderr } = await own.run(["wasm-oci", "inspect", "passed-by.invalid/a:v1"]);
            assert.match(stderr, /passed-by\.invalid cannot be reached/);
            assert.ok(!front.strangers.includes("passed-by.invalid:443"));
        } finally {
            own.remove();
        }
    });
});
