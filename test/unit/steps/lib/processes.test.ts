import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { describe, it } from "node:test";
import { byPs, endProcess, isAlive, processesWith, processOf } from "../../../../steps/lib/processes";

describe("processes", () => {
    it("are known by id and start, and end", async () => {
        const argument = `--data-dir=/of/the/test/${process.pid}`;
        const child = spawn("sleep", ["60"], { argv0: argument });
        await new Promise((resolve) => child.once("spawn", resolve));
        const found = processesWith(argument);
        assert.deepEqual(
            found.map(({ pid }) => pid),
            [child.pid],
        );
        assert.equal(isAlive(found[0]), true);
        assert.equal(isAlive({ ...found[0], startTime: "1" }), false);
        assert.equal(await endProcess({ ...found[0], startTime: "1" }, 1), "gone");
        assert.equal(isAlive(found[0]), true, "another process of that id is left alone");
        assert.equal(await endProcess(found[0], 5), "ended");
        assert.equal(await endProcess(found[0], 5), "gone");
    });
    it("that do not end are killed", async () => {
        const child = spawn("bash", ["-c", "trap '' TERM; echo; while :; do sleep 0.1; done"]);
        await new Promise((resolve) => child.stdout.once("data", resolve));
        const found = processOf(child.pid ?? 0);
        assert.ok(found);
        assert.equal(await endProcess(found, 0.2), "killed");
    });
    it("that are not there are none", () => {
        assert.equal(processOf(2 ** 22 + 1), undefined);
        assert.deepEqual(byPs("-p", String(2 ** 22 + 1)), []);
    });
    it("are told by ps, where there is no /proc", async () => {
        const child = spawn("sleep", ["60"], { argv0: `--data-dir=/of/ps/${process.pid}` });
        await new Promise((resolve) => child.once("spawn", resolve));
        const found = byPs("-A").filter(({ argv }) => argv.includes(child.spawnargs[0]));
        assert.deepEqual(
            found.map(({ id, argv }) => [id.pid, argv]),
            [[child.pid, [child.spawnargs[0], "60"]]],
        );
        const { startTime } = found[0].id;
        assert.ok(Math.abs(Date.parse(startTime) - Date.now()) < 60_000, startTime);
        const exited = new Promise((resolve) => child.once("exit", resolve));
        child.kill();
        await exited;
        assert.deepEqual(byPs("-p", String(child.pid)), []);
    });
});
