/** What is seen of a test file that does not come to its end. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { test } from "node:test";

const root = path.resolve(__dirname, "../..");

test("a file whose time is up shows what it has printed, what has passed, and which test was under way", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "krustlet-stack-runners-"));
    try {
        const hanging = path.join(folder, "hanging.test.ts");
        // What it has started lives on, and holds its output.
        writeFileSync(
            hanging,
            `import { spawn } from "node:child_process";
             import { describe, it } from "node:test";
             describe("a suite", () => {
                 it("passes", () => undefined);
                 it("hangs", async () => {
                     console.log("so far");
                     spawn("sleep", ["30"], { detached: true, stdio: "inherit" });
                     await new Promise((resolve) => setTimeout(resolve, 60_000));
                 });
                 it("never begins", () => undefined);
             });`,
        );
        const runner = `
            const { nodeTests } = require(${JSON.stringify(path.join(root, "test/runners.ts"))});
            const report = { start: (title) => ({ fail: (why) => console.log(title, why), done: console.log }) };
            const options = { cwd: ${JSON.stringify(root)}, env: {}, timeoutMinutes: 0.1, report };
            nodeTests([${JSON.stringify(hanging)}], options).then((counts) => console.log(JSON.stringify(counts)));`;
        const argv = ["--require", "./typescript.cjs", "--eval", runner];
        // It would count itself among this run's tests.
        const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
        const { stdout, stderr } = spawnSync(process.execPath, argv, {
            cwd: root,
            env,
            encoding: "utf8",
            timeout: 25_000,
        });
        assert.match(stdout, /^so far$/m, stderr);
        assert.match(stdout, /✔ passes/);
        assert.match(stdout, /still running after 0\.1 minutes; ended; under way: a suite > hangs$/m);
        assert.match(stdout, /hanging\.test\.ts 1 failed$/m);
        assert.match(stdout, /^\{"passed":0,"failed":1\}$/m);
    } finally {
        rmSync(folder, { recursive: true });
    }
});
