import assert from "node:assert/strict";
import { test } from "node:test";
import * as pulumi from "@pulumi/pulumi";
import { KrustletBootstrap, KrustletNode, WasmPod } from "../../../../components";
import { approverObjects, command, object, RBAC } from "./approverObjects";
import { adminFile, commandInputs, inCluster, notUndone, steps, undone, withClaim } from "../fixtures";
import { areSecret, record } from "../mocks";

const required = {
    kubeconfigFile: adminFile,
    clusterIdentity: "cluster-uid",
    nodeIp: "172.18.0.1",
};
const stateDir = "~/.local/state/krustlet-stack/nodes/project-stack-krustlet";
const group = "system:bootstrappers:krustlet-stack:krustlet";
const node = "krustlet-stack:index:KrustletNode::n";
const bootstrap = "krustlet-stack:index:KrustletBootstrap::n-bootstrap";
const provider = "pulumi:providers:kubernetes::other-provider";
const cluster = "pulumi:providers:kubernetes::other-provider";
const approval = "krustlet-stack:index:CertificateApproval::n-certificates";

/** Options as a stack gives them: the objects in the cluster go with it (here, with its provider). */
function options() {
    const opts = inCluster();
    return { ...opts, deletedWith: opts.provider };
}

test("a node of defaults: bootstrap, launch, approve, wait", async () => {
    const { resources, invokes, result } = await record({ steps }, () => {
        const n = new KrustletNode("n", required, options());
        const { nodeName, hostname, kubeletVersion, logFile } = n;
        return { nodeName, hostname, kubeletVersion, logFile, stateDir: n.stateDir };
    });
    delete resources["other-provider"];
    assert.deepEqual(resources, {
        n: { type: "krustlet-stack:index:KrustletNode", parent: undefined, inputs: {}, options: {} },
        "n-bootstrap": {
            type: "krustlet-stack:index:KrustletBootstrap",
            parent: node,
            inputs: {},
            options: {},
        },
        "n-bootstrap-role": {
            type: "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",
            parent: bootstrap,
            inputs: {
                apiVersion: "rbac.authorization.k8s.io/v1",
                kind: "ClusterRole",
                metadata: { name: "krustlet-stack:bootstrap:krustlet" },
                rules: [
                    {
                        apiGroups: ["certificates.k8s.io"],
                        resources: ["certificatesigningrequests"],
                        verbs: ["create", "get"],
                    },
                ],
            },
            options: { provider, deletedWith: cluster },
        },
        "n-bootstrap-role-binding": {
            type: "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
            parent: bootstrap,
            inputs: {
                apiVersion: "rbac.authorization.k8s.io/v1",
                kind: "ClusterRoleBinding",
                metadata: { name: "krustlet-stack:bootstrap:krustlet" },
                roleRef: {
                    apiGroup: "rbac.authorization.k8s.io",
                    kind: "ClusterRole",
                    name: "krustlet-stack:bootstrap:krustlet",
                },
                subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: group }],
            },
            options: {
                provider,
                deletedWith: cluster,
                dependsOn: ["kubernetes:rbac.authorization.k8s.io/v1:ClusterRole::n-bootstrap-role"],
            },
        },
        "n-bootstrap-token": {
            type: "command:local:Command",
            parent: bootstrap,
            inputs: {
                ...commandInputs("createBootstrapToken", "deleteBootstrapToken"),
                stdin: JSON.stringify({
                    kubeconfigFile: adminFile,
                    owner: "project/stack/0123456789abcdef",
                    nodeName: "krustlet",
                    group,
                    tokenTtlSeconds: 600,
                    file: `${stateDir}/bootstrap.kubeconfig`,
                }),
                triggers: ["cluster-uid", "krustlet"],
            },
            options: { ...undone, ...withClaim },
        },
        "n-agent": {
            type: "command:local:Command",
            parent: node,
            inputs: {
                ...commandInputs("launchNode", "stopNode"),
                stdin: JSON.stringify({
                    kubeconfigFile: adminFile,
                    owner: "project/stack/0123456789abcdef",
                    program: "krustlet-wasi",
                    nodeName: "krustlet",
                    nodeIp: "172.18.0.1",
                    port: 3000,
                    maxPods: 110,
                    labels: {},
                    insecureRegistries: [],
                    stateDir,
                    bootstrapFile: "~/state/bootstrap.kubeconfig",
                    bootstrapGroup: group,
                    tokenTtlSeconds: 600,
                }),
                triggers: ["cluster-uid", "krustlet", stateDir],
            },
            options: {
                ...undone,
                dependsOn: [
                    command("n-bootstrap-token"),
                    "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding::n-bootstrap-role-binding",
                ],
            },
        },
        "n-role": {
            type: "kubernetes:rbac.authorization.k8s.io/v1:ClusterRole",
            parent: node,
            inputs: {
                apiVersion: "rbac.authorization.k8s.io/v1",
                kind: "ClusterRole",
                metadata: { name: "krustlet-stack:node:krustlet" },
                rules: [{ apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list"] }],
            },
            options: { provider, deletedWith: cluster },
        },
        "n-role-binding": {
            type: "kubernetes:rbac.authorization.k8s.io/v1:ClusterRoleBinding",
            parent: node,
            inputs: {
                apiVersion: "rbac.authorization.k8s.io/v1",
                kind: "ClusterRoleBinding",
                metadata: { name: "krustlet-stack:node:krustlet" },
                roleRef: {
                    apiGroup: "rbac.authorization.k8s.io",
                    kind: "ClusterRole",
                    name: "krustlet-stack:node:krustlet",
                },
                subjects: [
                    {
                        apiGroup: "rbac.authorization.k8s.io",
                        kind: "User",
                        name: "system:node:krustlet",
                    },
                ],
            },
            options: {
                provider,
                deletedWith: cluster,
                dependsOn: ["kubernetes:rbac.authorization.k8s.io/v1:ClusterRole::n-role"],
            },
        },
        "n-certificates": {
            type: "krustlet-stack:index:CertificateApproval",
            parent: node,
            inputs: {},
            options: {},
        },
        "n-certificates-approval": {
            type: "command:local:Command",
            parent: approval,
            inputs: {
                ...commandInputs("approveCertificates", "deleteCertificateRequests"),
                stdin: JSON.stringify({
                    kubeconfigFile: adminFile,
                    owner: "project/stack/0123456789abcdef",
                    nodeName: "krustlet",
                    nodeIp: "172.18.0.1",
                    bootstrapGroup: group,
                    stateDir,
                    agentPid: 4711,
                    timeoutSeconds: 60,
                }),
                triggers: ["cluster-uid", "krustlet"],
            },
            options: { ...undone, deletedWith: cluster, dependsOn: [command("n-agent")] },
        },
        ...approverObjects("n-certificates", approval, "krustlet"),
        "n-certificates-approver": {
            type: "command:local:Command",
            parent: approval,
            inputs: {
                ...commandInputs("launchApprover", "stopApprover"),
                stdin: JSON.stringify({
                    kubeconfigFile: adminFile,
                    owner: "project/stack/0123456789abcdef",
                    nodeName: "krustlet",
                    nodeIp: "172.18.0.1",
                    bootstrapGroup: group,
                    stateDir,
                    agentPid: 4711,
                    namespace: "kube-system",
                    serviceAccount: "krustlet-approver-krustlet",
                    tokenSeconds: 86_400,
                }),
                triggers: ["cluster-uid", "krustlet", stateDir],
            },
            options: {
                ...undone,
                deletedWith: command("n-agent"),
                dependsOn: [
                    command("n-agent"),
                    command("n-certificates-approval"),
                    object("core/v1", "ServiceAccount", "n-certificates-approver-account"),
                    object(RBAC, "ClusterRoleBinding", "n-certificates-approver-role-binding"),
                    object(RBAC, "RoleBinding", "n-certificates-approver-token-role-binding"),
                ].sort(),
            },
        },
        "n-ready": {
            type: "command:local:Command",
            parent: node,
            inputs: {
                ...commandInputs("awaitNode"),
                stdin: JSON.stringify({
                    kubeconfigFile: adminFile,
                    nodeName: "krustlet",
                    stateDir,
                    agentPid: 4711,
                    timeoutSeconds: 120,
                }),
                triggers: ["cluster-uid"],
            },
            options: { ...notUndone, dependsOn: [command("n-agent"), command("n-certificates-approval")] },
        },
    });
    assert.deepEqual(
        invokes.map(({ command }) => command),
        ["node/observeNode", "node/certificates/observeApprover"],
    );
    assert.deepEqual(result, {
        nodeName: "krustlet",
        hostname: "krustlet",
        kubeletVersion: "0.1.0",
        logFile: "/home/me/state/agent.log",
        stateDir,
    });
});

test("every argument of a node reaches the steps", async () => {
    const args = {
        ...required,
        nodeName: "edge.one",
        port: 3001,
        maxPods: 5,
        labels: { zone: pulumi.output("desk") },
        insecureRegistries: ["localhost:5002"],
        allowedHostPaths: [pulumi.output("/srv/data"), "/srv/more"],
        allowedEgress: ["127.0.0.1"],
        wasi03: true,
        otlpEndpoint: "http://localhost:4318",
        otlpSamplingRatio: 0.5,
        stateDir: "/srv/node",
        program: "/opt/krustlet-wasi",
        tokenTtlSeconds: 300,
        certificateDurationSeconds: 86_400,
        certificateRenewalPercent: 50,
        readyTimeoutSeconds: 9,
        drainTimeoutSeconds: 0,
    };
    const { resources } = await record({ steps }, () => new KrustletNode("n", args, inCluster()).nodeName);
    const stdin = (name: string) => JSON.parse(resources[name].inputs.stdin as string) as unknown;
    assert.deepEqual(stdin("n-bootstrap-token"), {
        kubeconfigFile: adminFile,
        owner: "project/stack/0123456789abcdef",
        nodeName: "edge.one",
        group: "system:bootstrappers:krustlet-stack:edge:one",
        tokenTtlSeconds: 300,
        file: "/srv/node/bootstrap.kubeconfig",
    });
    assert.deepEqual(stdin("n-agent"), {
        kubeconfigFile: adminFile,
        owner: "project/stack/0123456789abcdef",
        program: "/opt/krustlet-wasi",
        nodeName: "edge.one",
        nodeIp: "172.18.0.1",
        port: 3001,
        maxPods: 5,
        labels: { zone: "desk" },
        insecureRegistries: ["localhost:5002"],
        allowedHostPaths: ["/srv/data", "/srv/more"],
        allowedEgress: ["127.0.0.1"],
        wasi03: true,
        otlpEndpoint: "http://localhost:4318",
        otlpSamplingRatio: 0.5,
        stateDir: "/srv/node",
        bootstrapFile: "~/state/bootstrap.kubeconfig",
        bootstrapGroup: "system:bootstrappers:krustlet-stack:edge:one",
        tokenTtlSeconds: 300,
        certificateDurationSeconds: 86_400,
        certificateRenewalPercent: 50,
        drainTimeoutSeconds: 0,
    });
    const approved = {
        kubeconfigFile: adminFile,
        owner: "project/stack/0123456789abcdef",
        nodeName: "edge.one",
        nodeIp: "172.18.0.1",
        bootstrapGroup: "system:bootstrappers:krustlet-stack:edge:one",
        stateDir: "/srv/node",
        agentPid: 4711,
        certificateDurationSeconds: 86_400,
    };
    assert.deepEqual(stdin("n-certificates-approval"), { ...approved, timeoutSeconds: 60 });
    assert.deepEqual(stdin("n-certificates-approver"), {
        ...approved,
        namespace: "kube-system",
        serviceAccount: "krustlet-approver-edge.one",
        tokenSeconds: 86_400,
    });
    assert.deepEqual(stdin("n-ready"), {
        kubeconfigFile: adminFile,
        nodeName: "edge.one",
        stateDir: "/srv/node",
        agentPid: 4711,
        timeoutSeconds: 9,
    });
});

test("nothing of the node is secret, nor what its steps are given: secrets are in files", async () => {
    const { resources, result } = await record({ steps }, () => {
        const n = new KrustletNode("n", required, inCluster());
        return areSecret({ nodeName: n.nodeName, hostname: n.hostname, logFile: n.logFile });
    });
    assert.deepEqual(result, { nodeName: false, hostname: false, logFile: false });
    for (const name of [
        "n-bootstrap-token",
        "n-agent",
        "n-certificates-approval",
        "n-certificates-approver",
        "n-ready",
    ]) {
        assert.equal(typeof resources[name].inputs.stdin, "string", name);
    }
});

test("without a Kubernetes provider nothing goes to whichever cluster the user's kubeconfig names", async () => {
    const message = (component: string) =>
        `${component} has no Kubernetes provider; give it the cluster's, as the last argument: cluster.inCluster()`;
    const { resources } = await record({ steps }, () => {
        assert.throws(() => new KrustletBootstrap("b", { ...without("nodeIp"), nodeName: "krustlet" }), {
            message: message('KrustletBootstrap "b"'),
        });
        assert.throws(() => new KrustletNode("n", required), { message: message('KrustletNode "n"') });
    });
    assert.deepEqual(Object.keys(resources), ["b", "n"]);
});

test("no arguments at all are as many problems as must be given", async () => {
    await record({ steps }, () => {
        const none = undefined as never;
        assert.throws(() => new KrustletNode("n", none, inCluster()), {
            message: [
                'KrustletNode "n" has 3 problems:',
                "  - kubeconfigFile: is missing; for example cluster.kubeconfigFile",
                "  - clusterIdentity: is missing; for example cluster.identity",
                "  - nodeIp: is missing; for example cluster.nodeAddress",
            ].join("\n"),
        });
        assert.throws(() => new WasmPod("p", none, {}), /WasmPod "p" has 2 problems:/);
    });
});

test("all that is wrong with a node's arguments comes in one error", async () => {
    await record({ steps }, () => {
        const args = {
            nodeIp: "172.18.0.300",
            nodeName: "Krustlet",
            port: 0,
            insecureRegistries: ["http://x"],
            allowedHostPaths: ["data", "/srv/a,b"],
            certificateDurationSeconds: 599,
            certificateRenewalPercent: 96,
        };
        assert.throws(() => new KrustletNode("n", { ...without("nodeIp"), ...args }, inCluster()), {
            message: [
                'KrustletNode "n" has 8 problems:',
                '  - nodeIp: must be an IPv4 address (for example "172.18.0.1"), not "172.18.0.300"',
                '  - nodeName: must be lower-case letters, digits, "-" and "." that begin and end with a letter or digit (for example "krustlet"), not "Krustlet"',
                '  - insecureRegistries[0]: must be a registry as host or host:port, the port from 1 to 65535, without a scheme (for example "localhost:5001" or "ghcr.io"), not "http://x"',
                "  - port: must be a whole number from 1 to 65535, not 0",
                '  - allowedHostPaths[0]: must be an absolute path without a comma (for example "/srv/data"), not "data"',
                '  - allowedHostPaths[1]: must be an absolute path without a comma (for example "/srv/data"), not "/srv/a,b"',
                "  - certificateDurationSeconds: must be a whole number from 600 to 31622400, not 599",
                "  - certificateRenewalPercent: must be a whole number from 1 to 95, not 96",
            ].join("\n"),
        });
    });
});

function without(property: "nodeIp") {
    const rest: Omit<typeof required, "nodeIp"> & { nodeIp?: string } = { ...required };
    delete rest[property];
    return rest as Omit<typeof required, "nodeIp">;
}
