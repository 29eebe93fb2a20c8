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
