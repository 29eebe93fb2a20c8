import assert from "node:assert/strict";
import { test } from "node:test";
import { load } from "js-yaml";
import { RegistryHosting } from "../../../../components";
import { announcement } from "../../../../components/registry/registryHosting";
import { commandInputs, inCluster, steps, undone, withClaim } from "../fixtures";
import { record } from "../mocks";

const args = {
    address: "localhost:5001",
    containerName: "project-stack-registry",
    clusterName: "demo",
    clusterIdentity: "cluster-uid",
};

test("a registry and a cluster: connected, then announced", async () => {
    const { resources, result } = await record({ steps }, () => {
        const opts = inCluster();
        const { provider } = opts as { provider: object };
        const hosting = new RegistryHosting("h", args, { ...opts, deletedWith: provider as never });
        return { inside: hosting.inClusterAddress, nodes: hosting.nodes };
    });
    const parent = "krustlet-stack:index:RegistryHosting::h";
    const provider = "pulumi:providers:kubernetes::other-provider";
    assert.deepEqual(resources.h, {
        type: "krustlet-stack:index:RegistryHosting",
        parent: undefined,
        inputs: {},
        // No `deletedWith`: the container must leave the network though the cluster goes.
        options: {},
    });
    assert.deepEqual(resources["h-connection"], {
        type: "command:local:Command",
        parent,
        inputs: {
            ...commandInputs("connectRegistry", "disconnectRegistry"),
            stdin: JSON.stringify({
                clusterName: "demo",
                owner: "project/stack/0123456789abcdef",
                network: "kind",
                containerName: "project-stack-registry",
                containerPort: 5000,
                address: "localhost:5001",
            }),
            triggers: ["cluster-uid", "kind", "project-stack-registry", "localhost:5001"],
        },
        options: undone,
    });
    assert.deepEqual(resources["h-announcement"], {
        type: "kubernetes:core/v1:ConfigMap",
        parent,
        inputs: {
            apiVersion: "v1",
            kind: "ConfigMap",
            metadata: { name: "local-registry-hosting", namespace: "kube-public" },
            data: {
                "localRegistryHosting.v1": announcement("localhost:5001", "project-stack-registry:5000"),
            },
        },
        options: {
            provider,
            deletedWith: provider,
            deleteBeforeReplace: true,
            dependsOn: ["command:local:Command::h-connection"],
        },
    });
    assert.deepEqual(result, { inside: "project-stack-registry:5000", nodes: ["demo-control-plane"] });
});

test("a container of the stack's own leaves the network with the whole stack", async () => {
    const { resources } = await record({ steps }, () => {
        new RegistryHosting("h", { ...args, containerId: "abc" }, inCluster());
    });
    assert.deepEqual(resources["h-connection"].options, { ...undone, ...withClaim });
});

test("the announcement has the fields of the standard", () => {
    assert.deepEqual(load(announcement("localhost:5001", "reg:5000")), {
        host: "localhost:5001",
        hostFromContainerRuntime: "reg:5000",
        hostFromClusterNetwork: "reg:5000",
        help: "https://kind.sigs.k8s.io/docs/user/local-registry/",
    });
});

test("what is missing or wrong is told at once", async () => {
    await record({ steps }, () => {
        assert.throws(() => new RegistryHosting("h", { ...args, address: "ghcr.io/you" }, inCluster()), {
            message:
                'RegistryHosting "h" has 1 problem:\n' +
                '  - address: must be a registry as host or host:port, the port from 1 to 65535, without a scheme (for example "localhost:5001" or "ghcr.io"), not "ghcr.io/you"',
        });
        assert.throws(() => new RegistryHosting("g", args), /RegistryHosting "g" has no Kubernetes provider/);
    });
});
