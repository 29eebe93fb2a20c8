/** docs/reference/components.md says which children each component has; this holds it to what they register. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import * as components from "../../../components";
import { adminFile, imageReference as image, inCluster, steps } from "./fixtures";
import { record } from "./mocks";

interface Child {
    property: string;
    name: string;
    type: string;
}

/** The tables, by component: with "x" for its name, and the names that `makers` gives for all else. */
function documented(): Record<string, Child[]> {
    const text = readFileSync(path.resolve(__dirname, "../../../docs/reference/components.md"), "utf8");
    const filled = text
        .replaceAll("<name>", "x")
        .replaceAll("<node>", "krustlet")
        .replaceAll("<workload>", "hello")
        .replaceAll("<namespace>", "default")
        .replaceAll("<kind>", "Pod");
    const sections = filled.split(/^## /m).slice(1);
    return Object.fromEntries(
        sections.map((section) => {
            const [component] = section.split("\n");
            assert.ok(section.includes(`\n\`krustlet-stack:index:${component}\`\n`), component);
            const rows = [...section.matchAll(/^\| `(\S+)` +\| `(\S+)` +\| `(\S+)` +\|$/gm)];
            return [component, rows.map(([, property, name, type]) => ({ property, name, type }))];
        }),
    );
}

const kubeconfigFile = adminFile;
const clusterIdentity = "cluster-uid";
const workload = { image, kubeconfigFile };
const serving = { ...workload, ports: [{ containerPort: 8080 }], service: {} };

/** One of each component, with all the children that it can have. */
const makers: Record<string, () => pulumi.ComponentResource> = {
    KindCluster: () => new components.KindCluster("x"),
    ExistingCluster: () => new components.ExistingCluster("x", { context: "c" }),
    MinikubeCluster: () => new components.MinikubeCluster("x"),
    MicroK8sCluster: () => new components.MicroK8sCluster("x"),
    K3dCluster: () => new components.K3dCluster("x"),
    LocalRegistry: () => new components.LocalRegistry("x", { keepData: true }),
    RegistryHosting: () =>
        new components.RegistryHosting(
            "x",
            { address: "localhost:5001", containerName: "reg", clusterName: "c", clusterIdentity },
            inCluster(),
        ),
    RegistryPullSecret: () =>
        new components.RegistryPullSecret("x", { kubeconfigFile, clusterIdentity, registry: "ghcr.io" }),
    KrustletNode: () =>
        new components.KrustletNode(
            "x",
            { kubeconfigFile, clusterIdentity, nodeIp: "172.18.0.1" },
            inCluster(),
        ),
    KrustletBootstrap: () =>
        new components.KrustletBootstrap(
            "x",
            { kubeconfigFile, clusterIdentity, nodeName: "n" },
            inCluster(),
        ),
    CertificateApproval: () =>
        new components.CertificateApproval(
            "x",
            {
                ...{ kubeconfigFile, clusterIdentity, nodeName: "n", nodeIp: "172.18.0.1" },
                ...{ bootstrapGroup: "g", stateDir: "/s" },
            },
            inCluster(),
        ),
    WasmArtifact: () =>
        new components.WasmArtifact("x", {
            ...{ source: "s", registry: "localhost:5001", repository: "r", deleteTag: true },
        }),
    WasmPod: () => new components.WasmPod("x", serving, inCluster()),
    WasmDeployment: () => new components.WasmDeployment("x", serving, inCluster()),
    WasmJob: () => new components.WasmJob("x", workload, inCluster()),
    WasmCronJob: () => new components.WasmCronJob("x", { image, schedule: "@daily" }, inCluster()),
    WasmDaemonSet: () => new components.WasmDaemonSet("x", serving, inCluster()),
    WasmRuntimeClass: () => new components.WasmRuntimeClass("x", { kubeconfigFile }, inCluster()),
};

/** The stack's children are not all there at once: the registry is a local one, or at an address. */
const stacks: components.WasmStackArgs[] = [
    { workloads: [{ name: "hello", source: "s" }] },
    { workloads: [{ name: "hello", source: "s" }], registry: { address: "ghcr.io/you" } },
];

/** `type` and `name` of a resource. */
function shown({ urn }: pulumi.Resource) {
    return urn.apply((known) => {
        const [, , type, name] = known.replace(/^urn:pulumi:/, "").split("::");
        return { type: type.split("$").at(-1) ?? "", name };
    });
}

/** What is registered below "x", and what the properties hand out. */
async function childrenOf(make: () => pulumi.ComponentResource, properties: string[]) {
    const { resources, result } = await record({ steps }, () => {
        const made = make() as unknown as Record<string, unknown>;
        return properties.map((property) => {
            const value = made[property];
            if (value === undefined) return [];
            const all = value instanceof pulumi.Resource ? [value] : Object.values(value as object);
            return all.map((one: pulumi.Resource) =>
                shown(one).apply(({ type, name }) => ({ property, name, type })),
            );
        });
    });
    const registered = Object.entries(resources)
        .filter(([, { parent }]) => /^krustlet-stack:.*::x$/.test(parent ?? ""))
        .map(([name, { type }]) => `${name} ${type}`);
    return { registered: registered.sort(), handed: result.flat() as Child[] };
}

const table = documented();

test("each component has its table", () => {
    const exported = Object.entries(components)
        .filter(
            ([, value]) => (value as { prototype?: unknown }).prototype instanceof pulumi.ComponentResource,
        )
        .map(([name]) => name);
    assert.deepEqual(Object.keys(table).sort(), exported.sort());
    assert.deepEqual([...Object.keys(makers), "WasmStack"].sort(), exported.sort());
});

for (const [component, make] of Object.entries(makers)) {
    test(`children of ${component}`, async () => {
        const rows = table[component];
        assert.notEqual(rows.length, 0);
        const { registered, handed } = await childrenOf(
            make,
            rows.map(({ property }) => property),
        );
        assert.deepEqual(handed, rows);
        assert.deepEqual(registered, rows.map(({ name, type }) => `${name} ${type}`).sort());
    });
}

test("children of WasmStack", async () => {
    const rows = table.WasmStack;
    const properties = rows.map(({ property }) => property);
    const found = [];
    for (const args of stacks)
        found.push(await childrenOf(() => new components.WasmStack("x", args), properties));
    const handed = new Set(found.flatMap((one) => one.handed.map((child) => JSON.stringify(child))));
    assert.deepEqual([...handed].sort(), rows.map((child) => JSON.stringify(child)).sort());
    const registered = new Set(found.flatMap((one) => one.registered));
    assert.deepEqual([...registered].sort(), rows.map(({ name, type }) => `${name} ${type}`).sort());
});
