/** An update that is ended half-way, whoever ends it: the next one goes on from there, and `down` instead leaves nothing. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, processesThat } from "../../../steps/lib/processes";
import { until } from "../../until";
import { root, type StackConfig } from "../stackUnderTest";
import { FaultyStack } from "./faultsUnderTest";

const NAME = "acceptance-ended";
const CLUSTER = "krustlet-ended";
const NODE = `${CLUSTER}-a`;

/** Who is ended, known by its command line; `home` is the stack's folder. */
const victims = {
    engine: (argv: string[]) => path.basename(argv[0] ?? "") === "pulumi" && argv.includes(NAME),
    program: (argv: string[], home: string) =>
        argv.some((one) => one.endsWith("/cmd/run")) &&
        argv.some((one) => one.includes(home) || one === NAME),
    "plugin command": (argv: string[], home: string) =>
        argv.some((one) => one.startsWith(home) && one.endsWith("/pulumi-resource-command")),
    "plugin kubernetes": (argv: string[], home: string) =>
        argv.some((one) => one.startsWith(home) && one.endsWith("/pulumi-resource-kubernetes")),
} as const;

void describe("an update that is ended", { timeout: 1_800_000 }, () => {
    let faulty: FaultyStack;
    const config: StackConfig = {
        clusterName: CLUSTER,
        registryPort: 5115,
        nodes: [{ name: NODE, port: 3115 }],
        workloads: [{ name: "hello-wasm", source: "workloads/hello-world" }],
    };
    before(async () => {
        faulty = await FaultyStack.create(NAME, CLUSTER);
        await faulty.configure(config);
    });
    after(() => faulty.stack.remove());

    /** Starts an update or its opposite, and ends somebody when that has said something; whatever is begun then goes on for a while. */
    async function endAt(
        command: "up" | "down",
        when: RegExp,
        who: keyof typeof victims,
        ...signals: NodeJS.Signals[]
    ): Promise<void> {
        const child = spawn(process.execPath, ["tools/run.js", command, "--stack", NAME], {
            cwd: root,
            env: { ...process.env, KRUSTLET_STACK_HOME: faulty.stack.home },
            detached: true,
        });
        let said = "";
        const heard = (text: Buffer) => (said += text.toString());
        child.stdout.on("data", heard);
        child.stderr.on("data", heard);
        const ended = new Promise((resolve) => child.on("close", resolve));
        await until(String(when), () => Promise.resolve(when.test(said) ? true : undefined), 180);
        const found = processesThat((argv) => victims[who](argv, faulty.stack.home));
        assert.ok(found.length > 0, `${who} runs\n${said}`);
        for (const signal of signals) {
            // One that has gone by the first needs no second.
            for (const one of found) if (isAlive(one)) process.kill(one.pid, signal);
            await sleep(200);
        }
        assert.notEqual(await ended, 0, said);
        await sleep(1000);
    }

    for (const [when, who, ...signals] of [
        [/Starting control-plane/, "engine", "SIGINT"],
        [/Starting control-plane/, "engine", "SIGINT", "SIGINT"],
        [/Starting control-plane/, "engine", "SIGKILL"],
        [/Starting control-plane/, "plugin command", "SIGKILL"],
        [/wasm-registry-container creating/, "engine", "SIGKILL"],
    ] as const) {
        void it(`${who}, ${signals.join(" and ")} at ${String(when)}: down leaves nothing`, async () => {
            await endAt("up", when, who, ...signals);
            await faulty.down();
            // A kind that lived on would make its containers by now.
            await sleep(5000);
            await faulty.down();
        });
    }
    void it("each update is ended at the next of its resources, and the last one comes to its end", async () => {
        await faulty.configure(config);
        for (const [resource, who] of [
            ["krustlet-stack-claim", "engine"],
            ["wasm-registry-container", "engine"],
            ["wasm-cluster-kind", "engine"],
            ["wasm-cluster-kubelets", "engine"],
            ["wasm-\\S+-bootstrap-token", "engine"],
            ["wasm-\\S+-agent", "engine"],
            ["wasm-\\S+-certificates-approver", "engine"],
            ["wasm-hello-wasm-pod", "engine"],
            ["wasm-hello-wasm-ready", "plugin command"],
        ] as const)
            await endAt("up", new RegExp(`${resource} creating`), who, "SIGKILL");
        const up = await faulty.up();
        assert.match(up, /was killed \(process \d+ of .*\): its lock is removed|Resources:/);
        assert.match(up, /^Hello, World!$/m);
        await faulty.preview("--expect-no-changes");
    });
    for (const [what, stays] of [
        ["all but the cluster", ["forget", "deleteObject", "releaseClaim", "deleteKindCluster"]],
        ["all", ["forget", "deleteObject", "releaseClaim"]],
    ] as const) {
        void it(`what was removed when Pulumi could not hear of it any more is made anew: ${what}`, async () => {
            const undone = await faulty.undo((step) => !stays.some((one) => one === step));
            assert.equal(faulty.findAgent(NODE), undefined);
            const plan = await faulty.preview();
            const up = await faulty.up();
            for (const name of [`wasm-${NODE}-agent`, `wasm-${NODE}-certificates-approver`]) {
                assert.ok(undone.includes(name), undone.join());
                for (const said of [plan, up])
                    assert.match(said, new RegExp(`${name} was removed, \\S+Z: it is made anew`));
            }
            assert.match(up, /^Hello, World!$/m);
            await faulty.preview("--expect-no-changes");
            assert.ok(faulty.findApprover(NODE));
            await faulty.stack.kubectl("wait", "--for=condition=Ready", `node/${NODE}`, "--timeout=60s");
        });
    }
    void it("a down that is ended goes on, and leaves nothing", async () => {
        for (const resource of ["wasm-\\S+-agent", "wasm-cluster-kind"])
            await endAt("down", new RegExp(`${resource} deleting`), "engine", "SIGKILL");
        await faulty.down();
        assert.deepEqual(
            (await fs.readdir(faulty.stack.home)).filter((file) => file !== "passphrase"),
            [],
        );
    });
});
