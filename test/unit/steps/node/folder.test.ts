import assert from "node:assert/strict";
import { chmodSync, mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, it } from "node:test";
import { claimFolder, ownerOf } from "../../../../steps/node/folder";

const folder = mkdtempSync(join(tmpdir(), "krustlet-stack-test-"));
after(() => {
    rmSync(folder, { recursive: true, force: true });
});

describe("a node's folder", () => {
    const whose = { owner: "p/s", nodeName: "krustlet" };
    it("is made private, marked, and known again", async () => {
        const path = join(folder, "a", "node");
        assert.equal(await claimFolder(path, whose), true);
        assert.equal(await claimFolder(path, whose), false);
        assert.equal(statSync(path).mode & 0o777, 0o700);
        assert.equal(statSync(join(path, "owner.json")).mode & 0o777, 0o600);
        assert.deepEqual(await ownerOf(path), whose);
    });
    it("of another node or owner is refused", async () => {
        const path = join(folder, "b");
        await claimFolder(path, whose);
        await assert.rejects(claimFolder(path, { ...whose, nodeName: "other" }), {
            message: `stateDir: ${path} is of node "krustlet" of p/s, not of node "other" of p/s; give each node a folder of its own`,
        });
        await assert.rejects(
            claimFolder(path, { ...whose, owner: "p/t" }),
            /is of node "krustlet" of p\/s, not of node "krustlet" of p\/t/,
        );
    });
    it("with other things in it is refused", async () => {
        const path = join(folder, "c");
        mkdirSync(path, { mode: 0o700 });
        writeFileSync(join(path, "thesis.txt"), "");
        await assert.rejects(claimFolder(path, whose), /holds files that are not of a node/);
    });
    it("that others may enter is refused", async () => {
        const path = join(folder, "d");
        mkdirSync(path, { mode: 0o700 });
        chmodSync(path, 0o750);
        await assert.rejects(
            claimFolder(path, whose),
            /others may reach into .*mode 0750, user \d+.*chmod 0700/,
        );
    });
});
