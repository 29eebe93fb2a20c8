// The cluster and node that approvals are tested with. The test itself plays the node's agent, so that it can do wrong.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import * as kubernetes from "@pulumi/kubernetes";
import { CertificateApproval, KrustletBootstrap } from "../../components";
import type * as contract from "../../steps/contract";
import { agentFiles } from "../../steps/node/agent/agent";
import type { CertificateSigningRequest } from "../../steps/node/certificates/certificateRequests";
import type { Purpose } from "../../steps/node/certificates/certificates";
import { clusterOf } from "../../steps/lib/kube/kube";
import type { ProcessId } from "../../steps/lib/processes";
import { run, type RunResult } from "../../steps/lib/run";
import { NODE_IMAGE } from "../../common/versions";
import { until } from "../until";
import { steps } from "../unit/components/fixtures";
import { record } from "../unit/components/mocks";
import { CN, makeCsr, newKey, O, type CsrParts, type KeyPair } from "../unit/steps/node/makeCsr";

export const owner = "krustlet-stack/approval-test";
export const folder = mkdtempSync(path.join(tmpdir(), "krustlet-approval-test-"));
export const stateDir = path.join(folder, "node");
export const files = agentFiles(stateDir);
export const nodeName = "krustlet-approval";
export const group = `system:bootstrappers:krustlet-stack:${nodeName}`;
export const adminFile = path.join(folder, "admin.kubeconfig");
export const bootstrapFile = path.join(stateDir, "bootstrap.kubeconfig");
export const requestsPath = "/apis/certificates.k8s.io/v1/certificatesigningrequests";

export const clusterInput: contract.KindClusterInput = {
    name: "krustlet-approval-test",
    owner,
    image: `${NODE_IMAGE.name}:${NODE_IMAGE.tag}`,
    waitSeconds: 120,
    kubeconfigFile: adminFile,
    kubeadmConfigPatches: [],
    containerdConfigPatches: [],
};

export function kubectl(args: string[], input?: object, kubeconfig = adminFile): Promise<RunResult> {
    return run(["kubectl", `--kubeconfig=${kubeconfig}`, ...args], {
        input: input && JSON.stringify(input),
        allowFailure: true,
        timeoutSeconds: 60,
    });
}

export async function get<T>(pathName: string): Promise<T> {
    const { stdout, stderr, exitCode } = await kubectl(["get", "--raw", pathName]);
    assert.equal(exitCode, 0, stderr);
    return JSON.parse(stdout) as T;
}

export function csr(name: string): Promise<CertificateSigningRequest> {
    return get<CertificateSigningRequest>(`${requestsPath}/${name}`);
}

/** Ids of those processes that a step has started, of all of a program's: each has the program itself as its child. */
export function startedOf(all: ProcessId[]): number[] {
    const parent = ({ pid }: ProcessId) =>
        Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);
    const pids = all.map(({ pid }) => pid);
    const started = all.filter((one) => !pids.includes(parent(one)));
    assert.equal(started.length * 2, all.length, "each supervisor has its program, and no program is alone");
    return started.map(({ pid }) => pid);
}

/** Whether whoever a kubeconfig stands for may do that: `get`, `secrets`, and more of kubectl's arguments. */
export async function may(kubeconfig: string, ...args: string[]): Promise<boolean> {
    const { stdout, stderr } = await kubectl(["auth", "can-i", ...args], undefined, kubeconfig);
    const answer = stdout.trim().split("\n").pop() ?? "";
    assert.match(answer, /^(yes|no)/, stderr);
    return answer.startsWith("yes");
}

/** Whether whoever a kubeconfig stands for may approve (and deny) requests to a signer. */
export async function mayDecideFor(kubeconfig: string, signer: string): Promise<boolean> {
    const review = {
        apiVersion: "authorization.k8s.io/v1",
        kind: "SelfSubjectAccessReview",
        spec: {
            resourceAttributes: {
                group: "certificates.k8s.io",
                resource: "signers",
                name: signer,
                verb: "approve",
            },
        },
    };
    const args = ["create", "--raw=/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", "-f", "-"];
    const { stdout, stderr, exitCode } = await kubectl(args, review, kubeconfig);
    assert.equal(exitCode, 0, stderr);
    return (JSON.parse(stdout) as { status: { allowed: boolean } }).status.allowed;
}

/** Puts the objects into the cluster that the two components make, so that what is tested is what a stack has. */
export async function makeObjects(nodeIp: string): Promise<void> {
    const { resources } = await record({ steps }, () => {
        const provider = new kubernetes.Provider("cluster", { kubeconfig: "k" });
        const args = { kubeconfigFile: "/k", clusterIdentity: "c", nodeName };
        const { group: bootstrapGroup } = new KrustletBootstrap("b", args, { provider });
        new CertificateApproval("a", { ...args, nodeIp, bootstrapGroup, stateDir }, { provider });
    });
    const items = Object.values(resources)
        .filter(({ type }) => /^kubernetes:(core|rbac)/.test(type))
        .map(({ inputs }) => inputs);
    assert.equal(items.length, 7);
    const made = await kubectl(["create", "-f", "-"], { apiVersion: "v1", kind: "List", items });
    assert.equal(made.exitCode, 0, made.stderr);
}

/** A program in the agent's place that does nothing at all. */
export function idleAgent(): string {
    const program = path.join(folder, "idle-agent");
    writeFileSync(program, "#!/bin/sh\nwhile :; do sleep 1; done\n", { mode: 0o700 });
    return program;
}

const signers: Record<Purpose, string> = {
    client: "kubernetes.io/kube-apiserver-client-kubelet",
    serving: "kubernetes.io/kubelet-serving",
};

export const subject: [string, string][] = [
    [O, "system:nodes"],
    [CN, `system:node:${nodeName}`],
];

/** A request as the agent files it, or with something wrong in it. */
export function request(
    purpose: Purpose,
    nodeIp: string,
    key: KeyPair,
    wrong: { parts?: Partial<CsrParts>; spec?: object; name?: string } = {},
): object {
    const names = purpose === "serving" ? [{ dNSName: nodeName }, { iPAddress: nodeIp }] : undefined;
    const pem = makeCsr({ key, subject, names, ...wrong.parts });
    return {
        apiVersion: "certificates.k8s.io/v1",
        kind: "CertificateSigningRequest",
        metadata: wrong.name ? { name: wrong.name } : { generateName: `krustlet-${nodeName}-${purpose}-` },
        spec: {
            request: Buffer.from(pem).toString("base64"),
            signerName: signers[purpose],
            usages: ["digital signature", purpose === "client" ? "client auth" : "server auth"],
            ...wrong.spec,
        },
    };
}

/** Files a request; returns the name that it got. */
export async function file(object: object, kubeconfig: string, as: string[] = []): Promise<string> {
    const args = [...as, "create", "--output=jsonpath={.metadata.name}", "-f", "-"];
    const { stdout, stderr, exitCode } = await kubectl(args, object, kubeconfig);
    assert.equal(exitCode, 0, stderr);
    return stdout.trim();
}

/** As the agent: hands a new key over, then files the request for it. */
export async function ask(
    purpose: Purpose,
    nodeIp: string,
    kubeconfig: string,
): Promise<{ name: string; key: KeyPair }> {
    const key = newKey();
    mkdirSync(path.dirname(files.publicKeys[purpose]), { recursive: true, mode: 0o700 });
    const pem = key.publicKey.export({ type: "spki", format: "pem" });
    writeFileSync(files.publicKeys[purpose], pem, { mode: 0o600 });
    return { name: await file(request(purpose, nodeIp, key), kubeconfig), key };
}

/** The certificate (PEM, base64) that was issued for a request, read as the agent reads it: by the request's name. */
export function issued(name: string, kubeconfig: string): Promise<string> {
    return until(`the certificate of ${name}`, async () => {
        const { stdout } = await kubectl(["get", "--raw", `${requestsPath}/${name}`], undefined, kubeconfig);
        return (JSON.parse(stdout || "{}") as Partial<CertificateSigningRequest>).status?.certificate;
    });
}

/** As the agent: joins with the bootstrap token, and writes down what it got. */
export async function joinAs(cluster: contract.ClusterOutput, nodeIp: string): Promise<string[]> {
    const client = await ask("client", nodeIp, bootstrapFile);
    const certificate = await issued(client.name, bootstrapFile);
    const key = client.key.privateKey.export({ type: "pkcs8", format: "pem" });
    const entry = await clusterOf(cluster.kubeconfigFile);
    const config = [
        "apiVersion: v1",
        "kind: Config",
        "clusters:",
        `- {name: c, cluster: {server: "${entry.server}", certificate-authority-data: ${entry.certificateAuthorityData}}}`,
        "users:",
        "- name: node",
        "  user:",
        `    client-certificate-data: ${certificate}`,
        `    client-key-data: ${Buffer.from(key).toString("base64")}`,
        "contexts:",
        "- {name: x, context: {cluster: c, user: node}}",
        "current-context: x",
    ];
    writeFileSync(files.kubeconfigFile, config.join("\n"), { mode: 0o600 });
    const serving = await ask("serving", nodeIp, files.kubeconfigFile);
    const servingCertificate = await issued(serving.name, files.kubeconfigFile);
    mkdirSync(path.dirname(files.servingCertificate), { recursive: true, mode: 0o700 });
    writeFileSync(files.servingCertificate, Buffer.from(servingCertificate, "base64"), { mode: 0o600 });
    return [client.name, serving.name];
}

/** How many bootstrap tokens the node has. */
export async function tokens(): Promise<number> {
    const args = ["get", "secrets", "--namespace=kube-system", "--output=name"];
    const { stdout } = await kubectl([...args, "--selector=krustlet-stack/bootstrap-token-of"]);
    return stdout.split("\n").filter(Boolean).length;
}

/** The one condition of a request, once it is decided. */
export function decisionOn(name: string): Promise<{ type: string; reason?: string; message?: string }> {
    return until(`a decision on ${name}`, async () => (await csr(name)).status?.conditions?.[0]);
}
