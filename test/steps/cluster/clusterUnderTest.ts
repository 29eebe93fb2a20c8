// The cluster that the steps are tested in, and how the tests look into it.
import assert from "node:assert/strict";
import { mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import type * as contract from "../../../steps/contract";
import type { CertificateSigningRequest } from "../../../steps/node/certificates/certificateRequests";
import { processOf } from "../../../steps/lib/processes";
import { run, type RunResult } from "../../../steps/lib/run";
import { NODE_IMAGE } from "../../../common/versions";
import { bootstrapRights } from "../../bootstrapRights";
import { CN, makeCsr, newKey, O } from "../../unit/steps/node/makeCsr";

export const owner = "krustlet-stack/steps-test";
export const folder = mkdtempSync(path.join(tmpdir(), "krustlet-steps-test-"));
export const stateDir = path.join(folder, "node");
export const nodeName = "krustlet-steps";
export const group = "system:bootstrappers:krustlet-stack:steps-test";
export const adminFile = path.join(folder, "admin", "kubeconfig");

/** A copy of the admin kubeconfig, for when the cluster has gone. */
export const keptFile = path.join(folder, "kept.kubeconfig");

/** What the steps that have run by now have made, and were given. */
interface Parts {
    cluster: contract.ClusterOutput;
    clusterVolumes: string[];
    token: contract.BootstrapTokenInput;
    node: contract.ProcessNodeInput;
    approval: contract.CertificateApprovalInput;
    agent: contract.NodeOutput;
}

/** Each test finds what those before it made. */
export const parts = {} as Parts;

export const runs = (pid: number) => processOf(pid) !== undefined;

export const clusterInput: contract.KindClusterInput = {
    name: "krustlet-steps-test",
    owner,
    image: `${NODE_IMAGE.name}:${NODE_IMAGE.tag}`,
    waitSeconds: 120,
    kubeconfigFile: adminFile,
    mergeKubeconfigFile: path.join(folder, "merged.kubeconfig"),
    kubeadmConfigPatches: [],
    containerdConfigPatches: [],
};
export const checks: contract.PreflightInput = {
    owner,
    cluster: { kind: { name: clusterInput.name } },
    nodes: [{ name: nodeName, port: 3931, stateDir, program: "krustlet-wasi" }],
    modules: [],
};

/** Ids of the cluster's containers. */
export async function containers(): Promise<string[]> {
    const filter = `--filter=label=io.x-k8s.kind.cluster=${clusterInput.name}`;
    return (await run(["docker", "ps", "--all", "--quiet", filter])).stdout.split("\n").filter(Boolean);
}

/** Names of the volumes of the cluster's containers. */
export async function volumes(): Promise<string[]> {
    const format = '{{range .Mounts}}{{if eq .Type "volume"}}{{.Name}}\n{{end}}{{end}}';
    const ids = await containers();
    if (ids.length === 0) return [];
    return (await run(["docker", "inspect", `--format=${format}`, ...ids])).stdout
        .split("\n")
        .filter(Boolean);
}

/** Those of the volumes that are still there. */
export async function leftOf(names: string[]): Promise<string[]> {
    const all = (await run(["docker", "volume", "ls", "--quiet"])).stdout.split("\n");
    return names.filter((name) => all.includes(name));
}

export function kubectl(args: string[], input?: object, kubeconfig = adminFile): Promise<RunResult> {
    return run(["kubectl", `--kubeconfig=${kubeconfig}`, ...args], {
        input: input && JSON.stringify(input),
        allowFailure: true,
    });
}

export async function get<T>(pathName: string): Promise<T> {
    const { stdout, stderr, exitCode } = await kubectl(["get", "--raw", pathName]);
    assert.equal(exitCode, 0, stderr);
    return JSON.parse(stdout) as T;
}

export async function csrs(): Promise<CertificateSigningRequest[]> {
    return (
        await get<{ items: CertificateSigningRequest[] }>(
            "/apis/certificates.k8s.io/v1/certificatesigningrequests",
        )
    ).items;
}

/** Of Secrets, the bootstrap tokens that were made here: kubeadm leaves one of its own in every kind cluster. */
export function tokensOf(secrets: object[]): object[] {
    return secrets
        .filter((secret) => "type" in secret && secret.type === "bootstrap.kubernetes.io/token")
        .filter((secret) => JSON.stringify(secret).includes("krustlet-stack/bootstrap-token-of"));
}

/** A certificate request that bears the node's name, with a key that is not the agent's. */
export function forgedRequest(name: string, signerName: string): object {
    const subject: [string, string][] = [
        [O, "system:nodes"],
        [CN, `system:node:${nodeName}`],
    ];
    return {
        apiVersion: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        metadata: { name },
        spec: {
            request: Buffer.from(makeCsr({ key: newKey(), subject })).toString("base64"),
            signerName,
            usages: ["digital signature", "client auth"],
        },
    };
}

/** Lets the bootstrap group file certificate requests and read them by name. */
export async function allowRequests(): Promise<void> {
    const created = await kubectl(["create", "-f", "-"], bootstrapRights("krustlet-stack:steps-test", group));
    assert.equal(created.exitCode, 0, created.stderr);
}
