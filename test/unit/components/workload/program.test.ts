import assert from "node:assert/strict";
import { test } from "node:test";
import type * as pulumi from "@pulumi/pulumi";
import { runtime } from "@pulumi/pulumi";
import { adminFile, imageReference, steps } from "../fixtures";
import { areSecret, record } from "../mocks";

type Exports = Record<string, pulumi.Output<unknown>>;

test("the program makes one WasmStack of its configuration, and exports what it tells", async () => {
    const outputs = await record({ steps }, () => {
        runtime.setAllConfig({
            "project:registryPort": "5005",
            "project:workloads": JSON.stringify([{ name: "hello-wasm", source: "workloads/hello-world" }]),
            "other:registryPort": "none of ours",
        });
        // eslint-disable-next-line @typescript-eslint/no-require-imports -- the program runs when it is loaded
        const program = { ...(require("../../../../index") as Exports) };
        return { program, secret: areSecret(program) };
    });
    const { resources, result } = outputs;
    const stacks = Object.keys(resources).filter(
        (name) => resources[name].type === "krustlet-stack:index:WasmStack",
    );
    assert.deepEqual(stacks, ["wasm"]);
    assert.deepEqual(resources["wasm-registry-container"].inputs.ports, [
        { internal: 5000, external: 5005, ip: "127.0.0.1", protocol: "tcp" },
    ]);
    assert.deepEqual(result.program, {
        kubeconfigFile: adminFile,
        clusterName: "demo",
        nodeNames: ["krustlet"],
        registryAddress: "localhost:5001",
        artifacts: { "hello-wasm": imageReference },
        workloads: {
            "hello-wasm": {
                kind: "Pod",
                name: "auto-named",
                namespace: "default",
                logsCommand: "kubectl logs --namespace default pod/auto-named",
            },
        },
        logsCommand: `KUBECONFIG='${adminFile}' kubectl logs --namespace default pod/auto-named`,
    });
    const secret = Object.entries(result.secret).filter(([, is]) => is);
    assert.deepEqual(secret, []);
});
