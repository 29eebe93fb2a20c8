/** What is wrong with a configuration comes in one message. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { configKeys } from "../../../../components/stack/stackConfig";
import { imageReference } from "../fixtures";
import { read } from "./configUnderTest";
import { hello } from "./parts";

const label =
    'lower-case letters, digits, "-" and "." that begin and end with a letter or digit (for example "krustlet")';
const dnsLabel =
    'lower-case letters, digits and "-" that begin and end with a letter or digit (for example "hello-wasm")';
const otlpBase =
    'the base URL of a collector\'s OTLP over HTTP, without user name, query and /v1/traces, in its path only letters, digits and "._~%/-" (for example "http://localhost:4318")';
const origin = 'exactly one of "source", "file", "reference", "image" says where the module comes from;';
const workload = (more: object) => ({ workloads: [{ ...hello, ...more }] });

const serving = { ...hello, ports: [{ containerPort: 8080 }] };
const alone = "pods that serve have their node's address, where a port is one's alone; give each its own";
const tooMany = (pods: number, there: string) =>
    `${pods} pods that serve at port 8080 need as many addresses of nodes, and there ${there}: each has its node's own, and more of them would wait; have fewer, or more nodes for them, or nodes with runtime "container", which give each pod an address`;

const refused: [Record<string, unknown>, string[]][] = [
    [{ verifyKubelets: "no" }, ['verifyKubelets: must be true or false, not "no"']],
    [
        { nodes: [{ certificateDurationSeconds: 599, certificateRenewalPercent: 96 }] },
        [
            "nodes[0].certificateDurationSeconds: must be a whole number from 600 to 31622400, not 599",
            "nodes[0].certificateRenewalPercent: must be a whole number from 1 to 95, not 96",
        ],
    ],
    [
        { nodes: [{ otlpEndpoint: "collector:4318", otlpSamplingRatio: 10 }] },
        [
            `nodes[0].otlpEndpoint: must be ${otlpBase}, not "collector:4318"`,
            "nodes[0].otlpSamplingRatio: must be a number from 0 to 1, not 10",
        ],
    ],
    [{ clusterNam: "x" }, ['clusterNam: is unknown; did you mean "clusterName"?']],
    [{ regsitryPort: 1 }, ['regsitryPort: is unknown; did you mean "registryPort"?']],
    [{ colour: "red" }, [`colour: is unknown; there are ${Object.keys(configKeys).join(", ")}`]],
    [{ clusterName: "My_Cluster" }, [`clusterName: must be ${label}, not "My_Cluster"`]],
    [{ clusterName: "-x" }, [`clusterName: must be ${label}, not "-x"`]],
    [{ clusterName: "x".repeat(50) }, ["clusterName: must have at most 49 characters, not 50"]],
    [{ clusterWaitSeconds: 0 }, ["clusterWaitSeconds: must be a whole number from 1 to 3600, not 0"]],
    [
        { clusterWaitSeconds: "soon" },
        ['clusterWaitSeconds: must be a whole number from 1 to 3600, not "soon"'],
    ],
    [{ registryPort: 65536 }, ["registryPort: must be a whole number from 1 to 65535, not 65536"]],
    [{ registryPort: "5001.5" }, ['registryPort: must be a whole number from 1 to 65535, not "5001.5"']],
    [
        { registryImage: "a b" },
        ['registryImage: must be the name of an image (for example "registry:3.1.2"), not "a b"'],
    ],
    [
        { registryAddress: "https://ghcr.io/you" },
        [
            'registryAddress: must be a registry, possibly with a path, without a scheme (for example "ghcr.io/you"), not "https://ghcr.io/you"',
        ],
    ],
    [
        { registryAddress: "ghcr.io", registryPlainHttp: "yes" },
        ['registryPlainHttp: must be true or false, not "yes"'],
    ],
    [
        { clusterNodes: [{ role: "control-plane" }, { role: "master" }] },
        ['clusterNodes[1].role: must be one of "control-plane", "worker", not "master"'],
    ],
    [{ nodes: "krustlet" }, ['nodes: must be a list, not "krustlet"']],
    [{ nodes: ["krustlet"] }, ['nodes[0]: must be an object, not "krustlet"']],
    [{ nodes: [{ prot: 1 }] }, ['nodes[0].prot: is unknown; did you mean "port"?']],
    [
        { nodes: [{ ip: "localhost" }] },
        ['nodes[0].ip: must be an IPv4 address (for example "172.18.0.1"), not "localhost"'],
    ],
    [{ nodes: [{ port: "3000" }] }, ['nodes[0].port: must be a whole number from 1 to 65535, not "3000"']],
    [{ nodes: [{ name: "A" }] }, [`nodes[0].name: must be ${label}, not "A"`]],
    [
        { nodes: [{ labels: { "a b": "c" } }] },
        ['nodes[0].labels: name "a b": must be a label\'s name (for example "example.com/zone"), not "a b"'],
    ],
    [{ nodes: [{ labels: { a: "b c" } }] }, ['nodes[0].labels.a: must be a label\'s value, not "b c"']],
    [
        { nodes: [{}, {}] },
        [
            'nodes[1].name: is "krustlet" again, as nodes[0].name is; give each node its own',
            "nodes[1].port: 3000 is taken by nodes[0]; give each node its own",
        ],
    ],
    [
        { nodes: [{ name: "krustlet-control-plane" }, { name: "krustlet-worker2", port: 3001 }] },
        ["control-plane", "worker2"].map(
            (own, index) =>
                `nodes[${index}].name: is "krustlet-${own}", which is kind's for a node of cluster "krustlet"; choose another name`,
        ),
    ],
    [
        { nodes: [{ name: "192.168.7.20" }] },
        [
            'nodes[0].name: is "192.168.7.20", but a certificate can name no host whose last part is a number; add a letter (for example "krustlet-1")',
        ],
    ],
    [
        { nodes: [{ stateDir: "/srv/a:b" }] },
        [
            'nodes[0].stateDir: must be a path without ":", which KUBECONFIG has between paths (for example "~/krustlet/node"), not "/srv/a:b"',
        ],
    ],
    [
        { nodes: [{ runtime: "container", ip: "10.0.0.1" }] },
        ["nodes[0].ip: is Docker's to give to a node in a container; leave it out"],
    ],
    [
        { cluster: "minikube", nodes: [{ runtime: "container" }] },
        [
            'nodes[0].runtime: "container" is for a kind cluster, and this stack has minikubeCluster; leave it out, and the node is a process',
        ],
    ],
    [
        { registryAddress: "localhost:5000/you", registryPlainHttp: true, nodes: [{ runtime: "container" }] },
        [
            "registryContainerName: is missing: nodes[0] is in a container, where localhost:5000/you is not this host's; name the registry's container",
        ],
    ],
    [{ nodes: [], ...workload({}) }, ["nodes: is empty, so nothing could run the workloads"]],
    [{ workloads: [{ name: "x" }] }, [`workloads[0]: ${origin} none is given`]],
    [workload({ file: "x.wasm" }), [`workloads[0]: ${origin} "source" and "file" are given`]],
    [{ workloads: [{ source: "x" }] }, ['workloads[0].name: is missing; for example "hello-wasm"']],
    [
        { workloads: [hello, hello] },
        ['workloads[1].name: is "hello-wasm" again, as workloads[0].name is; give each workload its own'],
    ],
    [workload({ name: "Hello" }), [`workloads[0].name: must be ${dnsLabel}, not "Hello"`]],
    [
        workload({ kind: "Cronjob" }),
        [
            'workloads[0].kind: must be one of "Pod", "Deployment", "Job", "CronJob", "DaemonSet", not "Cronjob"; did you mean "CronJob"?',
        ],
    ],
    [
        workload({ allowedDomains: ["catfact.ninja"] }),
        [
            'workloads[0].allowedDomains[0]: must be an origin; of "catfact.ninja": it does not begin with http:// or https://; give scheme://host or scheme://host:port (for example "https://catfact.ninja")',
        ],
    ],
    [
        workload({ volumes: [{ name: "data", mountPath: "/data", hostPath: "/srv/data" }] }),
        [
            'workloads[0].volumes[0].hostPath: "/srv/data" is not below a folder that node "krustlet" lets pods mount (it allows none); add it to the node\'s allowedHostPaths',
        ],
    ],
    [
        {
            nodes: [
                { name: "a", allowedHostPaths: ["/srv/"] },
                { name: "b", port: 3001, allowedHostPaths: ["/srv/dat"] },
            ],
            ...workload({ volumes: [{ name: "data", mountPath: "/data", hostPath: "/srv/data" }] }),
        },
        [
            'workloads[0].volumes[0].hostPath: "/srv/data" is not below a folder that node "b" lets pods mount (it allows /srv/dat); add it to the node\'s allowedHostPaths',
        ],
    ],
    [
        workload({ kind: "CronJob" }),
        ['workloads[0].schedule: is missing; for example "0 * * * *", each hour'],
    ],
    [
        workload({ kind: "Job", schedule: "@daily", wait: true, restartPolicy: "Always" }),
        [
            "workloads[0].schedule: only a CronJob has it, not a Job",
            'workloads[0].restartPolicy: must be one of "OnFailure", "Never", not "Always"',
        ],
    ],
    [workload({ replicas: 2 }), ["workloads[0].replicas: only a Deployment has it, not a Pod"]],
    [
        workload({ restartPolicy: "Allways" }),
        [
            'workloads[0].restartPolicy: must be one of "Always", "OnFailure", "Never", not "Allways"; did you mean "Always"?',
        ],
    ],
    [
        workload({ env: { "A=B": "x", "2FA": "", "my/var": "", "a b": "" } }),
        [
            'workloads[0].env: name "A=B": must be an environment variable\'s name of printable ASCII characters but "=" (for example "RUST_LOG"), not "A=B"',
        ],
    ],
    [
        workload({ envFrom: [{ configMap: "c", prefix: "ä" }] }),
        [
            'workloads[0].envFrom[0].prefix: must be an environment variable\'s name of printable ASCII characters but "=" (for example "RUST_LOG"), not "ä"',
        ],
    ],
    [
        workload({ kind: "Deployment", replicas: 2, ports: [{ containerPort: 8080 }] }),
        [`workloads[0].replicas: ${tooMany(2, "is 1")}`],
    ],
    [
        {
            nodes: [{ name: "a" }, { name: "b", port: 3001 }],
            workloads: [{ ...serving, kind: "DaemonSet" }],
        },
        [`workloads[0].kind: ${tooMany(2, "is 1")}`],
    ],
    [
        { workloads: [serving, { ...serving, name: "b", kind: "Deployment" }] },
        [`workloads[1].ports[0].containerPort: 8080 is workloads[0]'s: ${alone}`],
    ],
    [
        workload({ ports: [{ containerPort: 3000 }] }),
        [`workloads[0].ports[0].containerPort: 3000 is node "krustlet"'s own: ${alone}`],
    ],
    [
        {
            workloads: [
                { ...serving, service: { name: "web", type: "NodePort", nodePort: 30080 } },
                {
                    ...{ ...serving, name: "web", ports: [{ containerPort: 8081 }] },
                    service: { type: "NodePort", nodePort: 30080 },
                },
                {
                    ...serving,
                    name: "c",
                    namespace: "b",
                    ports: [{ containerPort: 8082 }],
                    service: { name: "web" },
                },
            ],
        },
        [
            'workloads[1].service.name: is "default/web" again, as workloads[0].service.name is; give each Service its own',
            "workloads[1].service.nodePort: is 30080 again, as workloads[0].service.nodePort is; give each Service its own",
        ],
    ],
    [
        { clusterPortMappings: [{ containerPort: 30080, hostPort: 5001, listenAddress: "0.0.0.0" }] },
        [
            "clusterPortMappings[0].hostPort: 5001 is taken by the local registry; give each port of the nodes its own",
        ],
    ],
    [workload({ args: "--once" }), ['workloads[0].args: must be a list, not "--once"']],
    [
        workload({ node: "krustled" }),
        ['workloads[0].node: no node of this stack is named "krustled"; did you mean "krustlet"?'],
    ],
    [
        { workloads: [{ name: "x", image: imageReference.replace("@", ":v1 @") }] },
        [
            `workloads[0].image: must be a reference by digest (for example "ghcr.io/you/hello-wasm@sha256:…", 64 hex digits), not "localhost:5001/hello-wasm:v1 @sha256:${"a".repeat(64)}"`,
        ],
    ],
    [
        { clusterName: "A", registryPort: 0, nodes: [{ port: 0 }], typo: "" },
        [
            `typo: is unknown; there are ${Object.keys(configKeys).join(", ")}`,
            `clusterName: must be ${label}, not "A"`,
            "registryPort: must be a whole number from 1 to 65535, not 0",
            "nodes[0].port: must be a whole number from 1 to 65535, not 0",
        ],
    ],
];
for (const [config, problems] of refused) {
    test(`refused: ${JSON.stringify(config).slice(0, 90)}`, () => {
        const count = problems.length === 1 ? "1 problem" : `${problems.length} problems`;
        const message = [`The configuration has ${count}:`, ...problems.map((one) => `  - ${one}`)].join(
            "\n",
        );
        assert.throws(() => read(config), { message });
    });
}
