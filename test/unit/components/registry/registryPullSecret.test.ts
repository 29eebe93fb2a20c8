import assert from "node:assert/strict";
import { test } from "node:test";
import { RegistryPullSecret } from "../../../../components";
import { secretNameOf } from "../../../../components/registry/registryPullSecret";
import { commandInputs, steps, undone } from "../fixtures";
import { areSecret, record } from "../mocks";

const args = {
    kubeconfigFile: "~/kubeconfig",
    clusterIdentity: "cluster-uid",
    registry: "ghcr.io",
};

test("the login is looked at in every preview, and its fingerprint is secret", async () => {
    const { resources, invokes, result } = await record({ steps }, () => {
        const secret = new RegistryPullSecret("p", args);
        return { names: secret.names, secret: areSecret({ names: secret.names }) };
    });
    assert.deepEqual(
        invokes.map(({ command, input }) => [command, input]),
        [
            [
                "registry/describeLogin",
                { registry: "ghcr.io", salt: "krustlet-stack login of project/stack", mayBuild: true },
            ],
            ["registry/observePullSecret", { resource: "p-secret" }],
        ],
    );
    assert.deepEqual(resources["p-secret"], {
        type: "command:local:Command",
        parent: "krustlet-stack:index:RegistryPullSecret::p",
        inputs: {
            ...commandInputs("createPullSecret", "deletePullSecret"),
            stdin: {
                secret: JSON.stringify({
                    kubeconfigFile: "~/kubeconfig",
                    owner: "project/stack/0123456789abcdef",
                    namespace: "default",
                    name: "project-stack-pull",
                    registry: "ghcr.io",
                    fingerprint: "of the login",
                }),
            },
            // Not the fingerprint: a new login is written over the old one, which pods may be pulling with.
            triggers: ["cluster-uid", "default", "project-stack-pull"],
        },
        options: undone,
    });
    assert.deepEqual(result, { names: ["project-stack-pull"], secret: { names: false } });
});

test("every argument reaches the steps", async () => {
    const { resources, invokes } = await record({ steps }, () => {
        const more = { namespace: "apps", secretName: "mine", dockerConfigFile: "~/logins.json" };
        return new RegistryPullSecret("p", { ...args, ...more }).names;
    });
    assert.equal((invokes[0].input as { dockerConfigFile: string }).dockerConfigFile, "~/logins.json");
    const { secret } = resources["p-secret"].inputs.stdin as { secret: string };
    const { namespace, name, dockerConfigFile } = JSON.parse(secret) as Record<string, unknown>;
    assert.deepEqual(
        { namespace, name, dockerConfigFile },
        {
            namespace: "apps",
            name: "mine",
            dockerConfigFile: "~/logins.json",
        },
    );
});

test("without a login there is no Secret that pods could name", async () => {
    const none = {
        ...steps,
        describeLogin: { known: true, fingerprint: null },
        createPullSecret: { name: null },
    };
    const { resources, result } = await record(
        { steps: none },
        () => new RegistryPullSecret("p", args).names,
    );
    const { secret } = resources["p-secret"].inputs.stdin as { secret: string };
    assert.equal((JSON.parse(secret) as { fingerprint: unknown }).fingerprint, null);
    assert.deepEqual(result, []);
});

test("a preview builds nothing to look at the login, and leaves it open", async () => {
    const open = { ...steps, describeLogin: { known: false, fingerprint: null } };
    const { resources, invokes } = await record({ steps: open, preview: true }, () => {
        return new RegistryPullSecret("p", args).secret.urn;
    });
    assert.equal((invokes[0].input as { mayBuild: boolean }).mayBuild, false);
    // What Pulumi calls a value that is still to come.
    assert.equal(resources["p-secret"].inputs.stdin, "04da6b54-80e4-46f7-96ec-b56ff0331ba9");
});

test("a Secret that is gone or was changed is written again, and who pulls with it is not shown as changed", async () => {
    const seen = { ...steps, observePullSecret: { because: "it is gone" } };
    const { resources, result } = await record(
        { steps: seen, preview: true },
        () => new RegistryPullSecret("p", args).names,
    );
    const { secret } = resources["p-secret"].inputs.stdin as { secret: string };
    assert.equal((JSON.parse(secret) as { because: string }).because, "it is gone");
    assert.deepEqual(result, ["project-stack-pull"]);
});

test("the Secret's name has just the letters that Kubernetes allows", () => {
    for (const [given, name] of [
        ["krustlet-stack-dev-pull", "krustlet-stack-dev-pull"],
        ["My_Project-a.b-pull", "my-project-a-b-pull"],
        ["_x_", "x"],
        [`${"a".repeat(62)}-b`, "a".repeat(62)],
    ]) {
        assert.equal(secretNameOf(given), name);
    }
});

test("what is missing or wrong is told at once", async () => {
    await record({ steps }, () =>
        assert.throws(
            () => new RegistryPullSecret("p", { ...args, registry: "https://ghcr.io", secretName: "A" }),
            {
                message:
                    'RegistryPullSecret "p" has 2 problems:\n' +
                    '  - registry: must be a registry as host or host:port, the port from 1 to 65535, without a scheme (for example "localhost:5001" or "ghcr.io"), not "https://ghcr.io"\n' +
                    '  - secretName: must be the name of an object: lower-case letters, digits, "-" and "." (for example "settings"), not "A"',
            },
        ),
    );
});
