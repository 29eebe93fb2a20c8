import assert from "node:assert/strict";
import { describe, it } from "node:test";
import type { ConnectRegistryInput, PullSecretInput } from "../../../../steps/contract";
import type { Container } from "../../../../steps/lib/docker";
import {
    connectedByUs,
    hostsFiles,
    mayDisconnect,
    nodesOfOthers,
} from "../../../../steps/registry/container/hosting";
import { noRegistry, otherProtocol, volumeFaults } from "../../../../steps/host/preflightProblems";
import { isOwn, pullSecret } from "../../../../steps/registry/logins/pullSecret";
import { accessOptions, byDigest } from "../../../../steps/lib/wasmOci";

const input: ConnectRegistryInput = {
    clusterName: "wasm",
    owner: "krustlet-stack/dev",
    network: "kind",
    containerName: "reg",
    containerPort: 5000,
    address: "localhost:5001",
};

function container(
    labels: Record<string, string>,
    networks: Container["NetworkSettings"]["Networks"],
): Container {
    return {
        Id: "1",
        Name: "/reg",
        Config: { Image: "registry", Labels: labels },
        State: { Running: true },
        HostConfig: { NetworkMode: "bridge" },
        Mounts: [],
        NetworkSettings: { Networks: networks, Ports: {} },
    };
}

describe("what a node is told of a registry", () => {
    it("is the same under both of its names", () => {
        const content = [
            "# The registry of krustlet-stack/dev, by krustlet-stack.",
            'server = "http://reg:5000"',
            "",
            '[host."http://reg:5000"]',
            '  capabilities = ["pull", "resolve"]',
            "",
        ].join("\n");
        assert.deepEqual(hostsFiles(input), {
            "/etc/containerd/certs.d/localhost:5001/hosts.toml": content,
            "/etc/containerd/certs.d/reg:5000/hosts.toml": content,
        });
    });
});

describe("a registry's container leaves the network", () => {
    const ours = container({}, { kind: { Aliases: [connectedByUs, "1"] } });
    const node = (cluster: string) => container({ "io.x-k8s.kind.cluster": cluster }, { kind: {} });
    const cases: [string, Container, boolean, boolean][] = [
        ["when it is there by our doing", ours, false, true],
        ["not when another cluster needs it", ours, true, false],
        ["not when somebody else connected it", container({}, { kind: { Aliases: ["reg"] } }), false, false],
        ["not when it has no other name there", container({}, { kind: { Aliases: null } }), false, false],
        ["not when it is not there", container({}, { bridge: {} }), false, false],
    ];
    for (const [what, registry, isNeeded, leaves] of cases) {
        it(what, () => {
            assert.equal(mayDisconnect(registry, input.network, isNeeded), leaves);
        });
    }

    const others: [string, Container[], Container[]][] = [
        ["has no other cluster's nodes when ours alone is on it", [ours, node("wasm")], []],
        ["has none when the cluster has gone", [ours], []],
        ["has those of another cluster", [ours, node("wasm"), node("other")], [node("other")]],
    ];
    for (const [what, onNetwork, expected] of others) {
        it(what, () => {
            assert.deepEqual(nodesOfOthers(onNetwork, input.clusterName), expected);
        });
    }
});

describe("the volume of a registry's data", () => {
    const volume = (Labels: Record<string, string> | null) => ({ Name: "reg-data", Labels });
    it("may be its stack's own", () => {
        assert.deepEqual(volumeFaults(volume({ "krustlet-stack.owner": "p/s" }), "p/s"), []);
    });
    for (const [why, labels] of [
        ["belongs to p/t", { "krustlet-stack.owner": "p/t" }],
        ["was not made by this stack", null],
    ] as const) {
        it(`may not be one that ${why}`, () => {
            assert.deepEqual(volumeFaults(volume(labels), "p/s"), [
                `LocalRegistry.keepData: a volume "reg-data" exists and ${why}; choose another containerName, or remove it with \`docker volume rm reg-data\` if nobody needs it`,
            ]);
        });
    }
});

describe("a registry that speaks another protocol", () => {
    const cases: [boolean, string, string][] = [
        [true, "HTTP 400", "; perhaps it speaks HTTPS: set registryPlainHttp to false"],
        [
            false,
            "received corrupt message of type InvalidContentType",
            "; perhaps it speaks plain HTTP: set registryPlainHttp to true",
        ],
        [false, "HTTP 400", ""],
        [true, "connect ECONNREFUSED", ""],
    ];
    for (const [plainHttp, answer, advice] of cases) {
        it(`${answer}, plain HTTP ${plainHttp}`, () => {
            assert.equal(otherProtocol(plainHttp, answer), advice);
        });
    }
});

it("what answers is no registry", () => {
    const said =
        "Registry: ghcr.io does not answer as a registry (HTTP 400; expected 200 or 401 at /v2/); check its name and the network";
    assert.equal(noRegistry("ghcr.io", false, 400), said);
    assert.equal(
        noRegistry("ghcr.io", true, 400),
        `${said}; perhaps it speaks HTTPS: set registryPlainHttp to false`,
    );
});

describe("a pull Secret", () => {
    const secretInput: PullSecretInput = {
        kubeconfigFile: "~/kubeconfig",
        owner: "krustlet-stack/dev",
        namespace: "apps",
        name: "pull",
        registry: "ghcr.io",
        fingerprint: "x",
    };
    const secret = pullSecret(secretInput, { "ghcr.io": { auth: "bWU6cA==" } });
    it("holds the logins as a kubelet wants them", () => {
        assert.equal(secret.type, "kubernetes.io/dockerconfigjson");
        assert.deepEqual(
            { ...secret.metadata, labels: {} },
            {
                name: "pull",
                namespace: "apps",
                labels: {},
                annotations: {
                    "krustlet-stack/owner": "krustlet-stack/dev",
                    "krustlet-stack/registry": "ghcr.io",
                },
            },
        );
        assert.deepEqual(JSON.parse(Buffer.from(secret.data[".dockerconfigjson"], "base64").toString()), {
            auths: { "ghcr.io": { auth: "bWU6cA==" } },
        });
    });
    it("is known by its label and its type", () => {
        const other = { owner: "krustlet-stack/other" };
        assert.equal(isOwn(secret, secretInput), true);
        assert.equal(isOwn(secret, other), false);
        assert.equal(isOwn({ type: secret.type, metadata: {} }, secretInput), false);
        assert.equal(isOwn({ ...secret, type: "Opaque" }, secretInput), false);
    });
});

describe("wasm-oci", () => {
    it("is told how to speak to registries", () => {
        assert.deepEqual(accessOptions({ insecureRegistries: [] }), []);
        assert.deepEqual(
            accessOptions({
                insecureRegistries: ["a:1", "b:2"],
                trustedCaFile: "/ca.pem",
                dockerConfigFile: "/x",
            }),
            ["--plain-http=a:1", "--plain-http=b:2", "--ca-file=/ca.pem", "--registry-config=/x"],
        );
    });
    const digest = `sha256:${"a".repeat(64)}`;
    for (const [reference, named] of [
        ["localhost:5001/a/b:v1", `localhost:5001/a/b@${digest}`],
        ["ghcr.io/a:v1", `ghcr.io/a@${digest}`],
        [`localhost:5001/a@sha256:${"b".repeat(64)}`, `localhost:5001/a@${digest}`],
        ["localhost:5001/a", `localhost:5001/a@${digest}`],
    ]) {
        it(`${reference} by digest`, () => {
            assert.equal(byDigest(reference, digest), named);
        });
    }
});
