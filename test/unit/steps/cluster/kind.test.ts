import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { KindClusterInput } from "../../../../steps/contract";
import { gatewayOf, type Container, type DockerHost } from "../../../../steps/lib/docker";
import * as kind from "../../../../steps/cluster/kind/kind";

const input: KindClusterInput = {
    name: "wasm",
    owner: "krustlet-stack/dev",
    waitSeconds: 60,
    kubeconfigFile: "~/wasm.kubeconfig",
    kubeadmConfigPatches: [],
    containerdConfigPatches: [],
};
/** What has controllers at work sooner, in every config. */
const quick =
    '{"kind":"ClusterConfiguration","controllerManager":{"extraArgs":{"kube-api-qps":"100","kube-api-burst":"200"}}}';
/** What makes the API server verify kubelets, in every config that does not say otherwise. */
const verifying =
    '{"kind":"ClusterConfiguration","apiServer":{"extraArgs":{"kubelet-certificate-authority":"/etc/kubernetes/pki/ca.crt"}}}';
/** What lets a node be told of registries, in every config. */
const registryHosts = [
    'version = 2\n[plugins."io.containerd.grpc.v1.cri".registry]\n  config_path = "/etc/containerd/certs.d"\n',
    'version = 3\n[plugins."io.containerd.cri.v1.images".registry]\n  config_path = "/etc/containerd/certs.d"\n',
];
const complete = { cgroupV1: false, lacksSysResource: false };

/** A container as kind makes it from a config. */
function container(config: string, change: Partial<Container> = {}): Container {
    const { nodes } = JSON.parse(config) as { nodes: { extraMounts: { containerPath: string }[] }[] };
    return {
        Id: "1",
        Name: "/wasm-control-plane",
        Config: { Image: "kindest/node", Labels: { "io.x-k8s.kind.role": "control-plane" } },
        State: { Running: true },
        HostConfig: { NetworkMode: "kind" },
        Mounts: [
            { Type: "volume", Name: "v", Destination: "/var" },
            ...nodes[0].extraMounts.map(({ containerPath }) => ({
                Type: "bind",
                Destination: containerPath,
            })),
        ],
        NetworkSettings: { Networks: { kind: {} }, Ports: {} },
        ...change,
    };
}

describe("facts of the host", () => {
    const docker: DockerHost = {
        id: "d",
        serverVersion: "28",
        cgroupVersion: "2",
        name: "here",
        kernelVersion: "6.1",
        securityOptions: [],
    };
    const here = { hostname: "here", kernel: "6.1", procStatus: "Name:\tnode\nCapBnd:\t000001ffffffffff\n" };
    const lacking = "CapBnd:\t000001fffeffffff\n";
    const cases: [string, DockerHost, typeof here, kind.HostFacts][] = [
        ["a complete host", docker, here, complete],
        ["cgroup v1", { ...docker, cgroupVersion: "1" }, here, { cgroupV1: true, lacksSysResource: false }],
        [
            "a missing capability",
            docker,
            { ...here, procStatus: lacking },
            { cgroupV1: false, lacksSysResource: true },
        ],
        ["a daemon elsewhere", { ...docker, name: "there" }, { ...here, procStatus: lacking }, complete],
        [
            "a daemon in a virtual machine",
            { ...docker, kernelVersion: "6.2" },
            { ...here, procStatus: lacking },
            complete,
        ],
        ["a system without /proc", docker, { ...here, procStatus: "" }, complete],
    ];
    for (const [what, daemon, around, facts] of cases) {
        it(what, () => {
            assert.deepEqual(kind.hostFacts(daemon, around), facts);
        });
    }
});

describe("the kind config", () => {
    it("has on a complete host just the patches that verify kubelets, and the one that has controllers at work sooner", () => {
        assert.deepEqual(JSON.parse(kind.kindConfig(input, complete)), {
            kind: "Cluster",
            apiVersion: "kind.x-k8s.io/v1alpha4",
            name: "wasm",
            nodes: [
                {
                    role: "control-plane",
                    extraMounts: [
                        {
                            hostPath: "/dev/null",
                            containerPath: "/var/lib/krustlet-stack/owner/krustlet-stack/dev",
                            readOnly: true,
                        },
                        {
                            hostPath: "/dev/null",
                            containerPath: "/var/lib/krustlet-stack/config/dad75121184365b0",
                            readOnly: true,
                        },
                    ],
                },
            ],
            kubeadmConfigPatches: [
                quick,
                verifying,
                '{"kind":"KubeletConfiguration","serverTLSBootstrap":true}',
            ],
            containerdConfigPatches: registryHosts,
        });
    });

    it("has the nodes that were asked for, each marked, and the ports at the first control plane", () => {
        const portMappings = [
            { containerPort: 30080, hostPort: 8080, listenAddress: "127.0.0.1", protocol: "TCP" as const },
        ];
        const nodes = (["worker", "control-plane", "control-plane"] as const).map((role) => ({ role }));
        const config = JSON.parse(kind.kindConfig({ ...input, nodes, portMappings }, complete)) as {
            nodes: { role: string; extraPortMappings?: object[]; extraMounts: object[] }[];
        };
        assert.deepEqual(
            config.nodes.map(({ role, extraPortMappings, extraMounts }) => [
                role,
                extraPortMappings,
                extraMounts.length,
            ]),
            [
                ["worker", undefined, 2],
                ["control-plane", portMappings, 2],
                ["control-plane", undefined, 2],
            ],
        );
    });

    it("has no patches of kubelets where they need not be verified", () => {
        const config = JSON.parse(kind.kindConfig({ ...input, verifyKubelets: false }, complete)) as Record<
            string,
            unknown
        >;
        assert.deepEqual(config.kubeadmConfigPatches, [quick]);
    });

    it("has the host's patches before the user's", () => {
        const given = { ...input, kubeadmConfigPatches: ["kind: A"], containerdConfigPatches: ["b = 1"] };
        const config = JSON.parse(
            kind.kindConfig(given, { cgroupV1: true, lacksSysResource: true }),
        ) as Record<string, unknown>;
        assert.deepEqual(config.kubeadmConfigPatches, [
            quick,
            verifying,
            '{"kind":"KubeletConfiguration","serverTLSBootstrap":true,"failCgroupV1":false,"featureGates":{"KubeletInUserNamespace":true}}',
            "kind: A",
        ]);
        assert.deepEqual(config.containerdConfigPatches, [
            ...registryHosts,
            'version = 2\n[plugins."io.containerd.grpc.v1.cri"]\n  restrict_oom_score_adj = true\n',
            'version = 3\n[plugins."io.containerd.cri.v1.runtime"]\n  restrict_oom_score_adj = true\n',
            "b = 1",
        ]);
    });

    it("asks for no more than cgroup v1 needs", () => {
        const config = JSON.parse(
            kind.kindConfig(input, { cgroupV1: true, lacksSysResource: false }),
        ) as Record<string, unknown>;
        assert.deepEqual(config.kubeadmConfigPatches, [
            quick,
            verifying,
            '{"kind":"KubeletConfiguration","serverTLSBootstrap":true,"failCgroupV1":false}',
        ]);
        assert.deepEqual(config.containerdConfigPatches, registryHosts);
    });
});

describe("whose cluster it is", () => {
    const config = kind.kindConfig(input, complete);

    it("is told by the mounts of its containers", () => {
        assert.equal(kind.ownerOfContainer(container(config)), "krustlet-stack/dev");
        assert.equal(kind.ownerOfContainer(container(config, { Mounts: [] })), undefined);
        assert.equal(kind.isOurs([container(config)], "krustlet-stack/dev"), true);
        assert.equal(kind.isOurs([container(config)], "krustlet-stack/prod"), false);
        assert.equal(
            kind.isOurs([container(config), container(config, { Mounts: [] })], "krustlet-stack/dev"),
            false,
        );
        assert.equal(kind.isOurs([], "krustlet-stack/dev"), true);
    });

    it("is not to be forged by an owner that goes on", () => {
        const other = kind.kindConfig({ ...input, owner: "krustlet-stack/dev/x" }, complete);
        assert.equal(kind.isOurs([container(other)], "krustlet-stack/dev"), false);
    });

    it("is told by the nodes: the load balancer of several control planes bears no mark", () => {
        const labels = { "io.x-k8s.kind.role": "external-load-balancer" };
        const balancer = container(config, {
            Mounts: [],
            Config: { Image: "kindest/haproxy", Labels: labels },
        });
        assert.equal(kind.isOurs([balancer, container(config)], "krustlet-stack/dev"), true);
        assert.equal(kind.isOurs([balancer, container(config)], "krustlet-stack/prod"), false);
        assert.equal(kind.isOurs([balancer], "krustlet-stack/dev"), false);
        assert.equal(kind.isMadeFrom([balancer, container(config)], config), true);
        assert.deepEqual(kind.nodeContainers([balancer, container(config)]).map(kind.nodeNameOf), [
            "wasm-control-plane",
        ]);
    });

    it("stands in the refusal, with what to do", () => {
        assert.equal(
            kind.notOurs("wasm", [container(config)], "a/b"),
            'KindCluster.name: a kind cluster "wasm" exists and belongs to krustlet-stack/dev, so a/b does not touch it; choose another name, ' +
                "or remove it with `kind delete cluster --name wasm` if nobody needs it",
        );
        assert.match(
            kind.notOurs("wasm", [container(config, { Mounts: [] })], "a/b"),
            /exists and was not made by this stack/,
        );
    });
});

describe("adoption", () => {
    const config = kind.kindConfig(input, complete);
    const cases: [string, Container[], string, boolean][] = [
        ["one of the same config", [container(config)], config, true],
        ["none", [], config, false],
        ["one that stands still", [container(config, { State: { Running: false } })], config, true],
        [
            "one of another image",
            [container(config)],
            kind.kindConfig({ ...input, image: "kindest/node:v1" }, complete),
            false,
        ],
        [
            "one of other patches",
            [container(config)],
            kind.kindConfig({ ...input, kubeadmConfigPatches: ["kind: A"] }, complete),
            false,
        ],
        [
            "one whose kubelets are not verified",
            [container(kind.kindConfig({ ...input, verifyKubelets: false }, complete))],
            config,
            false,
        ],
        // How long to wait and where to merge says nothing of what was made.
        [
            "one that another run waited longer for",
            [container(config)],
            kind.kindConfig({ ...input, waitSeconds: 9 }, complete),
            true,
        ],
    ];
    for (const [what, cluster, wanted, adopts] of cases) {
        it(`${adopts ? "adopts" : "does not adopt"} ${what}`, () => {
            assert.equal(kind.isMadeFrom(cluster, wanted), adopts);
        });
    }
});

describe("the host's address on a network", () => {
    const network = (...configs: { Subnet?: string; Gateway?: string }[]) => ({
        Name: "kind",
        IPAM: { Config: configs },
    });
    it("is the gateway", () => {
        assert.equal(gatewayOf(network({ Subnet: "172.18.0.0/16", Gateway: "172.18.0.1" })), "172.18.0.1");
    });
    it("is the IPv4 one, IPv6 first or not", () => {
        const six = { Subnet: "fc00:f853:ccd:e793::/64", Gateway: "fc00:f853:ccd:e793::1" };
        assert.equal(
            gatewayOf(network(six, { Subnet: "172.19.0.0/16", Gateway: "172.19.0.1" })),
            "172.19.0.1",
        );
        assert.equal(
            gatewayOf(network({ Subnet: "172.19.0.0/16", Gateway: "172.19.0.1" }, six)),
            "172.19.0.1",
        );
    });
    it("is the subnet's first address where Docker does not tell", () => {
        assert.equal(gatewayOf(network({ Subnet: "fc00::/64" }, { Subnet: "172.20.0.0/16" })), "172.20.0.1");
    });
    it("is missing on a network of IPv6 alone", () => {
        assert.throws(
            () => gatewayOf(network({ Subnet: "fc00::/64", Gateway: "fc00::1" })),
            /network kind has no IPv4 address/,
        );
    });
});

describe("kind's progress", () => {
    const cases: [string, string | undefined][] = [
        ['Creating cluster "wasm" ...', 'Creating cluster "wasm" ...'],
        [" \u2022 Starting control-plane \u{1F579}\uFE0F  ...", "Starting control-plane ..."],
        [" \u2713 Ensuring node image (kindest/node:v1) \u{1F5BC}", undefined],
        [" \u2717 Starting control-plane \u{1F579}\uFE0F", "Starting control-plane"],
        ["You can now use your cluster with:", undefined],
        ["", undefined],
    ];
    for (const [line, text] of cases) {
        it(JSON.stringify(line), () => {
            assert.equal(kind.progressOf(line), text);
        });
    }
});
