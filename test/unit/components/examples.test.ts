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

test("examples/http: a server behind a Service that the host reaches, a budget, an autoscaler, and a program that calls it", async () => {
    const launchNode = { ...(steps.launchNode as object), nodeIp: "172.18.0.3" };
    const { resources } = await record({ steps: { ...steps, launchNode } }, () => {
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
    const specOf = (name: string) => resources[name].inputs.spec as Record<string, unknown>;
    assert.equal(specOf("hello-http-deployment").replicas, undefined);
    assert.deepEqual(specOf("hello-http-budget"), {
        maxUnavailable: 1,
        selector: { matchLabels: { app: "hello-http" } },
    });
    assert.deepEqual(specOf("hello-http-autoscaler").scaleTargetRef, {
        apiVersion: "apps/v1",
        kind: "Deployment",
        name: "auto-named",
    });
    assert.ok(resources["caller-job"].options.dependsOn?.includes("command:local:Command::hello-http-ready"));
    const called = specOf("caller-job").template as {
        metadata: { annotations: object };
        spec: { containers: { args: string[] }[] };
    };
    const origin = "http://hello-http.default.svc:80";
    assert.deepEqual(called.spec.containers[0].args, ["get", `${origin}/you`]);
    assert.deepEqual(Object.values(called.metadata.annotations), [JSON.stringify([origin])]);
});
