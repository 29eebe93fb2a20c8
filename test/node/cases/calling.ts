// Programs that ask others by the names of their Services, and what no Service leads to.
import type { KubeObject } from "../lib/api";
import { becomes, runCase, slug, type Story } from "../runCase";
import { underTest } from "../underTest";
import { isReady, ready, serving } from "./serving";

/** Nobody else in the suite listens there. */
const PORTS = { called: 18190, unready: 18191 };

/** What a module and a component print. */
type Answer = readonly [module: RegExp, component: RegExp];
const ANSWERED: Answer = [/^200 Hello, you!\n/, /^200 Hello, you!\n/];
const DENIED: Answer = [/^no answer: Wasi error 7\n$/, /^no answer: .*HttpRequestDenied.*\n$/];
const PROHIBITED: Answer = [/^no answer: Wasi error 7\n$/, /^no answer: .*DestinationIpProhibited.*\n$/];
const REFUSED: Answer = [/^no answer: Wasi error 11\n$/, /^no answer: .*ConnectionRefused.*\n$/];
const UNKNOWN: Answer = [/^no answer: Wasi error 11\n$/, /^no answer: .*DnsError.*\n$/];

/** A request by name, and what comes of it. */
interface Row {
    url: string;
    /** Default: that of the URL. */
    allowed?: string;
    answer: Answer;
    /** Of the event that says why. */
    why?: RegExp;
}

const rows = (namespace: string): Row[] => [
    { url: `http://called.${namespace}`, answer: ANSWERED },
    { url: "http://called", answer: ANSWERED },
    { url: `http://called.${namespace}.svc:81`, answer: ANSWERED },
    { url: `http://called.${namespace}.svc.cluster.local`, answer: ANSWERED },
    { url: `http://called-headless.${namespace}`, answer: ANSWERED },
    { url: `http://called.${namespace}`, allowed: `http://called.${namespace}.svc`, answer: DENIED },
    {
        url: `http://called.${namespace}:82`,
        answer: REFUSED,
        why: /is Service .*\/called, which is not reached: it has no TCP port 82$/,
    },
    { url: `http://unready.${namespace}`, answer: REFUSED, why: /none of its endpoints is ready$/ },
    { url: `http://external.${namespace}`, answer: UNKNOWN, why: /it stands for a name outside the cluster/ },
    { url: `http://absent.${namespace}.svc`, answer: UNKNOWN, why: /there is no such Service$/ },
    // The API server, whose endpoints no selector has found.
    { url: "https://kubernetes.default.svc", answer: PROHIBITED },
    { url: `http://cloud.${namespace}`, answer: PROHIBITED },
    { url: `http://written.${namespace}`, answer: PROHIBITED },
    // A pod's address is the node's; at the other port listens the node itself.
    { url: `http://node.${namespace}`, answer: PROHIBITED },
];

type Ports = { name: string; port: number; targetPort?: string | number }[];

function service(name: string, app: string | undefined, more: object, ports?: Ports): KubeObject {
    const selector = app === undefined ? undefined : { app };
    const spec = { selector, ports: ports ?? [{ name: "http", port: 80, targetPort: "http" }], ...more };
    return { kind: "Service", metadata: { name }, spec } as KubeObject;
}

/** As nobody but its author says. */
function written(name: string, address: string, port: number): KubeObject {
    return {
        apiVersion: "discovery.k8s.io/v1",
        kind: "EndpointSlice",
        metadata: { name: `${name}-1`, labels: { "kubernetes.io/service-name": name } },
        addressType: "IPv4",
        ports: [{ name: "http", port, protocol: "TCP" }],
        endpoints: [{ addresses: [address], conditions: { ready: true } }],
    } as KubeObject;
}

export const callingStories: readonly Story[] = [
    {
        name: "calling: a program reaches what is ready behind a Service that its pod names, and nothing by a Service that it could not reach",
        async run(world) {
            const { node, modules } = underTest();
            const [called, unready] = [`on-${PORTS.called}`, `on-${PORTS.unready}`];
            const twice: Ports = [80, 81].map((port) => ({
                name: `http-${port}`,
                port,
                targetPort: "http",
            }));
            const objects = [
                service("called", called, {}, twice),
                service("called-headless", called, { clusterIP: "None" }),
                service("unready", unready, {}),
                service("external", undefined, { type: "ExternalName", externalName: "localhost" }),
                service("cloud", undefined, {}),
                written("cloud", "168.63.129.16", 80),
                service("written", undefined, {}),
                written("written", node.nodeIp, PORTS.called),
                service("node", called, {}, [{ name: "http", port: 80, targetPort: node.port }]),
            ];
            for (const object of objects) await world.make(object);
            const probe = { httpGet: { path: "/a.b", port: "http" }, periodSeconds: 1, failureThreshold: 1 };
            const pods = await Promise.all([
                world.start("called", serving(PORTS.called)),
                world.start("called-unready", serving(PORTS.unready, { readinessProbe: probe })),
            ]);
            await world.untilPod(pods[0], "Ready", isReady);
            await becomes(world, pods[1], { phase: "Running", containers: { main: { ready: false } } });
            for (const name of ["called", "called-headless", "node"]) await ready(world, name);
            const cases = rows(world.namespace).flatMap(({ url, allowed = url, answer, why }, index) =>
                [modules.probe, modules.component].map(({ image }, kind) => {
                    const name = `calls-${index}-${["module", "component"][kind]}`;
                    return runCase(world, {
                        name,
                        annotations: { "alpha.wasi.krustlet.dev/allowed-domains": JSON.stringify([allowed]) },
                        args: ["get", `${url}/you`],
                        main: { image },
                        expect: {
                            phase: "Succeeded",
                            log: answer[kind],
                            notes: why && [new RegExp(`^Warning ServiceNotReached: .*${why.source}`)],
                        },
                    }).catch((error: unknown) => {
                        throw new Error(`${slug(name)}: ${url}`, { cause: error });
                    });
                }),
            );
            await Promise.all(cases);
            for (const pod of pods) await world.remove(pod);
            for (const pod of pods) await world.untilGone(pod, Date.now());
        },
    },
];
