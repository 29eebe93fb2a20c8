/** What a stack makes of its registry: a local one, or one elsewhere with its login and authorities. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { WasmStack } from "../../../../components";
import { imageReference, steps } from "../fixtures";
import { record } from "../mocks";
import { command, hello, input } from "./parts";

test("a registry elsewhere is used, not made; pods get its login, by namespace", async () => {
    const elsewhere = {
        address: "ghcr.io/you",
        plainHttp: true,
        trustedCaFile: "~/ca.pem",
        dockerConfigFile: "~/logins/config.json",
    };
    const { resources, invokes } = await record({ steps }, () => {
        return new WasmStack("s", {
            registry: elsewhere,
            workloads: [
                { ...hello, deleteTag: true },
                { name: "theirs", reference: "ghcr.io/them/clock:v1", namespace: "apps" },
                { name: "ours", image: imageReference, namespace: "apps" },
                { name: "later", image: imageReference, namespace: pulumi.output("made") },
            ],
        }).artifacts;
    });
    assert.deepEqual(
        Object.keys(resources).filter((name) => name.includes("registry")),
        [],
    );
    const { localRegistry, remoteRegistry, modules } = invokes[0].input as Record<string, unknown>;
    assert.deepEqual(
        { localRegistry, remoteRegistry, modules },
        {
            localRegistry: undefined,
            remoteRegistry: { address: "ghcr.io", plainHttp: true, trustedCaFile: "~/ca.pem" },
            modules: [{ source: "workloads/hello-world" }],
        },
    );
    const access = {
        insecureRegistries: ["ghcr.io"],
        trustedCaFile: "~/ca.pem",
        dockerConfigFile: "~/logins/config.json",
    };
    const push = resources["s-hello-wasm-artifact-push"];
    assert.deepEqual(input(push), {
        file: "target/hello.wasm",
        sha256: "b".repeat(64),
        source: "workloads/hello-world",
        reference: "ghcr.io/you/hello-wasm:latest",
        ...access,
    });
    assert.equal("triggers" in push.inputs, false);
    assert.deepEqual(
        input(resources["s-hello-wasm-artifact-tag"]).reference,
        "ghcr.io/you/hello-wasm:latest",
    );
    assert.deepEqual(
        invokes.filter(({ command }) => command === "workload/resolveArtifact").map((one) => one.input),
        [{ reference: "ghcr.io/them/clock:v1", ...access }],
    );
    const node = input(resources["s-krustlet-agent"]);
    assert.equal(node.trustedCaFile, "~/ca.pem");
    assert.equal(node.dockerConfigFile, undefined, "pods bring the login, and no other pod is to have it");

    const secrets = Object.keys(resources).filter((name) => /^s-pull-.*-secret$/.test(name));
    assert.deepEqual(
        secrets.map((name) => {
            const { namespace, name: secret, registry, dockerConfigFile } = input(resources[name]);
            return [name, namespace, secret, registry, dockerConfigFile, resources[name].options.deletedWith];
        }),
        [
            ["s-pull-default-secret", "default", "project-stack-pull"],
            ["s-pull-apps-secret", "apps", "project-stack-pull"],
            // Another workload's might be in the same namespace.
            ["s-pull-later-own-secret", "made", "project-stack-pull-later"],
        ].map((one) => [
            ...one,
            "ghcr.io",
            "~/logins/config.json",
            "pulumi:providers:kubernetes::s-cluster-provider",
        ]),
    );
    const pull = (name: string) => (resources[name].inputs.spec as Record<string, unknown>).imagePullSecrets;
    for (const name of ["s-hello-wasm-pod", "s-theirs-pod", "s-ours-pod", "s-later-pod"]) {
        assert.deepEqual(pull(name), [{ name: "project-stack-pull" }], name);
    }
    assert.ok(resources["s-theirs-pod"].options.dependsOn?.includes(command("s-pull-apps-secret")));
});

test("a node has authorities and logins of its own in the place of the registry's", async () => {
    const { resources } = await record({ steps }, () => {
        const registry = {
            address: "registry.example.com",
            trustedCaFile: "~/registry.pem",
            dockerConfigFile: "~/logins.json",
        };
        const own = { name: "own", trustedCaFile: "~/both.pem", dockerConfigFile: "~/own.json" };
        return new WasmStack("s", { registry, nodes: [own] }).nodeNames;
    });
    const { trustedCaFile, dockerConfigFile } = input(resources["s-own-agent"]);
    assert.deepEqual([trustedCaFile, dockerConfigFile], ["~/both.pem", "~/own.json"]);
});

test("pods get no login where that is not wanted", async () => {
    const { resources } = await record({ steps }, () => {
        const registry = { address: "ghcr.io/you", pullSecret: false, dockerConfigFile: "~/logins.json" };
        return new WasmStack("s", { registry, workloads: [hello] }).artifacts;
    });
    assert.equal(input(resources["s-krustlet-agent"]).dockerConfigFile, "~/logins.json", "the node has it");
    assert.deepEqual(
        Object.keys(resources).filter((name) => name.includes("pull")),
        [],
    );
    assert.equal("imagePullSecrets" in (resources["s-hello-wasm-pod"].inputs.spec as object), false);
});

test("a local registry that keeps its data is looked for with its volume", async () => {
    const { resources, invokes } = await record({ steps }, () => {
        return new WasmStack("s", { registry: { keepData: true, containerName: "mine" } }).registryAddress;
    });
    assert.deepEqual((invokes[0].input as { localRegistry: object }).localRegistry, {
        containerName: "mine",
        port: 5001,
        dataVolume: "mine-data",
    });
    assert.equal(resources["s-registry-data"].options.retainOnDelete, true);
});
