import type * as pulumi from "@pulumi/pulumi";
import * as kubernetes from "@pulumi/kubernetes";
import { stepCommand } from "../../../components/stepCommand";
import { stepPath, type Steps } from "../../../steps/contract";
import type { StepOutputs } from "./mocks";

export const digest = `sha256:${"a".repeat(64)}`;
export const imageReference = `localhost:5001/hello-wasm@${digest}`;

/** Where the cluster's admin kubeconfig is. */
export const adminFile = "/home/me/admin/kubeconfig";

/** What every step prints in the tests, when a test does not say otherwise. */
export const steps: Required<StepOutputs> = {
    preflight: { dockerVersion: "20.10.24" },
    look: { answers: [] },
    makeClaim: {
        id: "0123456789abcdef",
        owner: "project/stack/0123456789abcdef",
        folder: "/home/me/claims/0123456789abcdef",
        host: { id: "f".repeat(32), name: "desk", user: "me" },
    },
    releaseClaim: {},
    createKindCluster: {
        name: "demo",
        kubeconfigFile: adminFile,
        context: "kind-demo",
        server: "https://127.0.0.1:40001",
        kubernetesVersion: "v1.36.4",
        network: "kind",
        nodeAddress: "172.18.0.1",
        identity: "cluster-uid",
    },
    deleteKindCluster: {},
    observeKindCluster: {},
    observeKubelets: {},
    observeNode: {},
    observeApprover: {},
    observeConnection: {},
    clearRegistry: {},
    observeRegistry: {},
    observeArtifact: {},
    observeWorkload: {},
    observeService: {},
    claimObject: {},
    deleteObject: {},
    forget: {},
    findCluster: {
        server: "https://192.0.2.1:6443",
        kubernetesVersion: "v1.36.4",
        nodeAddress: "192.0.2.9",
        identity: "cluster-uid",
        kubeconfigDigest: "f".repeat(64),
    },
    copyKubeconfig: {
        name: "admin@prod",
        kubeconfigFile: adminFile,
        context: "admin@prod",
        server: "https://192.0.2.1:6443",
        kubernetesVersion: "v1.36.4",
        nodeAddress: "192.0.2.9",
        identity: "cluster-uid",
    },
    removeKubeconfig: {},
    createLocalCluster: {
        name: "demo",
        kubeconfigFile: adminFile,
        context: "demo",
        server: "https://192.168.49.2:8443",
        kubernetesVersion: "v1.36.4",
        nodeAddress: "192.168.49.1",
        identity: "cluster-uid",
    },
    deleteLocalCluster: {},
    observeLocalCluster: {},
    approveKubeletCertificates: { requests: { "demo-control-plane": "csr-abcde" } },
    createBootstrapToken: {
        file: "~/state/bootstrap.kubeconfig",
        username: "system:bootstrap:abcdef",
        expiresAt: "2026-11-22T10:10:00Z",
    },
    deleteBootstrapToken: {},
    launchNode: {
        pid: 4711,
        logFile: "/home/me/state/agent.log",
        dataDir: "/home/me/state/data",
        kubeconfigFile: "/home/me/state/kubeconfig",
    },
    stopNode: {},
    approveCertificates: { client: "krustlet-demo-client-x", serving: "krustlet-demo-serving-y" },
    deleteCertificateRequests: {},
    launchApprover: { pid: 4712, logFile: "/home/me/state/approver.log" },
    stopApprover: {},
    awaitNode: { nodeName: "krustlet", hostname: "krustlet", kubeletVersion: "0.1.0" },
    describeModule: { sha256: "d".repeat(64) },
    buildModule: { file: "target/hello.wasm", sha256: "b".repeat(64), sizeBytes: 1234 },
    pushArtifact: { digest, reference: imageReference, sizeBytes: 1234 },
    awaitRegistry: { address: "localhost:5001" },
    resolveArtifact: { digest, reference: imageReference },
    claimTag: { digest, reference: imageReference },
    deleteTag: {},
    connectRegistry: { inClusterAddress: "project-stack-registry:5000", nodes: ["demo-control-plane"] },
    disconnectRegistry: {},
    describeLogin: { known: true, fingerprint: "of the login" },
    observePullSecret: {},
    createPullSecret: { name: "project-stack-pull" },
    deletePullSecret: {},
    awaitWorkload: { kind: "Pod", namespace: "default", name: "auto-named" },
};

/** What `local.Command` gets for a step, but for its standard input. */
export function commandInputs(create: keyof Steps, undo?: keyof Steps): Record<string, unknown> {
    return {
        ...stepCommand(create).how,
        create: stepPath(create),
        ...(undo === undefined ? {} : { delete: stepPath(undo) }),
        logging: "stderr",
    };
}

/** Options of every Command with an `undo` step; @pulumi/command itself adds the last one. */
export const undone = { deleteBeforeReplace: true as const, replaceOnChanges: ["triggers[*]"] };
/** Options of every Command without one. */
export const notUndone = { replaceOnChanges: ["triggers[*]"] };

/** What the claim's end undoes as well, where the whole stack goes. */
export const withClaim = { deletedWith: "command:local:Command::krustlet-stack-claim" };
/** Options of every Command whose undoing only forgets a note. */
export const forgotten = { ...notUndone, ...withClaim };

/** Options of what a test puts in a cluster. */
export function inCluster(): pulumi.ComponentResourceOptions {
    return { provider: new kubernetes.Provider("other-provider", { kubeconfig: "kubeconfig" }) };
}
