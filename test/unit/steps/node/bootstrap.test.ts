import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as bootstrap from "../../../../steps/node/bootstrap";
import { kubeError, KubeError, labelHash, onlyCluster } from "../../../../steps/lib/kube";
import { RunError } from "../../../../steps/lib/run";

const input = {
    owner: "p/s",
    nodeName: "krustlet",
    group: "system:bootstrappers:krustlet-stack:s",
    tokenTtlSeconds: 600,
    file: "/f",
};
const token = { id: "abc123", secret: "0123456789abcdef" };

describe("a bootstrap token", () => {
    it("is of the form that Kubernetes asks for, and never the same", () => {
        const tokens = Array.from({ length: 100 }, bootstrap.newToken);
        for (const { id, secret } of tokens) {
            assert.match(id, /^[a-z0-9]{6}$/);
            assert.match(secret, /^[a-z0-9]{16}$/);
        }
        assert.equal(new Set(tokens.map(({ secret }) => secret)).size, 100);
    });

    it("is for authentication alone", () => {
        assert.deepEqual(bootstrap.tokenSecret(token, input, "2026-01-01T00:10:00Z"), {
            apiVersion: "v1",
            kind: "Secret",
            type: "bootstrap.kubernetes.io/token",
            metadata: {
                name: "bootstrap-token-abc123",
                namespace: "kube-system",
                labels: { "krustlet-stack/bootstrap-token-of": labelHash("p/s", "krustlet") },
            },
            stringData: {
                description: "Lets Krustlet node krustlet of p/s ask for its certificate",
                "token-id": "abc123",
                "token-secret": "0123456789abcdef",
                expiration: "2026-01-01T00:10:00Z",
                "usage-bootstrap-authentication": "true",
                "auth-extra-groups": "system:bootstrappers:krustlet-stack:s",
            },
        });
    });

    it("stands in a kubeconfig, where its id is found again", () => {
        const cluster = { server: "https://127.0.0.1:6443", certificateAuthorityData: "Q0E=" };
        const text = bootstrap.bootstrapKubeconfig(cluster, token, "2026-01-01T00:10:00Z");
        assert.equal(
            text,
            `# Bootstrap token abc123, valid until 2026-01-01T00:10:00Z
apiVersion: v1
kind: Config
clusters:
- name: cluster
  cluster:
    server: "https://127.0.0.1:6443"
    certificate-authority-data: "Q0E="
users:
- name: bootstrap
  user:
    token: "abc123.0123456789abcdef"
contexts:
- name: bootstrap
  context: {cluster: cluster, user: bootstrap}
current-context: bootstrap
`,
        );
        assert.equal(bootstrap.tokenIdIn(text), "abc123");
        assert.equal(bootstrap.usernameOf("abc123"), "system:bootstrap:abc123");
        assert.equal(bootstrap.tokenIdIn("apiVersion: v1"), undefined);
        assert.equal(bootstrap.tokenIdIn('token: "somebody-elses"'), undefined);
    });
});

describe("where a kubeconfig leads", () => {
    const kindsOwn = [
        "apiVersion: v1",
        "clusters:",
        "- cluster:",
        "    certificate-authority-data: Q0E=",
        "    server: https://127.0.0.1:6443",
        "  name: kind-wasm",
        "contexts:",
        "- context:",
        "    cluster: kind-wasm",
        "    user: kind-wasm",
        "  name: kind-wasm",
        "current-context: kind-wasm",
        "",
    ].join("\n");
    const found = { server: "https://127.0.0.1:6443", certificateAuthorityData: "Q0E=" };
    it("is read from a file of one cluster", () => {
        assert.deepEqual(onlyCluster(kindsOwn), found);
        const ours = bootstrap.bootstrapKubeconfig(found, token, "2026-01-01T00:10:00Z");
        assert.deepEqual(onlyCluster(ours), found);
    });
    it("is left to kubectl where there are more, or in another form", () => {
        const more = (entry: string) => kindsOwn.replace("contexts:", `${entry}contexts:`);
        const others = [
            more(
                "- cluster:\n    certificate-authority-data: Q0I=\n    server: https://10.0.0.1\n  name: b\n",
            ),
            more("- cluster:\n    server: https://10.0.0.1\n  name: b\n"),
            JSON.stringify({ clusters: [{ cluster: { server: "https://10.0.0.1" } }] }),
            kindsOwn.replace("certificate-authority-data: Q0E=", "insecure-skip-tls-verify: true"),
        ];
        for (const kubeconfig of others) assert.equal(onlyCluster(kubeconfig), undefined);
    });
});

describe("a label's value", () => {
    it("fits a label and tells its parts apart", () => {
        assert.match(labelHash("p/s", "krustlet"), /^[0-9a-f]{32}$/);
        assert.notEqual(labelHash("a", "bc"), labelHash("ab", "c"));
    });
});

describe("an error of kubectl", () => {
    const error = (stderr: string) =>
        kubeError(new RunError(["kubectl"], { stdout: "", stderr, exitCode: 1 }, "exit code 1"));
    const cases: [string, string][] = [
        ['Error from server (NotFound): nodes "x" not found', "NotFound"],
        ["Error from server (Conflict): Operation cannot be fulfilled", "Conflict"],
        [
            "The connection to the server 127.0.0.1:1 was refused - did you specify the right host or port?",
            "Gone",
        ],
        ["Unable to connect to the server: dial tcp 10.0.0.1:6443: i/o timeout", "Unreachable"],
        [
            "Unable to connect to the server: tls: failed to verify certificate: x509: certificate signed by unknown authority",
            "Gone",
        ],
        ["error: You must be logged in to the server (Unauthorized)", "Unauthorized"],
    ];
    for (const [stderr, reason] of cases) {
        it(`${reason}: ${stderr}`, () => {
            const found = error(stderr);
            assert.ok(found instanceof KubeError, found.message);
            assert.equal(found.reason, reason);
        });
    }
    it("of another kind stays what it is", () => {
        assert.ok(error("error: unknown flag: --x") instanceof RunError);
    });
});
