import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as bootstrap from "../../../../steps/node/bootstrap";
import { labelHash } from "../../../../steps/lib/kube/kube";

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
        const text = bootstrap.bootstrapKubeconfig(cluster, token);
        assert.deepEqual(JSON.parse(text), {
            apiVersion: "v1",
            kind: "Config",
            clusters: [
                {
                    name: "cluster",
                    cluster: { server: "https://127.0.0.1:6443", "certificate-authority-data": "Q0E=" },
                },
            ],
            users: [{ name: "bootstrap", user: { token: "abc123.0123456789abcdef" } }],
            contexts: [{ name: "bootstrap", context: { cluster: "cluster", user: "bootstrap" } }],
            "current-context": "bootstrap",
        });
        assert.equal(bootstrap.tokenIdIn(text), "abc123");
        assert.equal(bootstrap.usernameOf("abc123"), "system:bootstrap:abc123");
        const yaml = (value: string) => `users:\n- name: b\n  user:\n    token: ${value} # mine\n`;
        assert.equal(bootstrap.tokenIdIn(yaml("abc123.0123456789abcdef")), "abc123");
        for (const other of [
            undefined,
            "apiVersion: v1",
            "token: abc123.0123456789abcdef",
            yaml("somebody-elses"),
        ])
            assert.equal(bootstrap.tokenIdIn(other), undefined);
    });
});

describe("a label's value", () => {
    it("fits a label and tells its parts apart", () => {
        assert.match(labelHash("p/s", "krustlet"), /^[0-9a-f]{32}$/);
        assert.notEqual(labelHash("a", "bc"), labelHash("ab", "c"));
    });
});
