/** The node itself: its Node object, and what its own API answers through the API server. */
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { IncomingMessage } from "node:http";
import * as https from "node:https";
import * as os from "node:os";
import { after, before, describe, it } from "node:test";
import { statusOf, type Pod } from "./lib/pod";
import { underTest } from "./underTest";
import { timeOf, World } from "./lib/world";

interface Node {
    metadata: { labels: Record<string, string> };
    spec: { taints: { key: string; value?: string; effect: string }[] };
    status: {
        addresses: { type: string; address: string }[];
        allocatable: Record<string, string>;
        capacity: Record<string, string>;
        conditions: { type: string; status: string; reason: string; lastHeartbeatTime: string }[];
        daemonEndpoints: { kubeletEndpoint: { Port: number } };
        images: { names: string[]; sizeBytes: number }[];
        nodeInfo: Record<string, string>;
    };
}

/** A quantity of Kubernetes, as the node writes them, in whole units: thousandths of a processor, or bytes. */
function amount(quantity: string): number {
    const [, number, unit] = /^(\d+)(m|Ki|Mi|Gi)?$/.exec(quantity) ?? [];
    const factor = { m: 1, Ki: 2 ** 10, Mi: 2 ** 20, Gi: 2 ** 30 }[unit ?? ""];
    assert.ok(number !== undefined, quantity);
    return Number(number) * (factor ?? 1);
}
const cpu = (quantity: string) => (quantity.endsWith("m") ? amount(quantity) : amount(quantity) * 1000);

/** Samples of the Prometheus text format by name and labels. Every line must be one, or a comment. */
function samples(text: string): Map<string, number> {
    const found = new Map<string, number>();
    for (const line of text.trimEnd().split("\n")) {
        if (/^# (HELP|TYPE) [a-z_:]+ /.test(line)) continue;
        const [, name, value] = /^([a-zA-Z_:][\w:]*(?:\{[^}]*\})?) (\S+)(?: \d+)?$/.exec(line) ?? [];
        assert.ok(name !== undefined && !Number.isNaN(Number(value)), `no sample: ${line}`);
        found.set(name, Number(value));
    }
    return found;
}

describe("the node", { timeout: 180_000 }, () => {
    const { node: given, modules } = underTest();
    let world: World;
    let node: Node;
    let pod: Pod;

    before(async () => {
        world = await World.open("api");
        pod = await world.start("here", {
            args: ["alloc", "8", "ticks", "500", "0"],
            spec: { restartPolicy: "Always" },
        });
        await world.untilLog(pod, "a tick", (log) => log.startsWith("tick 1\n"));
        node = await world.api.get<Node>(`/api/v1/nodes/${given.nodeName}`);
    });
    after(async () => {
        await world.close();
    });

    it("is Ready, under no pressure, and says so with the kubelet's reasons", () => {
        assert.deepEqual(
            node.status.conditions.map(({ type, status, reason }) => `${type}=${status} ${reason}`).sort(),
            [
                "DiskPressure=False KubeletHasNoDiskPressure",
                "MemoryPressure=False KubeletHasSufficientMemory",
                "PIDPressure=False KubeletHasSufficientPID",
                "Ready=True KubeletReady",
            ],
        );
    });

    it("has the capacity of its host, and gives its pods all but a reserve", () => {
        const { capacity, allocatable } = node.status;
        assert.equal(cpu(capacity.cpu), os.availableParallelism() * 1000);
        // A control group may allow less than the machine has.
        assert.ok(amount(capacity.memory) <= os.totalmem() && amount(capacity.memory) > 0);
        assert.ok(amount(capacity["ephemeral-storage"]) > 2 ** 30);
        assert.equal(capacity.pods, String(given.maxPods));
        assert.deepEqual(
            {
                cpu: cpu(capacity.cpu) - cpu(allocatable.cpu),
                memory: amount(capacity.memory) - amount(allocatable.memory),
                storage: amount(capacity["ephemeral-storage"]) - amount(allocatable["ephemeral-storage"]),
                pods: allocatable.pods,
            },
            {
                cpu: 100,
                // And what must always be left, or pods would have to go: 100 MiB, a tenth of the disk.
                memory: 228 * 2 ** 20,
                storage: 2 ** 30 + Math.floor(amount(capacity["ephemeral-storage"]) / 10),
                pods: capacity.pods,
            },
        );
    });

    it("tells the truth of its host and of itself", () => {
        const { nodeInfo, addresses, daemonEndpoints } = node.status;
        const read = (file: string) => readFileSync(file, "utf8").trim();
        const known = {
            architecture: "wasm32-wasi",
            operatingSystem: "wasi",
            kernelVersion: os.release(),
            bootID: read("/proc/sys/kernel/random/boot_id"),
            machineID: read("/etc/machine-id"),
            osImage: /^PRETTY_NAME="?([^"\n]*)"?$/m.exec(read("/etc/os-release"))?.[1],
        };
        assert.deepEqual(Object.fromEntries(Object.keys(known).map((key) => [key, nodeInfo[key]])), known);
        assert.match(nodeInfo.containerRuntimeVersion, /^wasmtime:\/\/\d+\.\d+\.\d+$/);
        assert.match(nodeInfo.kubeletVersion, /^v1\.\d+\.\d+-krustlet\.\d+\.\d+\.\d+$/);
        assert.deepEqual(addresses, [
            { type: "InternalIP", address: given.nodeIp },
            { type: "Hostname", address: given.nodeName },
        ]);
        assert.equal(daemonEndpoints.kubeletEndpoint.Port, given.port);
        assert.deepEqual(
            node.spec.taints
                .filter(({ key }) => key === "kubernetes.io/arch")
                .map(({ value, effect }) => `${value}:${effect}`)
                .sort(),
            ["wasm32-wasi:NoExecute", "wasm32-wasi:NoSchedule"],
        );
    });

    it("lists the modules that it has", async () => {
        const { image, imageId, file } = modules.probe;
        const ours = await world.until("the module in the node's status", async () => {
            const now = await world.api.get<Node>(`/api/v1/nodes/${given.nodeName}`);
            return now.status.images?.find(({ names }) => names.includes(imageId));
        });
        assert.ok(ours.names.includes(image), ours.names.join(" "));
        assert.equal(ours.sizeBytes, readFileSync(file).length);
    });

    it("renews its Lease every ten seconds", async () => {
        const path = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${given.nodeName}`;
        const look = async () => (await world.api.get<{ spec: { renewTime: string } }>(path)).spec.renewTime;
        const first = await look();
        const second = await world.until("the next renewal", async () => {
            const now = await look();
            return now === first ? undefined : now;
        });
        const seconds = (timeOf(second) - timeOf(first)) / 1000;
        assert.ok(seconds >= 9 && seconds <= 13, `${seconds} s`);
    });

    it("/healthz", async () => {
        assert.deepEqual(await world.node("healthz"), { status: 200, text: "ok" });
    });

    it("/pods: the pods that it runs", async () => {
        const { status, text } = await world.node("pods");
        assert.equal(status, 200, text);
        const list = JSON.parse(text) as { kind: string; apiVersion: string; items: Pod[] };
        assert.deepEqual([list.apiVersion, list.kind], ["v1", "PodList"]);
        const ours = list.items.find(({ metadata }) => metadata.uid === pod.metadata.uid);
        assert.deepEqual(
            [ours?.metadata.namespace, ours?.metadata.name, ours?.spec.containers.map(({ name }) => name)],
            ["api", "here", ["main"]],
        );
        assert.deepEqual(statusOf(ours as Pod)?.state?.running !== undefined, true);
    });

    it("/metrics and /metrics/resource: Prometheus' text format, with the kubelet's names", async () => {
        const labels = '{container="main",namespace="api",pod="here"}';
        const agent = await world.node("metrics");
        assert.equal(agent.status, 200, agent.text);
        const metrics = samples(agent.text);
        assert.equal(metrics.get(`kubelet_node_name{node="${given.nodeName}"}`), 1);
        assert.equal(metrics.get("kubelet_running_pods"), 1);
        assert.equal(metrics.get('kubelet_running_containers{container_state="running"}'), 1);
        const resource = await world.node("metrics/resource");
        assert.equal(resource.status, 200, resource.text);
        const usage = samples(resource.text);
        const memory = usage.get(`container_memory_working_set_bytes${labels}`) ?? 0;
        assert.ok(memory >= 8 * 2 ** 20 && memory < 16 * 2 ** 20, `${memory} bytes`);
        assert.equal(usage.get('pod_memory_working_set_bytes{namespace="api",pod="here"}'), memory);
        assert.ok((usage.get(`container_cpu_usage_seconds_total${labels}`) ?? 0) > 0);
        assert.ok((usage.get("node_memory_working_set_bytes") ?? 0) > memory);
        assert.ok((usage.get("node_cpu_usage_seconds_total") ?? 0) > 0);
        assert.equal(usage.get("resource_scrape_error"), 0);
    });

    it("/stats/summary", async () => {
        interface Summary {
            node: {
                nodeName: string;
                cpu: { usageCoreNanoSeconds: number };
                memory: { workingSetBytes: number };
            };
            pods: {
                podRef: { name: string; namespace: string; uid: string };
                containers: { name: string; memory: { workingSetBytes: number } }[];
            }[];
        }
        const { status, text } = await world.node("stats/summary");
        assert.equal(status, 200, text);
        const summary = JSON.parse(text) as Summary;
        assert.equal(summary.node.nodeName, given.nodeName);
        assert.ok(summary.node.cpu.usageCoreNanoSeconds > 0);
        assert.ok(summary.node.memory.workingSetBytes > 0);
        assert.deepEqual(
            summary.pods.map(({ podRef, containers }) => [podRef, containers.map(({ name }) => name)]),
            [[{ name: "here", namespace: "api", uid: pod.metadata.uid }, ["main"]]],
        );
        const { workingSetBytes } = summary.pods[0].containers[0].memory;
        assert.ok(workingSetBytes >= 8 * 2 ** 20 && workingSetBytes < 16 * 2 ** 20);
    });

    it("answers 401 to who has no certificate", async () => {
        const options = { host: given.nodeIp, port: given.port, path: "/pods", rejectUnauthorized: false };
        const answer = await new Promise((resolve, reject) => {
            const take = (response: IncomingMessage) => {
                response.resume();
                resolve(response.statusCode);
            };
            https.get({ ...options, agent: false }, take).on("error", reject);
        });
        assert.equal(answer, 401);
    });

    for (const [what, query, status, words] of [
        ["exec", "exec?command=sh&stdout=1", 501, /exec: .*WebAssembly/],
        ["attach", "attach?stdout=1", 501, /attach: .*module/],
        ["portforward", "portforward?ports=80", 400, /port-forward: .*no port to forward to/],
    ] as const) {
        it(`${what}: ${status}, and why`, async () => {
            const answer = await world.api.request(
                "POST",
                `/api/v1/namespaces/api/pods/here/${query}`,
                undefined,
                {
                    connection: "Upgrade",
                    upgrade: "SPDY/3.1",
                    "x-stream-protocol-version":
                        what === "portforward" ? "portforward.k8s.io" : "v4.channel.k8s.io",
                },
            );
            assert.equal(answer.status, status, answer.text);
            assert.match(answer.text, words);
        });
    }

    it("kubectl exec says why", async () => {
        const exec = await world.kubectl(["exec", "--namespace=api", "here", "--", "sh"]);
        assert.equal(exec.exitCode, 1);
        assert.match(exec.stderr, /exec: a WebAssembly module/);
    });

    it("an ephemeral container is not run, and an event says why", async () => {
        const debug = await world.kubectl([
            ...[
                "debug",
                "--namespace=api",
                "here",
                "--image=busybox",
                "--container=debugger",
                "--attach=false",
            ],
        ]);
        assert.equal(debug.exitCode, 0, debug.stderr);
        const note = await world.until("an event about the ephemeral container", () =>
            world.eventsOf(pod).find(({ type, message }) => type === "Warning" && /ephemeral/.test(message)),
        );
        assert.match(note.message, /does not support ephemeral containers/);
    });
});
