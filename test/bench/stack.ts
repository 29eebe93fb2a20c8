/**
 * How long the stack takes beside what it is made of, one after the other and three times over, on this machine as it is:
 * `kind create cluster` and an update from nothing, an empty program's update and one without a change, `kind delete cluster` and destroy.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { ROOT } from "../../common/root";
import type { RunResult } from "../../steps/lib/run";
import { createPlainCluster } from "../plainCluster";
import { StackUnderTest } from "../stack/stackUnderTest";
import { Figures, ratios, ROUNDS, type Comparison } from "./rounds";

const NODE = "krustlet-bench";

const seconds = new Figures("s", 1);

async function measure<T>(what: string, act: () => Promise<T>): Promise<T> {
    const begun = performance.now();
    const result = await act();
    seconds.note(what, (performance.now() - begun) / 1000);
    return result;
}

async function succeeds(running: Promise<RunResult>): Promise<void> {
    const { exitCode, stdout, stderr } = await running;
    assert.equal(exitCode, 0, stdout + stderr);
}

/** A project whose program does nothing. */
async function emptyProject(folder: string): Promise<void> {
    await fs.mkdir(folder);
    await fs.writeFile(path.join(folder, "Pulumi.yaml"), "name: empty\nruntime: nodejs\n");
    await fs.writeFile(path.join(folder, "package.json"), '{"name":"empty","main":"index.js"}\n');
    await fs.writeFile(path.join(folder, "index.js"), 'require("@pulumi/pulumi");\n');
    await fs.symlink(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
}

/** From the launch of the node's agent until its Node said that it was Ready. */
async function agentStart(stack: StackUnderTest): Promise<number> {
    const folder = path.join(stack.home, "nodes", `krustlet-stack-${stack.name}-${NODE}`);
    const record = JSON.parse(await fs.readFile(path.join(folder, "agent.pid"), "utf8")) as {
        launchedAt: number;
    };
    const ready = await stack.kubectl(
        ...["get", "node", NODE],
        '--output=jsonpath={.status.conditions[?(@.type=="Ready")].lastTransitionTime}',
    );
    // Kubernetes cuts times to whole seconds.
    return Math.max(0, (Date.parse(ready) + 500 - record.launchedAt) / 1000);
}

async function round(stack: StackUnderTest, empty: string): Promise<void> {
    const kubeconfig = path.join(stack.home, "plain.kubeconfig");
    const remove = await measure("kind create cluster", () =>
        createPlainCluster("krustlet-bare", kubeconfig),
    );
    await measure("kind delete cluster", remove);
    await measure("up from nothing", () => succeeds(stack.npmRun("up")));
    seconds.note("agent's start until its Node is Ready", await agentStart(stack));
    const update = "up --yes --skip-preview --non-interactive --stack";
    await measure("an empty program's update", () =>
        succeeds(stack.pulumi(`${update} empty --cwd ${empty}`)),
    );
    await measure("an update without a change", () => succeeds(stack.pulumi(`${update} ${stack.name}`)));
    await measure("npm run up without a change", () => succeeds(stack.npmRun("up")));
    await measure("destroy", () =>
        succeeds(stack.pulumi(`destroy --yes --skip-preview --non-interactive --stack ${stack.name}`)),
    );
    await stack.npmRun("down");
}

/** What is compared with what, and how much more it may be. */
const comparisons: readonly Comparison[] = [
    ["up from nothing", "kind create cluster", 1.4],
    ["an update without a change", "an empty program's update", 1.5],
    ["npm run up without a change", "an empty program's update", 1.5],
    ["destroy", "kind delete cluster", 3 / 0.9],
];

export async function benchStack(): Promise<void> {
    const stack = await StackUnderTest.create("bench");
    try {
        await stack.configure({
            clusterName: NODE,
            registryPort: 5119,
            nodes: [{ name: NODE, port: 3119 }],
            workloads: [{ name: "hello-wasm", source: "workloads/hello-world" }],
        });
        // What is built once is no part of it.
        await succeeds(stack.npmRun("up"));
        const empty = path.join(stack.home, "empty");
        await emptyProject(empty);
        await succeeds(stack.pulumi(`stack init empty --non-interactive --no-select --cwd ${empty}`));
        await succeeds(
            stack.pulumi(`up --yes --skip-preview --non-interactive --stack empty --cwd ${empty}`),
        );
        await stack.npmRun("down");
        for (let turn = 1; turn <= ROUNDS; turn++) {
            console.log(`round ${turn} of ${ROUNDS}`);
            await round(stack, empty);
        }
    } finally {
        await stack.remove();
    }
    console.log(`\n${seconds.table()}\n\n${ratios(seconds, comparisons)}`);
}
