/** A node whose agent and approver run in containers. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { KrustletNode } from "../../../../components";
import { adminFile, inCluster, steps } from "../fixtures";
import { record } from "../mocks";

const required = { kubeconfigFile: adminFile, clusterIdentity: "cluster-uid" };
const nodeIp = "172.18.0.1";
/** What they print of one. */
const inside = { ...steps, launchNode: { ...(steps.launchNode as object), nodeIp: "172.18.0.3" } };

test("a node in a container: its network, its registries, and the address that it gets", async () => {
    const args = {
        ...required,
        runtime: "container" as const,
        network: pulumi.output("kind"),
        insecureRegistries: ["localhost:5001"],
        registryMirrors: { "localhost:5001": pulumi.output("project-stack-registry:5000") },
    };
    const { resources } = await record({ steps: inside }, () => {
        return new KrustletNode("n", args, inCluster()).nodeName;
    });
    const stdin = (name: string) =>
        JSON.parse(resources[name].inputs.stdin as string) as Record<string, unknown>;
    const { network, nodeIp, registryMirrors } = stdin("n-agent");
    assert.deepEqual(
        { network, nodeIp, registryMirrors },
        {
            network: "kind",
            nodeIp: undefined,
            registryMirrors: { "localhost:5001": "project-stack-registry:5000" },
        },
    );
    assert.equal(stdin("n-bootstrap-token").network, "kind");
    for (const name of ["n-certificates-approval", "n-certificates-approver"])
        assert.equal(stdin(name).nodeIp, "172.18.0.3", name);
    // Whether its pods have addresses is for the step to find out; to have them it must see the other nodes.
    assert.equal(stdin("n-agent").podAddresses, undefined);
    assert.deepEqual(resources["n-role"].inputs.rules, [
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list"] },
        { apiGroups: [""], resources: ["nodes"], verbs: ["list", "watch"] },
    ]);
    const { roleRef, subjects } = resources["n-role-binding"].inputs;
    const apiGroup = "rbac.authorization.k8s.io";
    const name = "krustlet-stack:node:krustlet";
    assert.deepEqual(roleRef, { apiGroup, kind: "ClusterRole", name });
    assert.deepEqual(subjects, [{ apiGroup, kind: "User", name: "system:node:krustlet" }]);
    assert.equal(stdin("n-certificates-approval").network, undefined);
    assert.equal(stdin("n-certificates-approver").network, "kind");
});

test("a node whose pods are to have its own address sees no other node", async () => {
    const args = { ...required, runtime: "container" as const, network: "kind", podAddresses: false };
    const { resources } = await record(
        { steps: inside },
        () => new KrustletNode("n", args, inCluster()).nodeName,
    );
    const rules = resources["n-role"].inputs.rules as { resources: string[] }[];
    const sees = rules.flatMap((rule) => rule.resources);
    const input = JSON.parse(resources["n-agent"].inputs.stdin as string) as Record<string, unknown>;
    assert.deepEqual([sees, input.podAddresses], [["endpointslices"], false]);
});

test("what a node in a container, or none, may not have", async () => {
    await record({ steps }, () => {
        const opts = inCluster();
        const inContainer = { ...required, nodeIp, runtime: "container" as const };
        assert.throws(() => new KrustletNode("n", inContainer, opts), {
            message: [
                'KrustletNode "n" has 2 problems:',
                "  - nodeIp: is Docker's to give to a node in a container; leave it out",
                "  - network: is missing; for example cluster.network",
            ].join("\n"),
        });
        assert.throws(() => new KrustletNode("m", { ...required, nodeIp, network: "kind" }, opts), {
            message: 'KrustletNode "m" has 1 problem:\n  - network: is for runtime "container"',
        });
        const withAddresses = { ...required, nodeIp, podAddresses: true };
        assert.throws(() => new KrustletNode("p", withAddresses, opts), {
            message: 'KrustletNode "p" has 1 problem:\n  - podAddresses: is for runtime "container"',
        });
        const runtime = "pod" as never;
        assert.throws(() => new KrustletNode("o", { ...required, nodeIp, runtime }, opts), {
            message:
                'KrustletNode "o" has 1 problem:\n  - runtime: must be one of "process", "container", not "pod"',
        });
    });
});
