import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, describe, it } from "node:test";
import { accessOf } from "../../../../steps/lib/kube/access";
import { clusterOf } from "../../../../steps/lib/kube/kube";
import { isOnlyOf, parseKubeconfig } from "../../../../steps/lib/kube/kubeconfig";

const folder = mkdtempSync(path.join(tmpdir(), "krustlet-kubeconfig-"));
after(() => {
    rmSync(folder, { recursive: true });
});
const base64 = (text: string) => Buffer.from(text).toString("base64");

/** A kubeconfig file of one context; the fields of its cluster and its user are given. */
function file(cluster: object, user: object, more: object = {}): string {
    const config = {
        clusters: [{ name: "c", cluster }],
        users: [{ name: "u", user }],
        contexts: [{ name: "x", context: { cluster: "c", user: "u" } }],
        "current-context": "x",
        ...more,
    };
    const name = path.join(folder, "config");
    writeFileSync(name, JSON.stringify(config));
    return name;
}
const server = { server: "https://127.0.0.1:6443" };

describe("where a kubeconfig leads", () => {
    it("is read as YAML of any form, with more clusters in it, comments, anchors and quotes", async () => {
        const name = path.join(folder, "yaml");
        const text = `
# mine
apiVersion: "v1"
clusters:
  - name: other
    cluster: {server: "https://10.0.0.1", certificate-authority-data: Q0I=}
  - cluster:
      "server": 'https://127.0.0.1:6443'   # kind's
      certificate-authority-data: >-
        Q0E=
    name: "kind-wasm"
contexts: [{name: o, context: {cluster: other, user: u}}, {name: w, context: &w {cluster: kind-wasm, user: u}}]
current-context: w
users: [{name: u, user: {token: t}}]
`;
        writeFileSync(name, text);
        assert.deepEqual(await clusterOf(name), {
            server: "https://127.0.0.1:6443",
            certificateAuthorityData: "Q0E=",
        });
        assert.equal((await (await accessOf(name, "o"))()).server, "https://10.0.0.1");
    });

    it("takes data before files, files relative to its folder, and a token's file as it is at that moment", async () => {
        writeFileSync(path.join(folder, "ca.pem"), "CA of a file");
        writeFileSync(path.join(folder, "token"), "first\n");
        const name = file(
            {
                ...server,
                "certificate-authority": "ca.pem",
                "tls-server-name": "api",
                "proxy-url": "http://p:1",
            },
            {
                "client-certificate-data": base64("CERT"),
                "client-certificate": "/nowhere",
                "client-key-data": base64("KEY"),
                token: "unused",
                tokenFile: "token",
                as: "somebody",
                "as-groups": ["a", "b"],
            },
        );
        const access = await accessOf(name);
        assert.deepEqual(await access(), {
            server: "https://127.0.0.1:6443",
            authorityPem: "CA of a file",
            serverName: "api",
            insecure: false,
            certificatePem: "CERT",
            keyPem: "KEY",
            authorization: "Bearer first",
            headers: { "impersonate-user": "somebody", "impersonate-group": ["a", "b"] },
            proxy: new URL("http://p:1"),
        });
        writeFileSync(path.join(folder, "token"), "second");
        assert.equal((await access()).authorization, "Bearer second");
        const basic = await (await accessOf(file(server, { username: "u", password: "p" })))();
        assert.equal(basic.authorization, `Basic ${base64("u:p")}`);
    });

    const secret = "hunter2-secret";
    const faults: [string, () => string, RegExp][] = [
        ["no context", () => file(server, {}, { "current-context": "" }), /has no current context/],
        [
            "an unknown context",
            () => file(server, {}, { "current-context": "y" }),
            /no context "y"; it has: x$/,
        ],
        [
            "an unknown cluster",
            () => file(server, {}, { clusters: [] }),
            /no cluster "c", which its context "x" names/,
        ],
        [
            "an unknown user",
            () => file(server, {}, { users: null }),
            /no user "u", which its context "x" names/,
        ],
        ["no server", () => file({}, {}), /cluster "c": it names no server/],
        [
            "a server that is none",
            () => file({ server: "ftp://x" }, {}),
            /server must be a URL, such as https:/,
        ],
        ["a number as token", () => file(server, { token: 5 }), /user "u": token must be a text/],
        [
            "a certificate without key",
            () => file(server, { "client-certificate-data": "Qw==" }),
            /must be given together/,
        ],
        [
            "a file that is not there",
            () => file({ ...server, "certificate-authority": "none" }, {}),
            /none cannot be read \(ENOENT\)/,
        ],
        [
            "an old provider",
            () => file(server, { "auth-provider": { name: "gcp" } }),
            /auth-provider is gone/,
        ],
        [
            "a SOCKS proxy",
            () => file({ ...server, "proxy-url": `socks5://u:${secret}@p:1` }, {}),
            /proxy-url: the proxy's address must be http/,
        ],
    ];
    for (const [what, make, message] of faults) {
        it(`is an error that names file and entry: ${what}`, async () => {
            const name = make();
            await assert.rejects(accessOf(name), (error: Error) => {
                assert.match(error.message, message);
                assert.ok(error.message.startsWith(`kubeconfigFile: ${name}`), error.message);
                assert.ok(!error.message.includes(secret));
                return true;
            });
        });
    }

    it("is an error that repeats nothing of a text which is no YAML", () => {
        for (const text of [
            `users:\n- token: ${secret}\n bad`,
            `!!${secret} x`,
            `*${secret}`,
            `- ${secret}`,
            secret,
        ]) {
            const found = parseKubeconfig(text);
            assert.ok(found instanceof Error);
            assert.ok(!found.message.includes(secret), found.message);
        }
        const unfit = parseKubeconfig(`users:\n- token: ${secret}\n bad`);
        assert.match((unfit as Error).message, /cannot be read as YAML \(line 3\)/);
    });

    it("is no place for a node without an authority", async () => {
        await assert.rejects(clusterOf(file(server, {})), /it has no certificate-authority-data/);
    });
});

describe("a file that a stack may write over and delete", () => {
    const kinds = `apiVersion: v1
kind: Config
clusters:
- cluster: {server: "https://127.0.0.1:1"}
  name: kind-w
contexts:
- context: {cluster: kind-w, user: kind-w}
  name: kind-w
current-context: kind-w
preferences: {}
users:
- name: kind-w
  user: {token: t}
`;
    const table: [string, string, boolean][] = [
        ["kind's own", kinds, true],
        ["kind's own in JSON", JSON.stringify({ clusters: [{ name: "kind-w", cluster: {} }] }), true],
        [
            "one with another user in flow style",
            kinds.replace("users:\n", "users:\n- {name: me, user: {token: mine}}\n"),
            false,
        ],
        [
            "one whose other cluster's name is quoted with a blank",
            kinds.replace("clusters:\n", 'clusters:\n- name: "my own"\n  cluster: {}\n'),
            false,
        ],
        [
            "one with another context",
            kinds.replace("contexts:\n", "contexts:\n- {name: mine, context: {}}\n"),
            false,
        ],
        [
            "one whose current context is another",
            kinds.replace("current-context: kind-w", "current-context: mine"),
            false,
        ],
        ["one with extensions", `${kinds}extensions: [{name: mine, extension: {}}]\n`, false],
        ["one without a cluster", "apiVersion: v1\nkind: Config\n", false],
        ["a text", "name: kind-w\nserver: x\ncertificate-authority-data: y\ncluster:\n", false],
        ["a broken one", `${kinds}\t- x`, false],
    ];
    for (const [what, text, may] of table) {
        it(`${may ? "is" : "is not"} ${what}`, () => {
            assert.equal(isOnlyOf(text, "kind-w"), may);
        });
    }
});

describe("a credential plugin", () => {
    const program = path.join(folder, "plugin");
    const log = path.join(folder, "plugin.log");
    const secret = "plugins-secret";
    /** A plugin that notes what it was given, and does as `script` says. */
    function plugin(script: string, more: object = {}): string {
        writeFileSync(log, "");
        writeFileSync(
            program,
            `#!/bin/sh\nprintf '%s\\n' "$KUBERNETES_EXEC_INFO" "$*" "$EXTRA" >>${log}\n${script}\n`,
        );
        chmodSync(program, 0o755);
        const exec = { command: "./plugin", apiVersion: "client.authentication.k8s.io/v1", ...more };
        return file({ ...server, "certificate-authority-data": base64("CA") }, { exec });
    }
    const prints = (status: object) => `echo '${JSON.stringify({ kind: "ExecCredential", status })}'`;
    const calls = () =>
        readFileSync(log, "utf8")
            .split("\n")
            .filter((line) => line.startsWith("{")).length;

    it("is given what client-go gives it, and asked again only when its answer ends or was refused", async () => {
        const expirationTimestamp = new Date(Date.now() + 3_600_000).toISOString();
        const name = plugin(prints({ token: secret, expirationTimestamp }), {
            args: ["get-token", "--cluster", "c"],
            env: [{ name: "EXTRA", value: "e" }],
            provideClusterInfo: true,
            interactiveMode: "IfAvailable",
        });
        const access = await accessOf(name);
        assert.equal((await access()).authorization, `Bearer ${secret}`);
        assert.equal((await access()).authorization, `Bearer ${secret}`);
        const [info, args, extra] = readFileSync(log, "utf8").split("\n");
        assert.deepEqual(JSON.parse(info), {
            apiVersion: "client.authentication.k8s.io/v1",
            kind: "ExecCredential",
            spec: {
                interactive: false,
                cluster: { server: server.server, "certificate-authority-data": base64("CA") },
            },
        });
        assert.deepEqual([args, extra, calls()], ["get-token --cluster c", "e", 1]);
        await access(true);
        assert.equal(calls(), 2);
    });

    it("is asked again when its answer has ended", async () => {
        const ended = new Date(Date.now() - 1000).toISOString();
        const access = await accessOf(plugin(prints({ token: "t", expirationTimestamp: ended })));
        await access();
        await access();
        assert.equal(calls(), 2);
    });

    it("may give a client certificate", async () => {
        const status = { clientCertificateData: "CERT", clientKeyData: "KEY" };
        const { certificatePem, keyPem } = await (await accessOf(plugin(prints(status))))();
        assert.deepEqual([certificatePem, keyPem], ["CERT", "KEY"]);
    });

    const faults: [string, string, object, RegExp][] = [
        [
            "it fails",
            `echo ${secret}; echo log in anew >&2; exit 3`,
            {},
            /\.\/plugin failed \(exit code 3\):\nlog in anew$/,
        ],
        [
            "it is not there",
            "",
            { command: "no-such-plugin", installHint: "get it" },
            /no-such-plugin failed \(.*not on PATH\)\nget it$/,
        ],
        ["it prints no JSON", `echo ${secret}`, {}, /did not print JSON/],
        [
            "it gives nothing",
            prints({ other: secret }),
            {},
            /gave neither a token nor a certificate with its key/,
        ],
        ["it gives null", "echo null", {}, /gave neither a token/],
        [
            "it wants a terminal",
            "",
            { interactiveMode: "Always" },
            /interactiveMode is Always, and there is no terminal/,
        ],
        [
            "it is of another version",
            "",
            { apiVersion: "client.authentication.k8s.io/v1alpha1" },
            /apiVersion must be/,
        ],
    ];
    for (const [what, script, more, message] of faults) {
        it(`is told of without its secrets when ${what}`, async () => {
            const access = await accessOf(plugin(script, more));
            await assert.rejects(
                async () => access(),
                (error: Error) => {
                    assert.match(error.message, message);
                    assert.ok(!error.message.includes(secret), error.message);
                    return true;
                },
            );
        });
    }
});
