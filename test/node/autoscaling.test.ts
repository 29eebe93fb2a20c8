/** What a metrics-server makes of the node, for people and for autoscalers. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { load } from "../stack/load";
import { isReady, serving } from "./cases/serving";
import { pathOf, type KubeObject } from "./lib/api";
import { withMetricsServer } from "./lib/metricsServer";
import { podOf } from "./lib/pod";
import { underTest } from "./underTest";
import { World } from "./lib/world";

/** Nobody else in the suite listens there. */
const PORT = 18196;
/** What a pod asks for, in thousandths of a processor, and how much of that it may take on average, in percent. */
const [REQUESTED, TARGET] = [20, 50];

interface Autoscaler extends KubeObject {
    status?: {
        desiredReplicas: number;
        /** Empty ones where nothing is known. */
        currentMetrics?: {
            resource?: { name: string; current: { averageUtilization?: number; averageValue: string } };
        }[];
        conditions?: { type: string; status: string; reason: string; message: string }[];
    };
}

describe("a metrics-server", { timeout: 400_000 }, () => {
    let world: World;
    let folder: string;
    before(async () => {
        folder = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-test-"));
        world = await World.open("autoscaling");
    });
    after(async () => {
        // Else they would be made anew.
        await world.api.delete(pathOf("Deployment", world.namespace, "scaled"));
        await world.close();
        await fs.rm(folder, { recursive: true, force: true });
    });

    /** What `kubectl top` prints, by name: the columns after it. */
    async function top(...what: string[]): Promise<Map<string, string[]>> {
        const argv = [
            "kubectl",
            `--kubeconfig=${underTest().kubeconfigFile}`,
            "top",
            ...what,
            "--no-headers",
        ];
        const { stdout } = await run(argv, { allowFailure: true, timeoutSeconds: 30 });
        const lines = stdout.split("\n").filter(Boolean);
        return new Map(
            lines.map((line) => line.trim().split(/\s+/)).map(([name, ...columns]) => [name, columns]),
        );
    }

    /** So many pods that answer, until an autoscaler wants another number. */
    async function deploy(): Promise<void> {
        const resources = { requests: { cpu: `${REQUESTED}m`, memory: "16Mi" } };
        const { metadata, spec } = podOf(
            world.namespace,
            "scaled",
            serving(PORT, { resources }),
            underTest().node.nodeName,
        );
        await world.make({
            kind: "Deployment",
            metadata: { name: "scaled" },
            spec: {
                replicas: 1,
                selector: { matchLabels: metadata.labels },
                template: { metadata: { labels: metadata.labels }, spec },
            },
        } as KubeObject);
        await world.make({
            kind: "HorizontalPodAutoscaler",
            metadata: { name: "scaled" },
            spec: {
                scaleTargetRef: { apiVersion: "apps/v1", kind: "Deployment", name: "scaled" },
                minReplicas: 1,
                maxReplicas: 3,
                metrics: [
                    ["cpu", { type: "Utilization", averageUtilization: TARGET }],
                    ["memory", { type: "AverageValue", averageValue: "1Gi" }],
                ].map(([name, target]) => ({ type: "Resource", resource: { name, target } })),
            },
        } as KubeObject);
    }

    const pods = () =>
        world.pods.all().filter((pod) => pod.metadata.namespace === world.namespace && isReady(pod));
    const autoscaler = () =>
        world.api.get<Autoscaler>(pathOf("HorizontalPodAutoscaler", world.namespace, "scaled"));

    it("knows what the node and its pods take, and has an autoscaler make more of a Deployment's where their processor time asks for it", async () => {
        await deploy();
        const first = await world.until("a pod that is ready", () => pods().at(0));
        await withMetricsServer(world, folder, async () => {
            const log = () => fs.readFile(path.join(folder, "metrics-server.log"), "utf8");
            const explain = async () =>
                `${JSON.stringify((await autoscaler()).status, null, 1)}\n${(await log()).slice(-2000)}`;
            const told = await world.until(
                "what kubectl top says of the pod",
                async () => (await top("pods", `--namespace=${world.namespace}`)).get(first.metadata.name),
                { seconds: 90, explain },
            );
            assert.match(told.join(" "), /^\d+m \d+Mi$/);
            const node = (await top("nodes")).get(underTest().node.nodeName) ?? [];
            assert.match(node.join(" "), /^\d+m \d+% \d+Mi \d+%$/);

            // It is asked for no more than one pod by what it does without load, and for as many as there may be with this.
            const known = await world.until(
                "an autoscaler that knows both",
                async () => {
                    const { status } = await autoscaler();
                    const current = status?.currentMetrics?.filter(({ resource }) => resource !== undefined);
                    return current?.length === 2 ? status : undefined;
                },
                { seconds: 90, explain },
            );
            const [cpu, memory] = ["cpu", "memory"].map(
                (name) =>
                    known.currentMetrics?.find(({ resource }) => resource?.name === name)?.resource?.current,
            );
            assert.ok((cpu?.averageUtilization ?? 100) < TARGET, JSON.stringify(known));
            assert.match(memory?.averageValue ?? "", /^\d/, JSON.stringify(known));
            assert.equal(known.desiredReplicas, 1);
            const stop = load(`http://${first.status.podIP}:${PORT}/you`, 200, "Hello, you!");
            try {
                // Where pods have no addresses of their own only one of them gets the port: what is asked for is all that shows here.
                const deployment = pathOf("Deployment", world.namespace, "scaled");
                const wanted = async () =>
                    (await world.api.get<KubeObject & { spec: { replicas: number } }>(deployment)).spec
                        .replicas;
                await world.until(
                    "three pods to be asked for",
                    async () => (await wanted()) === 3 || undefined,
                    {
                        seconds: 120,
                        explain,
                    },
                );
            } finally {
                assert.deepEqual((await stop()).failed, {});
            }
        });
    });
});
