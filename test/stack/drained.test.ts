/** Pods that serve leave their node under load, and the node leaves its stack: no request is lost, neither at the Service's port nor between programs. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { until } from "../until";
import { docker, FaultyStack } from "./faults/faultsUnderTest";
import { load, type Answers } from "./load";
import type { StackConfig } from "./stackUnderTest";

const NAME = "acceptance-drained";
const CLUSTER = "krustlet-drained";
const [FIRST, SECOND] = [`${CLUSTER}-a`, `${CLUSTER}-b`];
const NODE_PORT = 30124;
const REPLICAS = 4;
/** Origin at which programs call. */
const ORIGIN = "http://web.default";

interface Listed {
    items: {
        metadata: { name: string; deletionTimestamp?: string };
        spec: { nodeName?: string };
        status: { conditions?: { type: string; status: string }[] };
    }[];
}

void describe("a node that is drained under load", { timeout: 1_200_000 }, () => {
    let faulty: FaultyStack;
    const config = (...nodes: string[]): StackConfig => ({
        clusterName: CLUSTER,
        registryPort: 5124,
        nodes: nodes.map((name) => ({
            name,
            port: name === FIRST ? 3124 : 3125,
            runtime: "container",
            drainTimeoutSeconds: 300,
        })),
        workloads: [
            {
                name: "asks",
                kind: "Job",
                source: "workloads/probe",
                args: ["get", `${ORIGIN}/you`],
                allowedDomains: [ORIGIN],
            },
            {
                name: "web",
                kind: "Deployment",
                source: "workloads/hello-http",
                replicas: REPLICAS,
                ports: [{ containerPort: 8080 }],
                probes: { readiness: { httpGet: { path: "/" }, periodSeconds: 1 } },
                service: { port: 80, type: "NodePort", nodePort: NODE_PORT },
            },
        ],
    });
    const kubectl = (...args: string[]) => faulty.stack.kubectl(...args);
    /** How many pods serve on each node; undefined while some come or go. */
    const placed = async () => {
        const listed = await kubectl("get", "pods", "--selector=app=web", "--output=json");
        const { items } = JSON.parse(listed) as Listed;
        const settled = items.every(
            ({ metadata, status }) =>
                metadata.deletionTimestamp === undefined &&
                status.conditions?.some(({ type, status }) => type === "Ready" && status === "True"),
        );
        if (!settled || items.length !== REPLICAS) return undefined;
        const on: Record<string, number> = {};
        for (const { spec } of items) on[spec.nodeName ?? ""] = (on[spec.nodeName ?? ""] ?? 0) + 1;
        return on;
    };
    /** Has a program on a node call the Service by its name so many times, one after the other, and waits until its pod has a phase. */
    const calls = async (name: string, node: string, times: number, phase: string) => {
        const image = await kubectl(
            "get",
            "jobs",
            "--output=jsonpath={.items[0].spec.template.spec.containers[0].image}",
        );
        const args = Array.from({ length: times }, () => ["get", `${ORIGIN}/you`, "sleep", "20"]).flat();
        const annotations = { "alpha.wasi.krustlet.dev/allowed-domains": JSON.stringify([ORIGIN]) };
        const spec = {
            nodeName: node,
            tolerations: [{ operator: "Exists" }],
            restartPolicy: "Never",
            containers: [{ name, image, args }],
        };
        const file = path.join(faulty.stack.home, `${name}.json`);
        const pod = { apiVersion: "v1", kind: "Pod", metadata: { name, annotations }, spec };
        await fs.writeFile(file, JSON.stringify(pod));
        await kubectl("create", `--filename=${file}`);
        await kubectl("wait", `pod/${name}`, `--for=jsonpath={.status.phase}=${phase}`, "--timeout=60s");
    };
    /** What such a program has got for answers: how often each. */
    const answersOf = async (name: string) => {
        const counts: Record<string, number> = {};
        for (const line of (await kubectl("logs", name)).split("\n").filter(Boolean))
            counts[line] = (counts[line] ?? 0) + 1;
        return counts;
    };
    const GOOD = "200 Hello, you!";

    /** Does what makes the pods go, under load from outside and from a program of the node that they go to. */
    const emptied = async (node: string, to: string, leave: () => Promise<unknown>) => {
        const before = (await placed())?.[node] ?? 0;
        assert.ok(before > 0, `pods are on ${node}`);
        const address = await docker(
            "inspect",
            faulty.controlPlane,
            "--format={{.NetworkSettings.Networks.kind.IPAddress}}",
        );
        await calls("caller", to, 5_000, "Running");
        await until("the program's first answer", async () => (await answersOf("caller"))[GOOD]);
        let answers: Answers;
        let called: Record<string, number>;
        const end = load(`http://${address}:${NODE_PORT}/you`, 200, "Hello, you!");
        const begun = Date.now();
        const seconds = () => ((Date.now() - begun) / 1000).toFixed(1);
        let [took, lasted] = ["", ""];
        try {
            await leave();
            took = seconds();
            const all = async () => (await placed())?.[to] === REPLICAS || undefined;
            await until(`all pods on ${to}`, all);
        } finally {
            answers = await end();
            lasted = seconds();
            called = await answersOf("caller");
            await kubectl("delete", "pod", "caller", "--now");
        }
        console.log(
            `${before} pods left in ${took} s; ${answers.answered} requests answered in ${lasted} s, and ${called[GOOD]} of a program`,
        );
        assert.deepEqual(answers.failed, {});
        assert.ok(answers.answered > 500, String(answers.answered));
        assert.deepEqual(called, { [GOOD]: called[GOOD] });
        assert.ok(called[GOOD] > 100, String(called[GOOD]));
    };

    before(async () => {
        faulty = await FaultyStack.create(NAME, CLUSTER);
        await faulty.configure(config(FIRST, SECOND));
        const begun = Date.now();
        await faulty.up();
        console.log(`up: ${((Date.now() - begun) / 1000).toFixed(1)} s`);
        await kubectl("create", "poddisruptionbudget", "web", "--selector=app=web", "--min-available=3");
    });
    after(() => faulty.stack.remove());

    void it("by kubectl loses none: the pods come back on the other node", async () => {
        const both = await until("all pods", placed);
        assert.deepEqual(Object.keys(both).sort(), [FIRST, SECOND]);
        await emptied(FIRST, SECOND, async () => {
            const drain = ["kubectl", "--kubeconfig", faulty.stack.kubeconfig, "drain", FIRST];
            const { stdout } = await run([...drain, "--timeout=180s"], { timeoutSeconds: 200 });
            assert.equal(stdout.match(/^pod\/wasm-web-\S+ evicted$/gm)?.length, both[FIRST], stdout);
        });
        await kubectl("uncordon", FIRST);
        await faulty.preview("--expect-no-changes");
    });
    void it("is called from by name while all that answer are on the other one", async () => {
        assert.deepEqual(await placed(), { [SECOND]: REPLICAS });
        await calls("across", FIRST, 1, "Succeeded");
        assert.deepEqual(await answersOf("across"), { [GOOD]: 1 });
    });
    void it("with all pods of the Service on it loses none when it is taken out of the stack", async () => {
        await faulty.configure(config(FIRST));
        await emptied(SECOND, FIRST, async () => {
            const up = await faulty.up();
            assert.match(up, /Job default\/\S+ has no pods: it is complete, and they were deleted since/);
            const evicted = up.matchAll(/pod default\/wasm-web-\S+ is evicted from node "(\S+)"/g);
            const from = [...evicted].map(([, node]) => node);
            assert.deepEqual(
                from,
                Array.from({ length: REPLICAS }, () => SECOND),
                up,
            );
        });
        assert.doesNotMatch(await kubectl("get", "nodes", "--output=name"), new RegExp(SECOND));
        await faulty.preview("--expect-no-changes");
    });
    void it("down leaves nothing", () => faulty.down());
});
