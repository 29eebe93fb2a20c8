// Programs that answer requests: reached through the API server, found by a Service, probed, and ended with what is under way.
import assert from "node:assert/strict";
import { pathOf, type KubeObject } from "../lib/api";
import type { Container, Pod, PodParts } from "../lib/pod";
import { becomes, type Story } from "../runCase";
import { underTest } from "../underTest";
import { withCollector } from "../lib/collector";
import type { World } from "../lib/world";

interface EndpointSlice extends KubeObject {
    endpoints?: { addresses: string[]; conditions: { ready?: boolean } }[];
    ports?: { port: number }[];
}

/** Nobody else in the suite listens there. */
const PORTS = {
    reached: 18180,
    conflict: 18181,
    unready: 18182,
    refused: 18183,
    counting: 18184,
    traced: 18185,
};

/** A pod of workloads/hello-http. */
export function serving(port: number, main: Partial<Container> = {}): PodParts {
    return {
        labels: { app: `on-${port}` },
        main: {
            image: underTest().modules.helloHttp.image,
            ports: [{ name: "http", containerPort: port }],
            ...main,
        },
        spec: { restartPolicy: "Always", terminationGracePeriodSeconds: 3 },
    };
}

const probe = (path: string) => ({ httpGet: { path, port: "http" }, periodSeconds: 1, failureThreshold: 1 });

/** What the pod answers, as the API server passes it on. */
function ask(world: World, pod: Pod, port: number, path: string): Promise<string> {
    return world.api.text(`${pathOf("Pod", world.namespace, `${pod.metadata.name}:${port}`)}/proxy${path}`);
}

export const isReady = (pod: Pod) =>
    pod.status.conditions?.some(({ type, status }) => type === "Ready" && status === "True") === true;

/** Waits until a Service has endpoints that are ready: those, and their port. */
export function ready(world: World, service: string) {
    const slices = `/apis/discovery.k8s.io/v1/namespaces/${world.namespace}/endpointslices`;
    const query = `labelSelector=kubernetes.io/service-name%3D${service}`;
    return world.until(`an endpoint of the Service ${service}`, async () => {
        const { items } = await world.api.get<{ items: EndpointSlice[] }>(`${slices}?${query}`);
        const found = items[0]?.endpoints?.filter(({ conditions }) => conditions.ready);
        return found?.length ? { endpoints: found, port: items[0].ports?.[0]?.port } : undefined;
    });
}

export const servingStories: readonly Story[] = [
    {
        name: "serving: a pod is reached by the API server and a Service at its node's address",
        async run(world) {
            const port = PORTS.reached;
            await world.make({
                kind: "Service",
                metadata: { name: "hello-http" },
                spec: { selector: { app: `on-${port}` }, ports: [{ port: 80, targetPort: "http" }] },
            } as KubeObject);
            const parts = serving(port, {
                env: [
                    { name: "GREETING", valueFrom: { fieldRef: { fieldPath: "status.podIP" } } },
                ] as Container["env"],
                startupProbe: probe("/"),
                readinessProbe: probe("/"),
                livenessProbe: { tcpSocket: { port: "http" }, periodSeconds: 1 },
            });
            const pod = await world.start("serving-reached", parts);
            const now = await world.untilPod(pod, "Ready", isReady);
            assert.equal(now.status.podIP, now.status.hostIP);
            assert.equal(await ask(world, pod, port, "/you"), `${now.status.podIP}, you!\n`);
            const { endpoints, port: theirs } = await ready(world, "hello-http");
            assert.deepEqual([endpoints[0].addresses, theirs], [[now.status.podIP], port]);
            const { text } = await world.node("metrics");
            const counted = new RegExp(
                `^krustlet_http_requests_total\\{.*pod="serving-reached",code="200"\\} [1-9]`,
                "m",
            );
            assert.match(text, counted);
            await world.remove(pod);
            await world.untilGone(pod, Date.now());
        },
    },
    {
        name: "serving: a component of WASI 0.3, whose instances answer many requests each",
        async run(world) {
            const port = PORTS.counting;
            const image = underTest().modules.visits.image;
            const pod = await world.start("serving-visits", serving(port, { image }));
            await world.untilPod(pod, "Ready", isReady);
            const visits: number[] = [];
            for (let request = 0; request < 20; request++) {
                const text = await ask(world, pod, port, "/");
                assert.match(text, /^visit \d+\n$/);
                visits.push(Number(text.slice("visit ".length)));
            }
            assert.equal(visits[0], 1);
            // An instance that nobody asked for some seconds ends, so that another one may have begun to count.
            assert.ok(Math.max(...visits) > 1, visits.join(" "));
            await world.remove(pod);
            await world.untilGone(pod, Date.now());
        },
    },
    {
        name: "serving: a request of a trace is a span of its container, which a collector gets",
        async run(world) {
            const port = PORTS.traced;
            const { nodeName, otlpEndpoint = "" } = underTest().node;
            const pod = await world.start("serving-traced", serving(port));
            const now = await world.untilPod(pod, "Ready", isReady);
            const [traceId, parentSpanId] = ["4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"];
            await withCollector(otlpEndpoint, async (spans) => {
                const headers = { traceparent: `00-${traceId}-${parentSpanId}-01` };
                const answer = await fetch(`http://${now.status.podIP}:${port}/you`, { headers });
                assert.equal(await answer.text(), "Hello, you!\n");
                const [span] = await world.until("a span", () => (spans.length > 0 ? spans : undefined));
                assert.deepEqual(
                    { ...span, spanId: "", attributes: {} },
                    {
                        ...{ traceId, spanId: "", parentSpanId, name: "GET", kind: 2 },
                        attributes: {},
                    },
                );
                const known = {
                    "service.name": "serving-traced",
                    "k8s.namespace.name": world.namespace,
                    "k8s.pod.name": "serving-traced",
                    "k8s.pod.uid": pod.metadata.uid,
                    "k8s.container.name": "main",
                    "k8s.node.name": nodeName,
                    "url.path": "/you",
                    "http.response.status_code": "200",
                    "server.port": String(port),
                };
                const found = Object.keys(known).map((key) => [key, span.attributes[key]]);
                assert.deepEqual(Object.fromEntries(found), known);
                const { text } = await world.node("metrics");
                assert.match(text, /^krustlet_traces_exported_spans_total [1-9]/m);
            });
            await world.remove(pod);
            await world.untilGone(pod, Date.now());
        },
    },
    {
        name: "serving: a port is one pod's alone, and the next one gets it when it is free",
        async run(world) {
            const port = PORTS.conflict;
            const one = await world.start("serving-one", serving(port));
            await world.untilPod(one, "Ready", isReady);
            const two = await world.start("serving-two", serving(port));
            await becomes(world, two, {
                phase: "Pending",
                notes: [new RegExp(`port ${port} is ${world.namespace}/serving-one/main's`)],
            });
            await world.remove(one);
            await world.untilPod(two, "Ready", isReady);
            await world.remove(two, 0);
        },
    },
    {
        name: "serving: a pod that is not ready is none of its Service's, and one that is not alive starts again",
        async run(world) {
            const port = PORTS.unready;
            const pod = await world.start(
                "serving-unready",
                serving(port, { readinessProbe: probe("/a.b") }),
            );
            await becomes(world, pod, {
                phase: "Running",
                conditions: { Ready: "False ContainersNotReady" },
                notes: [/^Warning Unhealthy: Readiness probe failed: HTTP probe failed with statuscode: 404/],
            });
            await world.remove(pod);
            await world.untilGone(pod, Date.now());
            const unwell = await world.start(
                "serving-unwell",
                serving(port, { livenessProbe: probe("/a.b") }),
            );
            await world.untilPod(
                unwell,
                "started again",
                ({ status }) => (status.containerStatuses?.[0]?.restartCount ?? 0) > 0,
            );
            const notes = [/^Normal Killing: Container main failed liveness probe, will be restarted/];
            await becomes(world, unwell, { notes });
            await world.remove(unwell, 0);
        },
    },
    {
        name: "serving: a program that runs to its end has no probes",
        async run(world) {
            const pod = await world.start("serving-refused", {
                args: ["print", "never"],
                main: { readinessProbe: { tcpSocket: { port: PORTS.refused } } },
            });
            await becomes(world, pod, {
                phase: "Pending",
                notes: [/its program answers no requests/],
            });
            await world.remove(pod, 0);
        },
    },
];
