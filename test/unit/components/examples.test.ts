import assert from "node:assert/strict";
import { test } from "node:test";
import { steps } from "./fixtures";
import { record } from "./mocks";

test("examples/job: the parts, without WasmStack", async () => {
    const { resources } = await record({ steps }, () => {
        // eslint-disable-next-line @typescript-eslint/no-require-imports -- the program runs when it is loaded
        return { ...(require("../../../examples/job") as object) };
    });
    const jobs = Object.values(resources).filter(({ type }) => type === "kubernetes:batch/v1:Job");
    assert.equal(jobs.length, 1);
    assert.equal(jobs[0].options.deletedWith, "pulumi:providers:kubernetes::cluster-provider");
    assert.equal(jobs[0].options.provider, "pulumi:providers:kubernetes::cluster-provider");
    assert.ok(jobs[0].options.dependsOn?.includes("command:local:Command::node-agent"));
});

test("examples/http: a server behind a Service that the host reaches", async () => {
    const { resources } = await record({ steps }, () => {
        // eslint-disable-next-line @typescript-eslint/no-require-imports -- the program runs when it is loaded
        return { ...(require("../../../examples/http") as object) };
    });
    const { inputs, options } = resources["hello-http-service"];
    assert.deepEqual(inputs.spec, {
        type: "NodePort",
        selector: { app: "hello-http" },
        ports: [{ port: 80, targetPort: 8080, protocol: "TCP", nodePort: 30080 }],
    });
    assert.equal(options.deletedWith, "pulumi:providers:kubernetes::cluster-provider");
    const cluster = JSON.parse(String(resources["cluster-kind"].inputs.stdin)) as { portMappings: object[] };
    assert.deepEqual(cluster.portMappings, [
        { containerPort: 30080, hostPort: 8080, listenAddress: "127.0.0.1", protocol: "TCP" },
    ]);
});
