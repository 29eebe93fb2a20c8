import assert from "node:assert/strict";
import { spawn, spawnSync } from "node:child_process";
import {
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    statSync,
    writeFileSync,
} from "node:fs";
import { hostname, tmpdir, userInfo } from "node:os";
import { join, resolve } from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import {
    stepPath,
    type Claim,
    type LookOutput,
    type NodeInput,
    type StepClaim,
    type Steps,
} from "../../../../steps/contract";
import { entries, type JournalEntry } from "../../../../steps/lib/journal";
import { processOf } from "../../../../steps/lib/processes";
import { describeOwner, idOf, isOf, keyOf, nameOf } from "../../../../steps/lib/claim";

const root = resolve(__dirname, "../../../..");

describe("a stack's claim", () => {
    let home: string;
    beforeEach(() => {
        home = mkdtempSync(join(tmpdir(), "krustlet-stack-"));
    });
    afterEach(() => rmSync(home, { recursive: true }));

    /** Runs a step as Pulumi does: what it printed last is in its environment. No docker command is on PATH. */
    function step(name: keyof Steps, input: object, last?: object, env: Record<string, string> = {}) {
        const { status, stdout, stderr } = spawnSync(process.execPath, ["step.cjs", stepPath(name)], {
            cwd: root,
            input: JSON.stringify(input),
            encoding: "utf8",
            env: {
                PATH: home,
                HOME: home,
                KRUSTLET_STACK_HOME: home,
                ...(last && { PULUMI_COMMAND_STDOUT: JSON.stringify(last) }),
                ...env,
            },
        });
        return { status, stderr, output: stdout === "" ? undefined : (JSON.parse(stdout) as object) };
    }
    /** What is written down and not undone. */
    const standing = async (claim: Claim) => (await entries(claim)).map(({ resource }) => resource);
    const made = (last?: object, owner = "shop/dev") => step("makeClaim", { owner }, last).output as Claim;
    const elsewhere = (claim: Claim): Claim => ({
        ...claim,
        host: { id: "0".repeat(32), name: "other", user: "you" },
    });
    const node = (stateDir: string, owner: string): NodeInput => ({
        kubeconfigFile: join(home, "kubeconfig"),
        owner,
        program: join(home, "no-such-agent"),
        nodeName: "krustlet",
        nodeIp: "172.18.0.1",
        port: 3000,
        maxPods: 10,
        labels: {},
        insecureRegistries: [],
        stateDir,
        bootstrapFile: join(stateDir, "bootstrap"),
        bootstrapGroup: "system:bootstrappers:krustlet-stack:krustlet",
        tokenTtlSeconds: 600,
    });

    it("is another one each time, of this host, in a folder that is nobody else's", () => {
        const [one, two] = [made(), made()];
        assert.match(one.id, /^[0-9a-f]{16}$/);
        assert.notEqual(one.id, two.id);
        assert.equal(one.owner, `shop/dev/${one.id}`);
        assert.equal(one.host.name, hostname());
        assert.equal(one.host.id, two.host.id);
        assert.equal(one.folder, join(home, "claims", one.id));
    });
    it("writes nothing before something is made in its name: one that was never recorded leaves nothing", () => {
        const claim = made();
        assert.equal(existsSync(claim.folder), false);
        const stateDir = join(home, "node");
        const launch = { claim: { ...claim, resource: "n-agent", undo: "stopNode" } };
        step("launchNode", { ...node(stateDir, claim.owner), ...launch });
        assert.equal(statSync(claim.folder).mode & 0o777, 0o700);
    });
    it("stays what it is when the stack gets another name", () => {
        const one = made();
        assert.deepEqual(made(one, "shop/prod"), { ...one, owner: `shop/prod/${one.id}` });
        assert.equal(isOf(one.owner, `shop/prod/${one.id}`), true);
    });
    it("is refused on another host by every step, in one line that names both", () => {
        const there = elsewhere(made());
        const said =
            `this stack (${there.owner}) was made on host "other" by user "you", and this is host "${hostname()}" by user "${userInfo().username}": ` +
            "run it there; if that host is gone for good, `pulumi destroy` with KRUSTLET_STACK_ABANDON_HOST=other in the " +
            "environment forgets what it had\n";
        assert.equal(step("makeClaim", { owner: "shop/dev" }, there).stderr, `makeClaim: ${said}`);
        assert.equal(step("releaseClaim", { owner: "shop/dev" }, there).stderr, `releaseClaim: ${said}`);
        const claim: StepClaim = { ...there, resource: "n-agent", undo: "stopNode" };
        const input = { ...node(join(home, "node"), there.owner), claim };
        assert.equal(step("launchNode", input).stderr, `launchNode: ${said}`);
        assert.equal(step("stopNode", input).stderr, `stopNode: ${said}`);
        assert.equal(step("look", { looks: [], claim: there }).stderr, `look: ${said}`);
    });
    it("can be given up when its host is gone: nothing of this one's is touched", () => {
        const there = elsewhere(made());
        mkdirSync(there.folder, { recursive: true });
        const stateDir = join(home, "node");
        mkdirSync(stateDir, { mode: 0o700 });
        writeFileSync(
            join(stateDir, "owner.json"),
            JSON.stringify({ owner: there.owner, nodeName: "krustlet" }),
        );
        const claim: StepClaim = { ...there, resource: "n-agent", undo: "stopNode" };
        const env = { KRUSTLET_STACK_ABANDON_HOST: "other" };
        const stop = step("stopNode", { ...node(stateDir, there.owner), claim }, {}, env);
        assert.deepEqual([stop.status, stop.output], [0, {}]);
        assert.deepEqual(step("releaseClaim", { owner: "shop/dev" }, there, env).output, {});
        assert.equal(existsSync(join(stateDir, "owner.json")), true);
        assert.equal(existsSync(there.folder), true);
    });

    it("whose folder is lost has every part looked at again, until it is, and says so once; one that is made just now has not", () => {
        const claim = made();
        const look = (more: object) => {
            const input = {
                looks: [{ step: "observeWorkload", input: { resource: "w-ready" } }],
                claim: { ...claim, looks: true, ...more },
            };
            const { output, stderr } = step("look", input);
            const { answers } = (output ?? assert.fail(stderr)) as LookOutput;
            return answers[0];
        };
        assert.deepEqual(look({ fresh: true }), { notes: [], output: {} });
        const first = look({ fresh: false });
        const why =
            /^nothing was written down in \S+ of what this stack has made, seen \S+Z: each part is looked at again$/;
        assert.match(first.notes.join("\n"), why);
        assert.deepEqual(first.output, { because: first.notes[0] });
        assert.deepEqual(look({ fresh: false }), { notes: [], output: first.output });
        // A removal in between writes there again, and hides nothing.
        rmSync(claim.folder, { recursive: true });
        const undo = { ...claim, resource: "n", undo: "stopNode" };
        step("stopNode", { ...node(join(home, "node"), claim.owner), claim: undo }, {});
        assert.match((look({ fresh: false }).output as { because: string }).because, why);
    });

    describe("at its end", () => {
        it("undoes what a step began that never came to its end, and nothing that is another's", () => {
            const [mine, others] = [made(), made()];
            const begun = (claim: Claim, stateDir: string) => {
                const input = node(stateDir, claim.owner);
                const launched = step("launchNode", {
                    ...input,
                    claim: { ...claim, resource: "n-agent", undo: "stopNode" },
                });
                assert.match(launched.stderr, /no-such-agent/);
                // As if the step had been killed in the middle.
                mkdirSync(stateDir, { mode: 0o700, recursive: true });
                const whose = { owner: claim.owner, nodeName: "krustlet" };
                writeFileSync(join(stateDir, "owner.json"), JSON.stringify(whose));
            };
            begun(mine, join(home, "mine"));
            begun(others, join(home, "others"));
            assert.deepEqual(readdirSync(join(mine.folder, "made")), ["n-agent.json"]);

            const end = step("releaseClaim", { owner: "shop/dev" }, mine);
            assert.deepEqual([end.status, end.output], [0, {}], end.stderr);
            assert.match(end.stderr, /^n-agent was begun by a run that ended: stopNode$/m);
            assert.equal(existsSync(join(home, "mine")), false);
            assert.equal(existsSync(mine.folder), false);
            assert.equal(existsSync(join(home, "others", "owner.json")), true);
            assert.equal(existsSync(others.folder), true);
        });
        it("has nothing to do for what its own step has undone, of which no more is kept than that", async () => {
            const claim = made();
            const stateDir = join(home, "node");
            const input = {
                ...node(stateDir, claim.owner),
                claim: { ...claim, resource: "n", undo: "stopNode" },
            };
            step("launchNode", input);
            assert.equal(step("stopNode", input, {}).status, 0);
            assert.deepEqual(await standing(claim), []);
            const text = readFileSync(join(claim.folder, "made", "n.json"), "utf8");
            const { undone, at, ...rest } = JSON.parse(text) as JournalEntry;
            assert.deepEqual(rest, { resource: "n", undo: "stopNode", input: {}, done: true });
            assert.ok(undone !== undefined && undone >= at);
        });
        it("has no note of an approver that went with its node", async () => {
            const claim = made();
            const [stateDir, folder] = [join(home, "node"), join(claim.folder, "made")];
            for (const one of [stateDir, folder]) mkdirSync(one, { mode: 0o700, recursive: true });
            const whose = { owner: claim.owner, nodeName: "krustlet" };
            writeFileSync(join(stateDir, "owner.json"), JSON.stringify(whose));
            const approver = (resource: string, input: object) =>
                writeFileSync(
                    join(folder, `${resource}.json`),
                    JSON.stringify({ resource, undo: "stopApprover", input, at: 1, done: true }),
                );
            approver("n-approver", { stateDir });
            approver("m-approver", { stateDir: join(home, "other") });
            const input = node(stateDir, claim.owner);
            const stop = step(
                "stopNode",
                { ...input, claim: { ...claim, resource: "n", undo: "stopNode" } },
                {},
            );
            assert.equal(stop.status, 0, stop.stderr);
            assert.deepEqual(await standing(claim), ["m-approver"]);
        });
        it("has no note of what is to be forgotten, and keeps that of what took its place", () => {
            const claim = made();
            const folder = join(claim.folder, "made");
            mkdirSync(folder, { recursive: true });
            const forgets = (noted: object, input: object) => {
                const entry = { resource: "n", undo: "forget", input: noted, at: 1, done: true };
                writeFileSync(join(folder, "n.json"), JSON.stringify(entry));
                step("forget", { ...input, claim: { ...claim, resource: "n", undo: "forget" } }, {});
                return !existsSync(join(folder, "n.json"));
            };
            assert.equal(forgets({ file: "a" }, { file: "a" }), true);
            assert.equal(forgets({ file: "b" }, { file: "a" }), false);
        });
        it("says what could not be undone, goes on with the rest, and keeps the claim", async () => {
            const claim = made();
            const folder = join(claim.folder, "made");
            mkdirSync(folder, { recursive: true });
            const entry = (resource: string, undo: string, input: object, at: number) =>
                writeFileSync(
                    join(folder, `${resource}.json`),
                    JSON.stringify({ resource, undo, input, at }),
                );
            entry("n-agent", "stopNode", node(join(home, "node"), claim.owner), 1);
            entry(
                "c-kind",
                "deleteKindCluster",
                { name: "demo", owner: claim.owner, kubeconfigFile: "x" },
                2,
            );
            const end = step("releaseClaim", { owner: "shop/dev" }, claim);
            assert.equal(end.status, 1);
            assert.match(
                end.stderr,
                /releaseClaim: what an ended run of shop\/dev left could not be removed; mend it and run `pulumi destroy` again:\n- c-kind: /,
            );
            assert.deepEqual(await standing(claim), ["c-kind"]);
        });
        for (const [what, end] of [
            ["the claim's", "releaseClaim"],
            ["the resource's own", "stopNode"],
            ["a new begin of the resource, which comes before its", "launchNode"],
        ] as const) {
            it(`${what} end ends what a killed Pulumi had begun and is still at it`, () => {
                const claim = made();
                const stateDir = join(home, "node");
                const input = node(stateDir, claim.owner);
                // As a step whose plugin and engine were killed with SIGKILL.
                const still = spawn("sleep", ["60"]);
                try {
                    const folder = join(claim.folder, "made");
                    mkdirSync(folder, { recursive: true });
                    const by = processOf(still.pid ?? 0);
                    assert.ok(by);
                    const entry = { resource: "n-agent", undo: "stopNode", input, done: false, at: 1, by };
                    writeFileSync(join(folder, "n-agent.json"), JSON.stringify(entry));
                    const own = { ...input, claim: { ...claim, resource: "n-agent", undo: "stopNode" } };
                    const { stderr } =
                        end === "releaseClaim"
                            ? step(end, { owner: "shop/dev" }, claim)
                            : step(end, own, end === "stopNode" ? {} : undefined);
                    assert.match(
                        stderr,
                        new RegExp(
                            `^an earlier run of n-agent \\(process ${still.pid}\\) was still at it: ended$`,
                            "m",
                        ),
                    );
                    assert.equal(processOf(by.pid)?.startTime === by.startTime, false);
                } finally {
                    still.kill("SIGKILL");
                }
            });
        }
        it("is nothing where it was never recorded", () => {
            assert.deepEqual(step("releaseClaim", { owner: "shop/dev" }).output, {});
        });
    });

    it("has its things written down before they are made, and kept from other eyes", () => {
        const claim = made();
        step("launchNode", {
            ...node(join(home, "node"), claim.owner),
            claim: { ...claim, resource: "a/../b", undo: "stopNode" },
        });
        const [name] = readdirSync(join(claim.folder, "made"));
        assert.equal(name, "a%2F..%2Fb.json");
        const file = join(claim.folder, "made", name);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        assert.equal((JSON.parse(readFileSync(file, "utf8")) as { undo: string }).undo, "stopNode");
    });
});

describe("an owner", () => {
    const [id, other] = ["0123456789abcdef", "fedcba9876543210"];
    it("is a stack by its name and the claim's id", () => {
        assert.deepEqual([idOf(`a/b/${id}`), idOf("a/b"), idOf("a/b/c")], [id, undefined, undefined]);
        assert.deepEqual([nameOf(`a/b/${id}`), nameOf("a/b")], ["a/b", "a/b"]);
        assert.deepEqual([keyOf(`a/b/${id}`), keyOf("a/b")], [id, "a/b"]);
        assert.equal(describeOwner(`a/b/${id}`), `a/b (claim ${id})`);
    });
    it("is the same one by the id, whatever the name", () => {
        assert.equal(isOf(`a/b/${id}`, `a/c/${id}`), true);
        assert.equal(isOf(`a/b/${id}`, `a/b/${other}`), false);
        assert.equal(isOf(`a/b/${id}`, "a/b"), false);
        assert.equal(isOf(undefined, `a/b/${id}`), false);
    });
    it("of before there were ids is the stack of that name, where the state knows of it", () => {
        assert.equal(isOf("a/b", `a/b/${id}`), false);
        process.env.PULUMI_COMMAND_STDOUT = "{}";
        try {
            assert.equal(isOf("a/b", `a/b/${id}`), true);
            assert.equal(isOf("a/c", `a/b/${id}`), false);
        } finally {
            delete process.env.PULUMI_COMMAND_STDOUT;
        }
    });
});
