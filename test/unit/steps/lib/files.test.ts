import assert from "node:assert/strict";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { expandHome, logTail, withPrivateFile, writePrivate } from "../../../../steps/lib/files";
import { findProgram } from "../../../../steps/lib/programs/programs";

const folder = mkdtempSync(join(tmpdir(), "krustlet-stack-test-"));
after(() => {
    rmSync(folder, { recursive: true, force: true });
});

describe("files", () => {
    it("are written privately and in one step", async () => {
        const path = join(folder, "secret");
        await writePrivate(path, "one");
        await writePrivate(path, "two");
        assert.equal(readFileSync(path, "utf8"), "two");
        assert.equal(statSync(path).mode & 0o777, 0o600);
    });
    it("for a moment are gone afterwards, after a failure too", async () => {
        let seen = "";
        await assert.rejects(
            withPrivateFile("k", (path) => {
                seen = path;
                assert.equal(statSync(path).mode & 0o777, 0o600);
                assert.equal(statSync(join(path, "..")).mode & 0o777, 0o700);
                return Promise.reject(new Error("x"));
            }),
            /^Error: x$/,
        );
        assert.throws(() => statSync(join(seen, "..")), { code: "ENOENT" });
    });
    it("of a step that was killed are removed by the next one, those of one that runs are not", async () => {
        const dead = join(tmpdir(), `krustlet-stack-step-${2 ** 22 + 1}-x`);
        const alive = join(tmpdir(), `krustlet-stack-step-${process.ppid}-x`);
        for (const path of [dead, alive]) mkdirSync(path, { mode: 0o700 });
        writeFileSync(join(dead, "kubeconfig"), "k");
        await withPrivateFile("k", () => Promise.resolve());
        assert.equal(existsSync(dead), false);
        assert.equal(existsSync(alive), true);
        rmSync(alive, { recursive: true });
    });
    it("may be named from the home folder", () => {
        assert.equal(expandHome("~/a"), join(homedir(), "a"));
        assert.equal(expandHome("~"), homedir());
        assert.equal(expandHome("/a"), "/a");
        assert.equal(expandHome("a"), join(process.cwd(), "a"));
    });
    it("of a log end with their last lines", () => {
        const path = join(folder, "log");
        writeFileSync(path, "old\n1\n2\n3\n");
        assert.equal(logTail(path, 4, 2), "2\n3");
        assert.equal(logTail(path, 4, 9), "1\n2\n3");
        assert.equal(logTail(path, 10), "(nothing was logged)");
        assert.equal(logTail(join(folder, "none")), "(no log)");
    });
});

describe("a program", () => {
    it("is found on PATH, by its path, or not at all", async () => {
        const program = join(folder, "tool");
        writeFileSync(program, "", { mode: 0o755 });
        writeFileSync(join(folder, "text"), "", { mode: 0o644 });
        assert.equal(await findProgram("tool", `/nowhere:relative:${folder}`), program);
        assert.equal(await findProgram(program, ""), program);
        assert.equal(await findProgram("text", folder), undefined);
        assert.equal(await findProgram("missing", folder), undefined);
    });
});
