/** What is seen of a test file that does not come to its end. */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { test } from "node:test";
import type { Counts } from "../runners";

const root = path.resolve(__dirname, "../..");

/** Runs a test file as a suite does, and gives all that is seen of it. Its counts are the last line. */
function runs(code: string, timeoutMinutes: number): { stdout: string; stderr: string } {
    const folder = mkdtempSync(path.join(tmpdir(), "krustlet-stack-runners-"));
    try {
        const file = path.join(folder, "some.test.ts");
        writeFileSync(file, code);
        const runner = `
            const { nodeTests } = require(${JSON.stringify(path.join(root, "test/runners.ts"))});
            const report = { start: (title) => ({ fail: (why) => console.log(title, why), done: console.log }) };
            const options = { cwd: ${JSON.stringify(root)}, env: {}, timeoutMinutes: ${timeoutMinutes}, report };
            nodeTests([${JSON.stringify(file)}], options).then((counts) => console.log(JSON.stringify(counts)));`;
        const argv = ["--require", "./typescript.cjs", "--eval", runner];
        // It would count itself among this run's tests.
        const env = { ...process.env, NODE_TEST_CONTEXT: undefined };
        return spawnSync(process.execPath, argv, { cwd: root, env, encoding: "utf8", timeout: 55_000 });
    } finally {
        rmSync(folder, { recursive: true });
    }
}

test("a file whose time is up shows what it has printed, what has passed, and which test was under way", () => {
    // What it has started lives on, and holds its output.
    const { stdout, stderr } = runs(
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
        0.1,
    );
    assert.match(stdout, /^so far$/m, stderr);
    assert.match(stdout, /✔ passes/);
    assert.match(stdout, /still running after 0\.1 minutes; ended; under way: a suite > hangs$/m);
    assert.match(stdout, /some\.test\.ts 1 failed$/m);
    assert.match(stdout, /^\{"passed":0,"failed":1,"failures":\[\]\}$/m);
});

test("what is said of a failure is kept for the end", () => {
    const { stdout, stderr } = runs(
        `import { it } from "node:test";
         it("passes", () => undefined);
         it("breaks", () => { throw new Error("why it did"); });`,
        0.8,
    );
    const { failed, failures } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Counts;
    assert.equal(failed, 1, stderr);
    assert.equal(failures?.length, 1);
    assert.match(failures[0], /^✖ failing tests:\n[^]*✖ breaks [^]*why it did/);
    assert.doesNotMatch(failures[0], /passes/);
});

test("of a long failure the beginning and the end are kept, of each one", () => {
    const { stdout, stderr } = runs(
        `import { it } from "node:test";
         const long = (name) => [name + " begins", ...Array(500).fill("progress"), name + " ends"].join("\\n");
         for (const name of ["one", "other"]) it(name, () => { throw new Error(long(name)); });`,
        0.8,
    );
    const { failures } = JSON.parse(stdout.trim().split("\n").at(-1) ?? "") as Counts;
    const said = failures?.[0] ?? "";
    for (const name of ["one", "other"])
        assert.match(said, new RegExp(`${name} begins[^]*more …[^]*${name} ends`), stderr);
    assert.ok(said.split("\n").length < 200, said);
});
