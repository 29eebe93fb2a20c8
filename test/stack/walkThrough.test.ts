/** The acceptance test: up, up again without a change, a changed workload, plain Pulumi, destroy, nothing left. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { leftovers, nothing, root, StackUnderTest, type StateResource } from "./stackUnderTest";

const NODE = "krustlet-acceptance";

/** `create`, `update`, `replace` … and their numbers, as Pulumi's closing summary counts them. */
function summary(output: string): Record<string, number> {
    const counted = output.matchAll(/^\s+[+~-]*\s*(\d+) (created|updated|replaced|deleted|unchanged)$/gm);
    return Object.fromEntries([...counted].map(([, count, what]) => [what, Number(count)]));
}

function lastLine(text: string): string {
    return text.trimEnd().split("\n").at(-1) ?? "";
}

/** Identity of what is deployed: another id for the same URN means that it was replaced. */
function ids(resources: StateResource[]): Map<string, string | undefined> {
    return new Map(resources.map(({ urn, id, created }) => [urn, `${id} ${created}`]));
}

void describe("the walk-through", { timeout: 1_200_000 }, () => {
    let stack: StackUnderTest;
    let sources: string;

    before(async () => {
        stack = await StackUnderTest.create("acceptance");
        // A copy, for the test changes it.
        sources = path.join(stack.home, "hello-world");
        await fs.cp(path.join(root, "workloads/hello-world"), sources, {
            recursive: true,
            filter: (file) => path.basename(file) !== "target",
        });
        await stack.configure({
            clusterName: "krustlet-acceptance",
            registryPort: 5103,
            nodes: [{ name: NODE, port: 3103 }],
            workloads: [
                // `up` shows the logs in the order of the names: the one that is looked for comes last.
                { name: "clock", kind: "Deployment", source: "workloads/ticker" },
                { name: "hello-wasm", source: sources },
            ],
        });
    });

    after(async () => {
        await stack.remove();
    });

    void it("up ends with the workload's own log line", async () => {
        const begun = Date.now();
        const { stdout, stderr, exitCode } = await stack.npmRun("up");
        assert.equal(exitCode, 0, stdout + stderr);
        assert.equal(lastLine(stdout), "Hello, World!");
        console.log(`up: ${((Date.now() - begun) / 1000).toFixed(1)} s`);
    });

    void it("up again changes nothing", async () => {
        const resources = await stack.resources();
        const begun = Date.now();
        const { stdout, stderr, exitCode } = await stack.npmRun("up");
        const seconds = (Date.now() - begun) / 1000;
        assert.equal(exitCode, 0, stdout + stderr);
        assert.deepEqual(Object.keys(summary(stdout)), ["unchanged"], stdout);
        assert.equal(lastLine(stdout), "Hello, World!");
        assert.deepEqual(ids(await stack.resources()), ids(resources));
        console.log(`up without a change: ${seconds.toFixed(1)} s`);
        // A test must not fail for a busy machine, but a program that has become slow must not go unseen.
        assert.ok(seconds < 25, `${seconds} s`);
    });

    void it("a lost kubeconfig is there again after an update that changes nothing", async () => {
        const content = await fs.readFile(stack.kubeconfig, "utf8");
        assert.equal((await stack.outputs()).kubeconfigFile, stack.kubeconfig);
        await fs.rm(path.dirname(stack.kubeconfig), { recursive: true });
        const { stdout, stderr, exitCode } = await stack.npmRun("up");
        assert.equal(exitCode, 0, stdout + stderr);
        assert.deepEqual(Object.keys(summary(stdout)), ["unchanged"], stdout);
        assert.equal(await fs.readFile(stack.kubeconfig, "utf8"), content);
        assert.equal((await fs.stat(stack.kubeconfig)).mode & 0o777, 0o600);
    });

    void it("plain preview and refresh see no change", async () => {
        const preview = await stack.pulumi(`preview --stack ${stack.name} --expect-no-changes`);
        assert.equal(preview.exitCode, 0, preview.stdout + preview.stderr);
        const refresh = await stack.pulumi(`refresh --yes --stack ${stack.name} --expect-no-changes`);
        assert.equal(refresh.exitCode, 0, refresh.stdout + refresh.stderr);
    });

    void it("both nodes are Ready, and just the Wasm node's two certificates were approved", async () => {
        const nodes = await stack.kubectl(
            ...["get", "nodes", "--output"],
            'jsonpath={range .items[*]}{.metadata.name} {.status.conditions[?(@.type=="Ready")].status}{"\\n"}{end}',
        );
        assert.deepEqual(nodes.trim().split("\n").sort(), [
            `${NODE} True`,
            "krustlet-acceptance-control-plane True",
        ]);
        const csrs = JSON.parse(await stack.kubectl("get", "csr", "--output", "json")) as {
            items: {
                spec: { signerName: string; username: string };
                status: { conditions?: { type: string }[]; certificate?: string };
            }[];
        };
        const ours = csrs.items
            .filter(({ spec }) =>
                /^system:(bootstrap:[a-z0-9]{6}|node:krustlet-acceptance)$/.test(spec.username),
            )
            .filter(
                ({ spec }) =>
                    spec.username === `system:node:${NODE}` || spec.signerName.endsWith("client-kubelet"),
            );
        const decided = ours.map(({ spec, status }) => [
            spec.signerName,
            status.conditions?.map(({ type }) => type),
            status.certificate !== undefined,
        ]);
        assert.ok(
            decided.some(([signer, types, issued]) => {
                return signer === "kubernetes.io/kubelet-serving" && String(types) === "Approved" && issued;
            }),
            JSON.stringify(decided),
        );
        assert.ok(
            decided.some(([signer, types, issued]) => {
                return (
                    signer === "kubernetes.io/kube-apiserver-client-kubelet" &&
                    String(types) === "Approved" &&
                    issued
                );
            }),
            JSON.stringify(decided),
        );
    });

    void it("the pods run on the Wasm node, and the finished one tells its exit code", async () => {
        const pods = JSON.parse(await stack.kubectl("get", "pods", "--output", "json")) as {
            items: {
                metadata: { labels: { app: string } };
                spec: { nodeName: string };
                status: {
                    phase: string;
                    containerStatuses: { imageID: string; state: { terminated?: { exitCode: number } } }[];
                };
            }[];
        };
        const found = pods.items.map(({ metadata, spec, status }) => [
            metadata.labels.app,
            spec.nodeName,
            status.phase,
            status.containerStatuses[0].state.terminated?.exitCode,
        ]);
        assert.deepEqual(found.sort(), [
            ["clock", NODE, "Running", undefined],
            ["hello-wasm", NODE, "Succeeded", 0],
        ]);
        for (const pod of pods.items) {
            assert.match(pod.status.containerStatuses[0].imageID, /@sha256:[0-9a-f]{64}$/);
        }
    });

    void it("logs -f streams lines as they come", async () => {
        const target = ["logs", "--follow", "--tail=1", "deployment/clock"];
        const name = (await stack.kubectl("get", "deployments", "--output", "name")).trim();
        target[target.length - 1] = name.replace(".apps", "");
        const child = spawn("kubectl", ["--kubeconfig", stack.kubeconfig, ...target], {
            stdio: ["ignore", "pipe", 2],
        });
        const arrivals: number[] = [];
        child.stdout?.on("data", () => arrivals.push(Date.now()));
        const deadline = Date.now() + 15_000;
        while (arrivals.length < 4 && Date.now() < deadline) await sleep(100);
        child.kill();
        assert.ok(arrivals.length >= 4, `${arrivals.length} pieces in 15 s`);
        assert.ok(arrivals[3] - arrivals[1] > 1000, "they came in one piece");
    });

    void it("a changed workload source gives a new digest, a new pod and a new log, and replaces nothing else", async () => {
        const before = await stack.resources();
        const outputs = (await stack.outputs()) as { artifacts: Record<string, string> };
        const main = path.join(sources, "src/main.rs");
        const text = await fs.readFile(main, "utf8");
        assert.ok(text.includes("Hello, World!"));
        await fs.writeFile(main, text.replaceAll("Hello, World!", "Hello, Krustlet!"));

        const { stdout, stderr, exitCode } = await stack.npmRun("up");
        assert.equal(exitCode, 0, stdout + stderr);
        assert.equal(lastLine(stdout), "Hello, Krustlet!");
        // Pulumi knows of the pod of before, and deletes it.
        assert.doesNotMatch(stdout, /ended run/);
        const now = (await stack.outputs()) as { artifacts: Record<string, string> };
        assert.notEqual(now.artifacts["hello-wasm"], outputs.artifacts["hello-wasm"]);
        assert.equal(now.artifacts.clock, outputs.artifacts.clock);

        const old = ids(before);
        const changed = [...ids(await stack.resources())].filter(([urn, id]) => old.get(urn) !== id);
        const types = changed.map(([urn]) => urn.split("::")[2].split("$").at(-1)).sort();
        // The build is triggered by its sources, and the pod is a new one. The push runs again in place.
        assert.deepEqual(types, ["command:local:Command", "kubernetes:core/v1:Pod"]);
        assert.ok(changed.every(([urn]) => urn.includes("hello-wasm")));
    });

    void it("down leaves nothing, and a second down is fine", async () => {
        const first = await stack.npmRun("down");
        assert.equal(first.exitCode, 0, first.stdout + first.stderr);
        assert.deepEqual(await leftovers(NODE, /^krustlet-stack-acceptance-registry$/, stack.home), nothing);
        const files = (await stack.files()).filter((file) => !file.startsWith("hello-world"));
        assert.deepEqual(
            files.filter((file) => /nodes|kubeconfig|acceptance/.test(file) && !file.startsWith("logs")),
            [],
        );
        const second = await stack.npmRun("down");
        assert.equal(second.exitCode, 0, second.stdout + second.stderr);
    });
});
