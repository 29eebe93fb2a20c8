/** Both certificates of a node are renewed while it serves, with nobody running an update. */
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { X509Certificate } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import type { ProcessNodeInput } from "../../steps/contract";
import { agentFiles } from "../../steps/node/agent/agent";
import { join, usedBootstrapFile } from "../node/make";
import { underTest } from "../node/underTest";
import { World } from "../node/lib/world";
import { pass } from "../steps/runStep";
import { isVerified, readKubeconfig, shownCertificate } from "./wire";

const root = path.resolve(__dirname, "../..");
/** The shortest life that the signer of kube-controller-manager gives, in seconds. */
const LIFE = 600;
/** After so many percent of it a certificate is renewed: 18 s. */
const PERCENT = 3;
const RENEWALS = 3;
/** Longest silence of a program that writes a line each 200 ms, in milliseconds: this machine may be busy. */
const MOST_SILENCE = 3000;

const account = { namespace: "kube-system", name: "krustlet-renewing-approver" };

describe("renewal", { timeout: 360_000 }, () => {
    let world: World;
    let node: ProcessNodeInput;
    before(async () => {
        world = await World.open("renewal");
        const { node: first } = underTest();
        const folder = path.dirname(first.program);
        // The other node stays as it is: this one differs in its flags.
        const program = path.join(folder, "agent-short-lived");
        const flags = `--certificate-duration-seconds=${LIFE} --certificate-renewal-percent=${PERCENT}`;
        await fs.writeFile(program, `#!/bin/sh\nexec '${first.program}' "$@" ${flags}\n`, { mode: 0o700 });
        const stateDir = path.join(folder, "renewing");
        node = {
            ...first,
            program,
            stateDir,
            nodeName: "krustlet-renewing",
            port: first.port + 1,
            bootstrapFile: path.join(stateDir, "bootstrap.kubeconfig"),
        };
        const env = process.env as Record<string, string>;
        await join({ root, env }, node);
        await grant();
        await approver("launchApprover");
    });
    after(async () => {
        // All of it, whatever fails: an open watch would keep this process for ever.
        const ended = await Promise.allSettled([approver("stopApprover"), world.close()]);
        await pass("stopNode", node);
        await fs.rm(usedBootstrapFile(node), { force: true });
        for (const one of ended) if (one.status === "rejected") throw one.reason;
    });

    /** The approver's right: to look at requests, and to decide on those for the two signers of nodes. */
    async function grant(): Promise<void> {
        const apiGroup = "rbac.authorization.k8s.io";
        const metadata = { name: account.name };
        const group = "certificates.k8s.io";
        const subjects = [{ kind: "ServiceAccount", ...account }];
        const objects = [
            { apiVersion: "v1", kind: "ServiceAccount", metadata: account },
            {
                apiVersion: `${apiGroup}/v1`,
                kind: "ClusterRole",
                metadata,
                rules: [
                    {
                        apiGroups: [group],
                        resources: ["certificatesigningrequests"],
                        verbs: ["get", "list", "watch"],
                    },
                    {
                        apiGroups: [group],
                        resources: ["certificatesigningrequests/approval"],
                        verbs: ["update"],
                    },
                    {
                        apiGroups: [group],
                        resources: ["signers"],
                        resourceNames: [
                            "kubernetes.io/kube-apiserver-client-kubelet",
                            "kubernetes.io/kubelet-serving",
                        ],
                        verbs: ["approve"],
                    },
                ],
            },
            {
                apiVersion: `${apiGroup}/v1`,
                kind: "ClusterRoleBinding",
                metadata,
                roleRef: { apiGroup, kind: "ClusterRole", name: account.name },
                subjects,
            },
            // Its token it renews itself.
            {
                apiVersion: `${apiGroup}/v1`,
                kind: "Role",
                metadata: account,
                rules: [
                    {
                        apiGroups: [""],
                        resources: ["serviceaccounts/token"],
                        resourceNames: [account.name],
                        verbs: ["create"],
                    },
                ],
            },
            {
                apiVersion: `${apiGroup}/v1`,
                kind: "RoleBinding",
                metadata: account,
                roleRef: { apiGroup, kind: "Role", name: account.name },
                subjects,
            },
        ];
        const list = { apiVersion: "v1", kind: "List", items: objects };
        const created = await world.kubectl(["apply", "--filename=-"], { input: JSON.stringify(list) });
        assert.equal(created.exitCode, 0, created.stderr);
    }

    async function approver(step: "launchApprover" | "stopApprover"): Promise<void> {
        const input = {
            kubeconfigFile: node.kubeconfigFile,
            owner: node.owner,
            nodeName: node.nodeName,
            nodeIp: node.nodeIp,
            bootstrapGroup: node.bootstrapGroup,
            stateDir: node.stateDir,
            namespace: account.namespace,
            serviceAccount: account.name,
            tokenSeconds: 3600,
        };
        await pass(step, input);
    }

    const clientCertificate = () =>
        new X509Certificate(readKubeconfig(agentFiles(node.stateDir).kubeconfigFile).certificate);

    /** `kubectl logs -f`, with the time at which each piece came. */
    function follow(pod: string): { child: ChildProcess; text: () => string; arrivals: number[] } {
        const argv = ["logs", "--follow", `--namespace=${world.namespace}`, pod];
        const child = spawn("kubectl", [`--kubeconfig=${underTest().kubeconfigFile}`, ...argv], {
            stdio: ["ignore", "pipe", "inherit"],
        });
        let text = "";
        const arrivals: number[] = [];
        child.stdout?.setEncoding("utf8").on("data", (piece: string) => {
            text += piece;
            arrivals.push(Date.now());
        });
        return { child, text: () => text, arrivals };
    }

    it(`each is renewed ${RENEWALS} times while one kubectl logs -f goes on`, async () => {
        const pod = await world.start("ticks", {
            args: ["ticks", "200", "0"],
            spec: { nodeSelector: { "kubernetes.io/hostname": node.nodeName } },
        });
        await world.untilRunning(pod);
        const following = follow(pod.metadata.name);
        try {
            const seen = { client: new Set<string>(), serving: new Set<string>() };
            const begun = Date.now();
            await world.until(
                `${RENEWALS} renewals`,
                async () => {
                    const served = await shownCertificate(node.nodeIp, node.port);
                    assert.equal(isVerified(served, node.nodeName, node.nodeIp), true);
                    const client = clientCertificate();
                    for (const certificate of [served, client]) {
                        const left = Date.parse(certificate.validTo) - Date.now();
                        assert.ok(left > 0 && left <= LIFE * 1000, certificate.validTo);
                    }
                    seen.serving.add(served.serialNumber);
                    seen.client.add(client.serialNumber);
                    return Math.min(seen.serving.size, seen.client.size) > RENEWALS ? true : undefined;
                },
                {
                    seconds: 180,
                    explain: () => `client: ${seen.client.size - 1}, serving: ${seen.serving.size - 1}`,
                },
            );
            console.log(`${RENEWALS} renewals in ${((Date.now() - begun) / 1000).toFixed(0)} s`);
            // The newest connection too: a log is served with the newest certificate.
            await world.untilLog(pod, "a tick", (log) => log.startsWith("tick 1\n"));

            assert.equal(following.child.exitCode, null, "kubectl logs -f has ended");
            const lines = following.text().split("\n").slice(0, -1);
            assert.deepEqual(
                lines,
                lines.map((_, index) => `tick ${index + 1}`),
            );
            const pauses = following.arrivals.slice(1).map((at, index) => at - following.arrivals[index]);
            assert.ok(Date.now() - (following.arrivals.at(-1) ?? 0) < MOST_SILENCE);
            assert.ok(Math.max(...pauses) < MOST_SILENCE, `${Math.max(...pauses)} ms of silence`);
            assert.ok(lines.length * 200 > (Date.now() - begun) / 2, `${lines.length} lines`);
        } finally {
            following.child.kill();
        }
    });

    it("the node is Ready afterwards, and each renewal went by a request that was approved", async () => {
        const { status } = await world.api.get<{
            status: { conditions: { type: string; status: string }[] };
        }>(`/api/v1/nodes/${node.nodeName}`);
        assert.equal(status.conditions.find(({ type }) => type === "Ready")?.status, "True");
        const { items } = await world.api.get<{
            items: {
                spec: { username: string; signerName: string };
                status: { conditions?: { type: string }[] };
            }[];
        }>("/apis/certificates.k8s.io/v1/certificatesigningrequests");
        const own = items.filter(({ spec }) => spec.username === `system:node:${node.nodeName}`);
        for (const signer of ["kube-apiserver-client-kubelet", "kubelet-serving"]) {
            const approved = own.filter(
                ({ spec, status: { conditions = [] } }) =>
                    spec.signerName === `kubernetes.io/${signer}` &&
                    conditions.length === 1 &&
                    conditions[0].type === "Approved",
            );
            assert.ok(approved.length >= RENEWALS, `${signer}: ${approved.length}`);
        }
    });
});
