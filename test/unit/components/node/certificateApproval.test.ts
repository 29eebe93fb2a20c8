import assert from "node:assert/strict";
import { test } from "node:test";
import { CertificateApproval, KrustletBootstrap } from "../../../../components";
import { approverObjects, command, object, provider, RBAC } from "./approverObjects";
import { adminFile, commandInputs, inCluster, steps, undone, withClaim } from "../fixtures";
import { record } from "../mocks";

const clusterIdentity = "cluster-uid";
const required = { kubeconfigFile: adminFile, clusterIdentity, nodeIp: "172.18.0.1" };
const group = "system:bootstrappers:krustlet-stack:krustlet";

/** Options as a stack gives them: the objects in the cluster go with it (here, with its provider). */
function options() {
    const opts = inCluster();
    return { ...opts, deletedWith: opts.provider };
}

test("without a Kubernetes provider nobody gets the rights of an approver", async () => {
    const args = { ...required, nodeName: "krustlet", bootstrapGroup: group, stateDir: "/srv/node" };
    await record({ steps }, () =>
        assert.throws(() => new CertificateApproval("a", args), {
            message:
                'CertificateApproval "a" has no Kubernetes provider; give it the cluster\'s, as the last argument: ' +
                "cluster.inCluster()",
        }),
    );
});

test("bootstrap and approval, each on its own", async () => {
    const { resources, result } = await record({ steps }, () => {
        const opts = options();
        const boot = new KrustletBootstrap(
            "b",
            { kubeconfigFile: adminFile, clusterIdentity, nodeName: "krustlet" },
            opts,
        );
        const args = { nodeName: "krustlet", stateDir: "/srv/node", timeoutSeconds: 30 };
        const a = new CertificateApproval("a", { ...required, ...args, bootstrapGroup: boot.group }, opts);
        const { file, username, expiresAt } = boot;
        const { clientRequest, servingRequest, approverLogFile } = a;
        return {
            ...{ file, group: boot.group, username, expiresAt },
            ...{ clientRequest, servingRequest, approverLogFile },
        };
    });
    assert.deepEqual(result, {
        file: "~/state/bootstrap.kubeconfig",
        group,
        username: "system:bootstrap:abcdef",
        expiresAt: "2026-11-22T10:10:00Z",
        clientRequest: "krustlet-demo-client-x",
        servingRequest: "krustlet-demo-serving-y",
        approverLogFile: "/home/me/state/approver.log",
    });
    // The file of the token is on this host: it is removed even when the cluster takes the rest along, by the claim where that goes too.
    assert.deepEqual(resources["b-token"].options, { ...undone, ...withClaim });
    assert.equal(resources["b-role"].options.deletedWith, provider);
    const given = {
        kubeconfigFile: adminFile,
        owner: "project/stack/0123456789abcdef",
        nodeName: "krustlet",
        nodeIp: "172.18.0.1",
        bootstrapGroup: group,
        stateDir: "/srv/node",
    };
    const stdin = (input: object) => JSON.stringify({ ...given, ...input });
    const parent = "krustlet-stack:index:CertificateApproval::a";
    const children = Object.entries(resources).filter(([name]) => name.startsWith("a-"));
    assert.deepEqual(Object.fromEntries(children), {
        "a-approval": {
            type: "command:local:Command",
            parent,
            inputs: {
                ...commandInputs("approveCertificates", "deleteCertificateRequests"),
                stdin: stdin({ timeoutSeconds: 30 }),
                triggers: ["cluster-uid", "krustlet"],
            },
            options: { ...undone, deletedWith: provider },
        },
        ...approverObjects("a", parent, "krustlet"),
        "a-approver": {
            type: "command:local:Command",
            parent,
            inputs: {
                ...commandInputs("launchApprover", "stopApprover"),
                stdin: stdin({
                    namespace: "kube-system",
                    serviceAccount: "krustlet-approver-krustlet",
                    tokenSeconds: 86_400,
                }),
                triggers: ["cluster-uid", "krustlet", "/srv/node"],
            },
            // It is on this host, and stopped even when the cluster takes the rest along.
            options: {
                ...undone,
                dependsOn: [
                    command("a-approval"),
                    object("core/v1", "ServiceAccount", "a-approver-account"),
                    object(RBAC, "ClusterRoleBinding", "a-approver-role-binding"),
                    object(RBAC, "RoleBinding", "a-approver-token-role-binding"),
                ].sort(),
            },
        },
    });
});

test("what is wrong with an approval's arguments comes in one error", async () => {
    await record({ steps }, () => {
        const args = {
            nodeName: "krustlet",
            bootstrapGroup: group,
            stateDir: "",
            certificateDurationSeconds: 1,
        };
        assert.throws(() => new CertificateApproval("a", { ...required, ...args }, options()), {
            message: [
                'CertificateApproval "a" has 2 problems:',
                '  - stateDir: must be a text that is not empty, not ""',
                "  - certificateDurationSeconds: must be a whole number from 600 to 31622400, not 1",
            ].join("\n"),
        });
    });
});
