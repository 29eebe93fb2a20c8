import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { load } from "js-yaml";
import { WasmStack } from "../../../../components";
import { configKeys, stackArgs } from "../../../../components/stack/stackConfig";
import { stepPath, type Steps } from "../../../../steps/contract";
import { steps } from "../fixtures";
import { record } from "../mocks";

const root = path.resolve(__dirname, "../../../..");
const read = (file: string) => readFileSync(path.join(root, file), "utf8");
const declared = (load(read("Pulumi.yaml")) as { config: Record<string, { default: unknown }> }).config;
const text = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value));

/** The values of an example as the engine hands them over, on top of the defaults. */
function valuesOf(file: string): Record<string, string> {
    const { config } = load(read(`examples/registries/${file}`)) as { config: Record<string, unknown> };
    const given = Object.entries(config).map(([key, value]) => {
        assert.match(key, /^krustlet-stack:/);
        return [key.replace("krustlet-stack:", ""), value];
    });
    const all = { ...Object.fromEntries(Object.entries(declared).map(([key, one]) => [key, one.default])) };
    return Object.fromEntries(
        Object.entries({ ...all, ...(Object.fromEntries(given) as object) }).map(([k, v]) => [k, text(v)]),
    );
}

/** Each example: where it pushes to, what the preflight asks, whose login pods get, and which container kind's nodes reach. */
const examples: Record<string, { push: string; asks: object | undefined; login?: string; hosted?: string }> =
    {
        "Pulumi.local.yaml": {
            push: "localhost:5001/hello-wasm:latest",
            asks: undefined,
            hosted: "project-stack-registry",
        },
        "Pulumi.existing.yaml": {
            push: "localhost:5000/hello-wasm:latest",
            asks: { address: "localhost:5000", plainHttp: true },
            login: "localhost:5000",
            hosted: "kind-registry",
        },
        "Pulumi.ghcr.yaml": {
            push: "ghcr.io/you/hello-wasm:latest",
            asks: { address: "ghcr.io", plainHttp: false },
            login: "ghcr.io",
        },
        "Pulumi.acr.yaml": {
            push: "yourname.azurecr.io/wasm/hello-wasm:latest",
            asks: { address: "yourname.azurecr.io", plainHttp: false },
            login: "yourname.azurecr.io",
        },
        "Pulumi.gar.yaml": {
            push: "europe-west1-docker.pkg.dev/your-project/wasm/hello-wasm:latest",
            asks: { address: "europe-west1-docker.pkg.dev", plainHttp: false },
            login: "europe-west1-docker.pkg.dev",
        },
        "Pulumi.docker-hub.yaml": {
            push: "docker.io/you/hello-wasm:latest",
            asks: { address: "docker.io", plainHttp: false },
            login: "docker.io",
        },
        "Pulumi.own.yaml": {
            push: "registry.example.com:5000/team/hello-wasm:latest",
            asks: {
                address: "registry.example.com:5000",
                plainHttp: false,
                trustedCaFile: "~/.config/team-registry/ca.pem",
            },
            login: "registry.example.com:5000",
        },
    };

test("every registry has an example, and every example its row in docs/registries.md", () => {
    const files = readdirSync(path.join(root, "examples/registries"));
    assert.deepEqual(files.sort(), Object.keys(examples).sort());
    const page = read("docs/registries.md");
    for (const file of files) assert.ok(page.includes(`](../examples/registries/${file})`), file);
    for (const key of Object.keys(configKeys).filter((one) => one.startsWith("registry"))) {
        assert.ok(page.includes(`| \`${key}\` `), key);
    }
});

for (const [file, expected] of Object.entries(examples)) {
    test(`${file} is a whole configuration, and does what it says`, async () => {
        const { resources, invokes } = await record({ steps }, () => {
            return new WasmStack("s", stackArgs({ values: valuesOf(file), secretKeys: [] })).artifacts;
        });
        const stdin = (name: string) => {
            const given = resources[name].inputs.stdin;
            const plain = typeof given === "string" ? given : (given as { secret: string }).secret;
            return JSON.parse(plain) as Record<string, unknown>;
        };
        const input = (step: keyof Steps) =>
            invokes.find(({ command }) => command === stepPath(step))?.input as
                Record<string, unknown> | undefined;
        const hosted = "s-registry-hosting-connection" in resources;
        assert.deepEqual(
            {
                push: stdin("s-hello-wasm-artifact-push").reference,
                asks: input("preflight")?.remoteRegistry,
                login: input("describeLogin")?.registry,
                hosted: hosted ? stdin("s-registry-hosting-connection").containerName : undefined,
            },
            { login: undefined, hosted: undefined, ...expected },
        );
        const pod = resources["s-hello-wasm-pod"].inputs.spec as { imagePullSecrets?: unknown };
        assert.deepEqual(
            pod.imagePullSecrets,
            expected.login === undefined ? undefined : [{ name: "project-stack-pull" }],
        );
    });
}
