/** A cluster that somebody else made: what is copied, which rights are asked for, and where it reaches this host. */
import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import type { CopyKubeconfigInput, FindClusterInput } from "../../../../steps/contract";
import { copyKubeconfig } from "../../../../steps/cluster/existing/copyKubeconfig";
import { findCluster } from "../../../../steps/cluster/existing/findCluster";
import { removeKubeconfig } from "../../../../steps/cluster/existing/removeKubeconfig";
import { nameOf, rightsFor } from "../../../../steps/cluster/existing/rights";
import { findNodePlace } from "../../../../steps/cluster/nodeAddress";
import { ApiServer, authority, client } from "../lib/apiServer";
import { ownAddress } from "./scriptedTools";

const folder = mkdtempSync(path.join(tmpdir(), "krustlet-existing-"));
const file = path.join(folder, "config");
const base64 = (pem: string) => Buffer.from(pem).toString("base64");

interface Review {
    spec: { resourceAttributes: { verb: string; group: string; resource: string; subresource?: string } };
}

void describe("an existing cluster", () => {
    const api = new ApiServer();
    /** Whether a right is there. */
    let allowed: (review: Review["spec"]["resourceAttributes"]) => boolean = () => true;
    const input: FindClusterInput = {
        kubeconfigFile: file,
        context: "admin@prod",
        workloads: [{ kind: "Pod", namespace: "default" }],
        pullSecretNamespaces: [],
    };
    let copyInput: CopyKubeconfigInput;

    before(async () => {
        await api.start();
        api.answer = (request, response, body) => {
            const answers: Record<string, unknown> = {
                "/version": { gitVersion: "v1.36.4" },
                "/api/v1/namespaces/kube-system": { metadata: { uid: "cluster-uid" } },
                "/api/v1/nodes": {
                    items: [
                        {
                            metadata: { name: "main" },
                            status: { addresses: [{ type: "InternalIP", address: ownAddress }] },
                        },
                    ],
                },
            };
            const review = body === "" ? undefined : (JSON.parse(body) as Review);
            const status = review && { allowed: allowed(review.spec.resourceAttributes) };
            response.end(JSON.stringify(review ? { status } : answers[request.url ?? ""]));
        };
        mkdirSync(path.join(folder, "pki"));
        writeFileSync(path.join(folder, "pki/ca.crt"), authority.certificate);
        writeFileSync(
            file,
            [
                "apiVersion: v1",
                "kind: Config",
                "current-context: elsewhere",
                "clusters:",
                "- name: prod",
                `  cluster: {server: "${api.url}", certificate-authority: pki/ca.crt}`,
                "- name: other",
                '  cluster: {server: "https://192.0.2.1:6443"}',
                "users:",
                "- name: admin",
                `  user: {client-certificate-data: ${base64(client.certificate)}, client-key-data: ${base64(client.privateKey)}}`,
                "- name: secret",
                "  user: {token: not-to-be-copied}",
                "contexts:",
                "- name: admin@prod",
                "  context: {cluster: prod, user: admin, namespace: apps}",
                "- name: elsewhere",
                "  context: {cluster: other, user: secret}",
                "",
            ].join("\n"),
        );
    });
    after(async () => {
        await api.stop();
        rmSync(folder, { recursive: true });
    });

    void it("is told by its named context, whichever is the current one", async () => {
        const found = await findCluster(input);
        assert.deepEqual(
            { ...found, kubeconfigDigest: "" },
            {
                server: api.url,
                kubernetesVersion: "v1.36.4",
                nodeAddress: ownAddress,
                identity: "cluster-uid",
                kubeconfigDigest: "",
            },
        );
        const reviews = api.calls.filter((call) => call.includes("selfsubjectaccessreviews"));
        assert.equal(reviews.length, 1, "an administrator is asked once");
        copyInput = {
            source: file,
            context: input.context,
            kubeconfigFile: path.join(folder, "own", "kubeconfig"),
            found,
        };
    });

    void it("takes the address that is given", async () => {
        assert.equal((await findCluster({ ...input, nodeAddress: "192.0.2.9" })).nodeAddress, "192.0.2.9");
    });

    void it("names each right that is missing, in one message", async () => {
        allowed = ({ verb, resource, subresource }) =>
            verb !== "*" && subresource !== "approval" && !(verb === "delete" && resource === "pods");
        await assert.rejects(findCluster(input), {
            message:
                `ExistingCluster "admin@prod" of ${file}: whoever this context is for may not do 2 of the things that the stack does at ` +
                `${api.url}; bind a ClusterRole with them, or give the context of an administrator:\n` +
                "- update certificatesigningrequests.certificates.k8s.io/approval\n- delete pods in default",
        });
        allowed = () => true;
    });

    void it("is refused with what there is where the context is not", async () => {
        await assert.rejects(
            findCluster({ ...input, context: "prod" }),
            /has no context "prod"; it has: admin@prod, elsewhere/,
        );
    });

    void it("is copied alone, with what it names by file, and the copy goes again", async () => {
        const output = await copyKubeconfig(copyInput);
        assert.equal(output.kubeconfigFile, copyInput.kubeconfigFile);
        const text = readFileSync(copyInput.kubeconfigFile, "utf8");
        assert.deepEqual(JSON.parse(text), {
            apiVersion: "v1",
            kind: "Config",
            clusters: [
                {
                    name: "admin@prod",
                    cluster: { server: api.url, "certificate-authority-data": base64(authority.certificate) },
                },
            ],
            users: [
                {
                    name: "admin@prod",
                    user: {
                        "client-certificate-data": base64(client.certificate),
                        "client-key-data": base64(client.privateKey),
                    },
                },
            ],
            contexts: [
                {
                    name: "admin@prod",
                    context: { cluster: "admin@prod", user: "admin@prod", namespace: "apps" },
                },
            ],
            "current-context": "admin@prod",
        });
        const before = readFileSync(file, "utf8");
        await assert.rejects(
            copyKubeconfig({ ...copyInput, kubeconfigFile: file }),
            /give the copy a file of its own/,
        );
        await removeKubeconfig(copyInput);
        assert.equal(existsSync(copyInput.kubeconfigFile), false);
        await removeKubeconfig({ ...copyInput, kubeconfigFile: file });
        assert.equal(readFileSync(file, "utf8"), before, "what is no copy of ours stays");
    });

    void it("that has another credential than the one that was looked at is not copied", async () => {
        const found = { ...copyInput.found, kubeconfigDigest: "0".repeat(64) };
        await assert.rejects(copyKubeconfig({ ...copyInput, found }), /has changed since it was looked at/);
        assert.equal(existsSync(copyInput.kubeconfigFile), false);
    });

    void it("that does not answer is named with its address", async () => {
        await api.stop();
        await assert.rejects(findCluster(input), {
            message: new RegExp(
                `^ExistingCluster "admin@prod" of .*: ${api.url}: the API server does not answer`,
            ),
        });
        await api.start();
    });
});

void describe("the rights that a stack needs", () => {
    const names = (...args: Parameters<typeof rightsFor>) => rightsFor(...args).map(nameOf);
    const node = names({ workloads: [], pullSecretNamespaces: [] });
    void it("are each there once, the node's always", () => {
        const both = [
            { kind: "Pod" as const, namespace: "a" },
            { kind: "Deployment" as const, namespace: "a", service: true },
        ];
        const all = names({ workloads: both, pullSecretNamespaces: ["a"] });
        assert.equal(new Set(all).size, all.length);
        assert.deepEqual(all.slice(0, node.length), node);
        for (const one of [
            "create deployments.apps in a",
            "list replicasets.apps in a",
            "create services in a",
            "watch endpointslices.discovery.k8s.io in a",
            "update secrets in a",
        ])
            assert.ok(all.includes(one), one);
    });
    void it("are no more than the node's own where nothing runs", () => {
        assert.ok(!node.some((one) => /pods|deployments|services|update secrets/.test(one)));
        assert.ok(node.includes("approve signers.certificates.k8s.io kubernetes.io/kubelet-serving"));
        assert.ok(node.includes("delete leases.coordination.k8s.io in kube-node-lease"));
    });
});

void describe("where a cluster reaches this host", () => {
    void it("is the address that this host speaks to it from", async () => {
        const own = { server: `https://${ownAddress}:6443`, nodeAddresses: [] };
        assert.deepEqual(await findNodePlace(own), { nodeAddress: ownAddress });
    });
    void it("is an address of this host that a node has, where the API server is on this host", async () => {
        const sight = { server: "https://127.0.0.1:1", nodeAddresses: ["192.0.2.1", ownAddress] };
        assert.deepEqual(await findNodePlace(sight), { nodeAddress: ownAddress });
    });
    void it("is said to be unknown otherwise", async () => {
        assert.equal(
            await findNodePlace({ server: "https://127.0.0.1:1", nodeAddresses: ["192.0.2.1"] }),
            "the API server is at 127.0.0.1:1, which no container of this host's Docker publishes, and no node of the cluster has an address of this host",
        );
    });
});
