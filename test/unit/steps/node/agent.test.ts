import assert from "node:assert/strict";
import { homedir } from "node:os";
import { describe, it } from "node:test";
import type { NodeInput } from "../../../../steps/contract";
import * as agent from "../../../../steps/node/agent/agent";

const input: NodeInput = {
    kubeconfigFile: "/k",
    owner: "p/s",
    program: "krustlet-wasi",
    nodeName: "krustlet",
    nodeIp: "172.18.0.1",
    port: 3000,
    maxPods: 110,
    labels: {},
    insecureRegistries: [],
    stateDir: "/state",
    bootstrapFile: "/state/bootstrap.kubeconfig",
    bootstrapGroup: "system:bootstrappers:x",
    tokenTtlSeconds: 600,
};

describe("the agent's command line", () => {
    it("is Krustlet's, without secrets", () => {
        assert.deepEqual(agent.agentArgv("/bin/krustlet-wasi", input), [
            "/bin/krustlet-wasi",
            "--node-name=krustlet",
            "--hostname=krustlet",
            "--node-ip=172.18.0.1",
            "--addr=172.18.0.1",
            "--port=3000",
            "--max-pods=110",
            "--data-dir=/state/data",
            "--bootstrap-file=/state/bootstrap.kubeconfig",
        ]);
    });
    it("lists labels, registries and host paths, and expands the home folder", () => {
        const given = {
            ...input,
            stateDir: "~/s",
            bootstrapFile: "~/s/b",
            labels: { a: "b", "x/y": "z" },
            insecureRegistries: ["localhost:5000", "r"],
            trustedCaFile: "~/ca.pem",
            dockerConfigFile: "~/logins.json",
            allowedHostPaths: ["/srv/data", "/srv/more"],
            allowedEgress: ["127.0.0.1", "fd00::/8"],
            wasi03: true,
            otlpEndpoint: "http://otel.shop.svc:4318",
            otlpSamplingRatio: 0.25,
        };
        assert.deepEqual(agent.agentArgv("k", given).slice(7), [
            `--data-dir=${homedir()}/s/data`,
            `--bootstrap-file=${homedir()}/s/b`,
            "--node-labels=a=b,x/y=z",
            "--insecure-registries=localhost:5000,r",
            `--trusted-ca-file=${homedir()}/ca.pem`,
            `--registry-config=${homedir()}/logins.json`,
            "--allowed-host-paths=/srv/data,/srv/more",
            "--allowed-egress=127.0.0.1,fd00::/8",
            "--wasi-0-3",
            "--otlp-endpoint=http://otel.shop.svc:4318",
            "--otlp-sampling-ratio=0.25",
        ]);
        assert.deepEqual(
            agent
                .agentArgv("k", {
                    ...given,
                    trustedCaFile: undefined,
                    dockerConfigFile: "l",
                    allowedHostPaths: [],
                    allowedEgress: [],
                    wasi03: false,
                    otlpEndpoint: undefined,
                    otlpSamplingRatio: undefined,
                })
                .slice(-2),
            ["--insecure-registries=localhost:5000,r", `--registry-config=${process.cwd()}/l`],
        );
    });
    it("leaves its address to itself in a container, and names where registries are found", () => {
        const registryMirrors = { "localhost:5001": "registry:5000", r: "s" };
        const given = { ...input, nodeIp: undefined, network: "kind", registryMirrors };
        assert.deepEqual(agent.agentArgv("/bin/krustlet-wasi", given), [
            "/bin/krustlet-wasi",
            "--node-name=krustlet",
            "--hostname=krustlet",
            "--port=3000",
            "--max-pods=110",
            "--data-dir=/state/data",
            "--bootstrap-file=/state/bootstrap.kubeconfig",
            "--registry-mirrors=localhost:5001=registry:5000,r=s",
        ]);
        const { podRoutes } = agent.agentFiles(input.stateDir);
        assert.equal(
            agent.agentArgv("k", given, podRoutes).at(-1),
            "--pod-routes-file=/state/data/pod-routes",
        );
    });
    it("asks for certificates of a life and a renewal only where it was told to", () => {
        const given = { ...input, certificateDurationSeconds: 86_400, certificateRenewalPercent: 50 };
        assert.deepEqual(agent.agentArgv("k", given).slice(-2), [
            "--certificate-duration-seconds=86400",
            "--certificate-renewal-percent=50",
        ]);
        const faults = (more: object) =>
            agent.nodeInput({ ...input, ...more }, "input").map(({ path, message }) => `${path}: ${message}`);
        assert.deepEqual(faults({ certificateDurationSeconds: 600, certificateRenewalPercent: 95 }), []);
        assert.deepEqual(faults({ certificateDurationSeconds: 599, certificateRenewalPercent: 0 }), [
            "input.certificateDurationSeconds: must be a whole number from 600 to 31622400, not 599",
            "input.certificateRenewalPercent: must be a whole number from 1 to 95, not 0",
        ]);
    });
    it("names what is no host path", () => {
        const faults = (allowedHostPaths: unknown) =>
            agent
                .nodeInput({ ...input, allowedHostPaths }, "input")
                .map(({ path, message }) => `${path}: ${message}`);
        assert.deepEqual(faults(["/srv", "/"]), []);
        assert.deepEqual(faults(["srv", "/a,b"]), [
            'input.allowedHostPaths[0]: must be an absolute path without a comma (for example "/srv/data"), not "srv"',
            'input.allowedHostPaths[1]: must be an absolute path without a comma (for example "/srv/data"), not "/a,b"',
        ]);
    });
    it("names what is no range of addresses", () => {
        const faults = (allowedEgress: unknown) =>
            agent
                .nodeInput({ ...input, allowedEgress }, "input")
                .map(({ path, message }) => `${path}: ${message}`);
        assert.deepEqual(
            faults(["10.0.0.0/8", "127.0.0.1", "::1", "fd00::/8", "0.0.0.0/0", "::ffff:1.2.3.4/128"]),
            [],
        );
        const shape =
            'must be an IPv4 or IPv6 address, with /PREFIX for a range (for example "127.0.0.1" or "10.0.0.0/8")';
        assert.deepEqual(faults(["localhost", "10.0.0.0/33", "10.0.0/8", "::/129"]), [
            `input.allowedEgress[0]: ${shape}, not "localhost"`,
            'input.allowedEgress[1]: is "10.0.0.0/33", but there is no such address or range',
            'input.allowedEgress[2]: is "10.0.0/8", but there is no such address or range',
            'input.allowedEgress[3]: is "::/129", but there is no such address or range',
        ]);
    });
    it("names what is no collector, and no password", () => {
        const faults = (otlpEndpoint: unknown, otlpSamplingRatio: unknown = 0) =>
            agent
                .nodeInput({ ...input, otlpEndpoint, otlpSamplingRatio }, "input")
                .map(({ path, message }) => `${path}: ${message}`);
        const good = ["http://localhost:4318", "HTTPS://otlp.example/team/a/", "http://[fd00::1]:4318"];
        for (const url of good) assert.deepEqual(faults(url), []);
        const shape =
            'must be the base URL of a collector\'s OTLP over HTTP, without user name, query and /v1/traces, in its path only letters, digits and "._~%/-" (for example "http://localhost:4318")';
        for (const url of [
            "localhost:4318",
            "grpc://localhost:4317",
            "http://",
            "http:///v1",
            "http://a:0",
            "http://a:port",
            "http://0.0.0.0:4318",
            "http://[::]:4318",
            "http://[0:0::0]",
            "http://a/b c",
            "http://a/b;c",
            "http://a/\u00e9",
            "http://a/v1/traces/",
        ])
            assert.deepEqual(faults(url), [`input.otlpEndpoint: ${shape}, not "${url}"`]);
        for (const url of [
            "http://me:secret@a",
            "http//me:secret@a",
            "http://a/me:secret@b",
            "http://a?secret",
            "grpc://a/?key=secret",
            "http://a/#secret",
        ])
            assert.deepEqual(faults(url), [`input.otlpEndpoint: ${shape}`]);
        for (const ratio of [-0.1, 1.1, "1", NaN])
            assert.match(
                faults(good[0], ratio).join(),
                /^input\.otlpSamplingRatio: must be a number from 0 to 1, not /,
            );
        assert.deepEqual(faults(good[0], 1), []);
    });
    it("comes with a minimal environment", () => {
        const callers = {
            PATH: "/bin",
            HOME: "/h",
            RUST_LOG: "debug",
            KUBECONFIG: "/mine",
            PULUMI_CONFIG_PASSPHRASE: "x",
            NODE_OPTIONS: "y",
        };
        assert.deepEqual(agent.agentEnvironment(input, callers), {
            PATH: "/bin",
            HOME: "/h",
            RUST_LOG: "debug",
            KUBECONFIG: "/state/kubeconfig",
        });
        const known = { DOCKER_CONFIG: "docker", SSL_CERT_FILE: "/ca.pem", SSL_CERT_DIR: "" };
        assert.deepEqual(agent.agentEnvironment(input, known), {
            DOCKER_CONFIG: `${process.cwd()}/docker`,
            SSL_CERT_FILE: "/ca.pem",
            KUBECONFIG: "/state/kubeconfig",
        });
        const proxies = { HTTPS_PROXY: "http://p:1", http_proxy: "p:2", NO_PROXY: "a", no_proxy: "b" };
        assert.deepEqual(agent.agentEnvironment(input, { ...proxies, ALL_PROXY: "http://p:3" }), {
            ...proxies,
            KUBECONFIG: "/state/kubeconfig",
        });
        assert.deepEqual(agent.agentEnvironment(input, {}), { KUBECONFIG: "/state/kubeconfig" });
    });
});
