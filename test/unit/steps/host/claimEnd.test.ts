/** The end of a claim that outlives whoever began it, or is killed itself: what the next update makes of it. */
import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import {
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { stepPath, type Claim, type LookOutput, type Steps } from "../../../../steps/contract";
import { entries } from "../../../../steps/lib/journal";
import { processOf } from "../../../../steps/lib/processes";
import { until } from "../../../until";

const root = resolve(__dirname, "../../../..");

describe("the end of a claim", () => {
    let home: string;
    let claim: Claim;
    beforeEach(() => {
        home = mkdtempSync(join(tmpdir(), "krustlet-stack-"));
        claim = step("makeClaim", { owner: "shop/dev" }).output as Claim;
        mkdirSync(join(claim.folder, "made"), { recursive: true });
    });
    afterEach(() => rmSync(home, { recursive: true }));

    const environment = (last?: object) => ({
        ...{ PATH: home, HOME: home, KRUSTLET_STACK_HOME: home },
        ...(last && { PULUMI_COMMAND_STDOUT: JSON.stringify(last) }),
    });
    /** Runs a step as Pulumi does. No docker command is on PATH but what a test puts there. */
    function step(name: keyof Steps, input: object, last?: object) {
        const { status, stdout, stderr } = spawnSync(process.execPath, ["step.cjs", stepPath(name)], {
            ...{ cwd: root, encoding: "utf8", env: environment(last) },
            input: JSON.stringify(input),
        });
        return { status, stderr, output: stdout === "" ? undefined : (JSON.parse(stdout) as object) };
    }
    const release = () => step("releaseClaim", { owner: "shop/dev" }, claim);
    /** What an update or a preview sees of a resource. */
    const seen = (resource: string, more: object) =>
        step("look", {
            looks: [{ step: "observeWorkload", input: { resource } }],
            claim: { ...claim, looks: true, fresh: false, ...more },
        });
    const file = () => join(claim.folder, "end");

    const resource = { resource: "n-token", undo: "deleteBootstrapToken" };
    const whoEnds: [string, () => { stderr: string }, boolean][] = [
        ["a step that makes something", () => step("forget", { claim: { ...claim, ...resource } }), true],
        ["the look of an update", () => seen("n", { updates: true }), true],
        ["the look of a preview", () => seen("n", {}), false],
        ["another end", release, true],
    ];
    for (const [who, begin, ends] of whoEnds) {
        it(`is ${ends ? "" : "not "}ended by ${who}, where a killed Pulumi has left it at work`, () => {
            const still = spawn("/bin/sleep", ["60"]);
            try {
                writeFileSync(file(), JSON.stringify(processOf(still.pid ?? 0)));
                const { stderr } = begin();
                const said = `an earlier end of this stack (process ${still.pid}) was still at it: ended\n`;
                assert.equal(stderr.includes(said), ends, stderr);
                assert.equal(processOf(still.pid ?? 0) === undefined, ends);
            } finally {
                still.kill("SIGKILL");
            }
        });
    }

    it("that was killed in its middle has what it undid made anew, and the next one undoes the rest", async () => {
        const note = (resource: string, undo: string, input: object, at: number) =>
            writeFileSync(
                join(claim.folder, "made", `${resource}.json`),
                JSON.stringify({ resource, undo, input, output: {}, done: true, at }),
            );
        note("a-ready", "forget", {}, 2);
        const kubeconfigFile = join(home, "kubeconfig");
        note("c-kind", "deleteKindCluster", { name: "demo", owner: claim.owner, kubeconfigFile }, 1);
        const docker = (script: string) =>
            writeFileSync(join(home, "docker"), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
        docker(`echo $$ > ${home}/asked\nexec /bin/sleep 60`);
        const end = spawn(process.execPath, ["step.cjs", "host/releaseClaim"], {
            ...{ cwd: root, env: environment(claim) },
            stdio: ["pipe", "ignore", "ignore"],
        });
        end.stdin?.end(JSON.stringify({ owner: "shop/dev" }));
        const exited = once(end, "exit");
        const asked = () => existsSync(join(home, "asked")) && readFileSync(join(home, "asked"), "utf8");
        const pid = await until("docker's being asked", () => Promise.resolve(asked() || undefined));
        assert.equal((JSON.parse(readFileSync(file(), "utf8")) as { pid: number }).pid, end.pid);
        end.kill("SIGKILL");
        await exited;
        process.kill(Number(pid), "SIGKILL");

        assert.deepEqual(step("makeClaim", { owner: "shop/dev" }, claim).output, claim);
        assert.deepEqual(
            (await entries(claim)).map(({ resource }) => resource),
            ["c-kind"],
        );
        const { answers } = seen("a-ready", { updates: true }).output as LookOutput;
        assert.match(
            (answers[0].output as { because: string }).because,
            /^a-ready was removed, .*: it is made anew$/,
        );
        assert.equal(existsSync(file()), false);
        docker(
            `case "$1" in info) echo '{"ServerVersion":"28","ID":"a"}';; network) echo "no such network" >&2; exit 1;; esac`,
        );
        const { status, stderr } = release();
        assert.equal(status, 0, stderr);
        assert.equal(existsSync(claim.folder), false);
    });

    // "": the machine went down while it was written.
    for (const text of ["null", ""]) {
        it(`that was killed when all was undone does not have the next update miss what was written down (${JSON.stringify(text)})`, () => {
            rmSync(join(claim.folder, "made"), { recursive: true, force: true });
            writeFileSync(file(), text);
            const { answers } = seen("w-ready", { updates: true }).output as LookOutput;
            assert.deepEqual(answers, [{ notes: [], output: {} }]);
            assert.deepEqual(readdirSync(claim.folder), []);
        });
    }
});
