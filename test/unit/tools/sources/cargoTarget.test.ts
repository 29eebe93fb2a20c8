// Which target folder a clone builds in, on a made-up machine whose cargo only says that it was there.
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { buildingIn, cargoTargetDir } from "../../../../tools/sources/cargoTarget";

const saved = { ...process.env };
let dir: string;

/** A clone of that name, with its workspace. */
async function clone(name: string): Promise<string> {
    const workspace = path.join(dir, name, "krustlet");
    await fs.mkdir(workspace, { recursive: true });
    return workspace;
}

/** The clone's folder, in which it has built a dependency. */
async function built(workspace: string): Promise<string> {
    const target = await cargoTargetDir(workspace);
    await fs.mkdir(path.join(target, "release"), { recursive: true });
    await fs.writeFile(path.join(target, "release/libserde.rlib"), "serde");
    await fs.writeFile(path.join(target, "release/.cargo-lock"), "");
    await fs.mkdir(path.join(target, "release/.fingerprint"), { recursive: true });
    await fs.writeFile(path.join(target, "release/.fingerprint/serde"), "serde of 1.0");
    return target;
}

const holds = (target: string) =>
    fs.readFile(path.join(target, "release/libserde.rlib"), "utf8").catch(() => undefined);
const cleaned = async (target: string) =>
    (await fs.readFile(path.join(target, "release/asked"), "utf8")).split("\n").filter(Boolean).length;

before(async () => {
    dir = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-test-"));
});
after(async () => {
    process.env = saved;
    await fs.rm(dir, { recursive: true, force: true });
});
beforeEach(async () => {
    await fs.rm(dir, { recursive: true, force: true });
    await fs.mkdir(path.join(dir, "bin"), { recursive: true });
    await fs.writeFile(
        path.join(dir, "bin/cargo"),
        `#!/bin/sh
cd "$CARGO_TARGET_DIR" && mkdir -p release && cd release
{ cat asked 2>/dev/null; echo "$1"; } >asked.new
mv asked.new asked
`,
        { mode: 0o755 },
    );
    process.env.PATH = `${path.join(dir, "bin")}:${saved.PATH}`;
    process.env.XDG_CACHE_HOME = path.join(dir, "cache");
});

describe("the target folder", () => {
    it("is each clone's own, and the same the next time", async () => {
        const [one, two] = [await clone("one"), await clone("two")];
        const first = await built(one);
        assert.equal(await cargoTargetDir(one), first);
        assert.equal(await cleaned(first), 1);
        const second = await cargoTargetDir(two);
        assert.notEqual(second, first);
        assert.equal(await cargoTargetDir(one), first);
        assert.equal(await cleaned(first), 1, "the other clone's is left alone");
    });

    it("begins with what another clone has built of the dependencies, without the workspace's crates", async () => {
        const first = await built(await clone("one"));
        const second = await cargoTargetDir(await clone("two"));
        assert.deepEqual([await holds(first), await holds(second)], ["serde", "serde"]);
        assert.equal(await cleaned(second), 2, "once more, after the other clone's one time");
    });

    it("shares no file with another clone's that cargo writes in place", async () => {
        const first = await built(await clone("one"));
        const second = await cargoTargetDir(await clone("two"));
        await fs.writeFile(path.join(second, "release/.fingerprint/serde"), "serde of 2.0");
        assert.equal(
            await fs.readFile(path.join(first, "release/.fingerprint/serde"), "utf8"),
            "serde of 1.0",
        );
        await assert.rejects(fs.access(path.join(second, "release/.cargo-lock")));
        await fs.access(path.join(first, "release/.cargo-lock"));
    });

    /** A program that the workspace's tests build, as cargo leaves it, and what another workspace left. */
    async function withPrograms(workspace: string): Promise<string> {
        const target = await built(workspace);
        for (const file of [...PROGRAM, "workloads/release/.fingerprint/hello"]) {
            await fs.mkdir(path.dirname(path.join(target, file)), { recursive: true });
            await fs.writeFile(path.join(target, file), "one's");
        }
        return target;
    }
    const PROGRAM = [
        "tmp/guest/wasm32-wasip2/release/.fingerprint/guest",
        "tmp/guest/wasm32-wasip2/release/guest.wasm",
    ];

    it("shares nothing of its tests' programs with another clone, and takes over nothing of another workspace", async () => {
        const [one, two] = [await clone("one"), await clone("two")];
        const first = await buildingIn(one, () => withPrograms(one));
        const second = await cargoTargetDir(two);
        for (const file of PROGRAM) await fs.writeFile(path.join(second, file), "two's");
        for (const file of PROGRAM)
            assert.equal(await fs.readFile(path.join(first, file), "utf8"), "one's", file);
        await assert.rejects(fs.access(path.join(second, "workloads")));
        await fs.access(path.join(first, "workloads"));
        for (const name of ["one", "two"]) await fs.rm(path.join(dir, name), { recursive: true });
        await fs.mkdir(path.join(second, "workloads"));
        const third = await cargoTargetDir(await clone("three"));
        await assert.rejects(fs.access(path.join(third, "workloads")));
    });

    it("has none of its tests' programs when nobody knows what they were built from", async () => {
        await withPrograms(await clone("one"));
        const second = await cargoTargetDir(await clone("two"));
        await assert.rejects(fs.access(path.join(second, "tmp")));
    });

    it("tells cargo by content which files of another clone are as they were built, and forgets nothing that it need not", async () => {
        const write = async (workspace: string, files: Record<string, string>, at: Date) => {
            for (const [name, text] of Object.entries(files)) {
                await fs.mkdir(path.dirname(path.join(workspace, name)), { recursive: true });
                await fs.writeFile(path.join(workspace, name), text);
                await fs.utimes(path.join(workspace, name), at, at);
            }
        };
        const mtime = async (workspace: string, name: string) =>
            (await fs.stat(path.join(workspace, name))).mtime.toISOString();
        const placed = 'const AT: &str = env!("CARGO_MANIFEST_DIR");';
        const [one, two] = [await clone("one"), await clone("two")];
        const [written, checkedOut] = [new Date("2026-01-02T03:04:05Z"), new Date("2026-01-01T00:00:00Z")];
        await write(one, { "a/lib.rs": "a", "b/lib.rs": "b", "b/tests/t.rs": placed }, written);
        const first = await buildingIn(one, () => built(one));
        const begun = new Date().toISOString();
        await write(
            two,
            { "a/lib.rs": "a", "b/lib.rs": "other", "b/tests/t.rs": placed, "c.rs": "c" },
            checkedOut,
        );
        const second = await cargoTargetDir(two);
        assert.equal(await cleaned(second), 1, "nothing is removed but by the first clone, at first");
        assert.equal(await mtime(two, "a/lib.rs"), written.toISOString());
        for (const changed of ["b/lib.rs", "b/tests/t.rs", "c.rs"])
            assert.ok((await mtime(two, changed)) >= begun, changed);
        // A checkout of the same again, in the same place.
        await write(one, { "a/lib.rs": "a", "b/lib.rs": "changed", "b/tests/t.rs": placed }, checkedOut);
        assert.equal(await cargoTargetDir(one), first);
        for (const same of ["a/lib.rs", "b/tests/t.rs"])
            assert.equal(await mtime(one, same), written.toISOString(), same);
        assert.ok((await mtime(one, "b/lib.rs")) >= begun);
        // While one builds, nobody knows of what.
        await assert.rejects(
            buildingIn(one, async (target) => {
                await assert.rejects(fs.access(path.join(target, "sources.json")));
                throw new Error("the build fails");
            }),
        );
        await fs.access(path.join(first, "sources.json"));
    });

    it("of a clone that is gone is taken over by the next one; there is none left of others", async () => {
        const old = [await built(await clone("old")), await built(await clone("older"))];
        await fs.rm(path.join(dir, "old"), { recursive: true });
        await fs.rm(path.join(dir, "older"), { recursive: true });
        const target = await cargoTargetDir(await clone("new"));
        assert.equal(await holds(target), "serde");
        const left = await fs.readdir(path.dirname(target));
        assert.deepEqual(left, [path.basename(target)]);
        assert.ok(!old.includes(target));
    });

    it("begins with what was used last, be its clone gone or not", async () => {
        const gone = await built(await clone("gone"));
        await fs.writeFile(path.join(gone, "release/libserde.rlib"), "serde of long ago");
        await fs.utimes(path.join(gone, "workspace"), 0, 0);
        await fs.rm(path.join(dir, "gone"), { recursive: true });
        // Else it would take over that one.
        await fs.rename(gone, path.join(dir, "aside"));
        const live = await built(await clone("live"));
        await fs.rename(path.join(dir, "aside"), gone);
        const target = await cargoTargetDir(await clone("new"));
        assert.deepEqual([await holds(target), await holds(live)], ["serde", "serde"]);
        await assert.rejects(fs.access(gone), { code: "ENOENT" });
    });

    it("that a killed run did not make ready is made again", async () => {
        const workspace = await clone("one");
        const target = await built(workspace);
        await fs.rm(path.join(target, "workspace"));
        assert.equal(await cargoTargetDir(workspace), target);
        assert.equal(await holds(target), undefined);
    });
});
