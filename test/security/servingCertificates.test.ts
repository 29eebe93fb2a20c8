/** The API server talks to nobody who does not prove to be the node: kind's own kubelets and the Wasm node. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { agentFiles } from "../../steps/node/agent/agent";
import type { CertificateSigningRequest } from "../../steps/node/certificates/certificateRequests";
import { endSeconds } from "../../steps/node/daemon/container";
import { endProcess } from "../../steps/lib/processes";
import { run } from "../../steps/lib/run";
import { agent } from "../node/lib/agent";
import { underTest } from "../node/underTest";
import { World } from "../node/lib/world";
import { pass, start } from "../steps/runStep";
import { makeCertificate } from "../unit/steps/node/makeCertificate";
import { CN, makeCsr, newKey, O } from "../unit/steps/node/makeCsr";
import { isVerified, shownCertificate } from "./wire";

const requests = "/apis/certificates.k8s.io/v1/certificatesigningrequests";
const forged = "forged-kubelet-serving";

describe("serving certificates", { timeout: 240_000 }, () => {
    let world: World;
    before(async () => {
        world = await World.open("serving");
    });
    after(async () => {
        await world.close();
    });

    const controlPlane = () => `${underTest().clusterName}-control-plane`;

    async function address(): Promise<string> {
        const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        return (await run(["docker", "inspect", `--format=${format}`, controlPlane()])).stdout.trim();
    }

    /** `kubectl logs` of the API server's own pod, which kind's kubelet serves. */
    const controlPlaneLogs = () =>
        world.kubectl(["logs", "--namespace=kube-system", `kube-apiserver-${controlPlane()}`, "--tail=1"]);

    /** A request in the kubelet's name, right in all but for who files it: whoever may impersonate could. */
    async function forge(): Promise<void> {
        const subject: [string, string][] = [
            [O, "system:nodes"],
            [CN, `system:node:${controlPlane()}`],
        ];
        const names = [{ dNSName: controlPlane() }, { iPAddress: await address() }];
        const request = {
            apiVersion: "certificates.k8s.io/v1",
            kind: "CertificateSigningRequest",
            metadata: { name: forged },
            spec: {
                request: Buffer.from(makeCsr({ key: newKey(), subject, names })).toString("base64"),
                signerName: "kubernetes.io/kubelet-serving",
                usages: ["digital signature", "server auth"],
            },
        };
        const groups = ["system:nodes", "system:authenticated"].map((group) => `--as-group=${group}`);
        const args = ["create", `--as=system:node:${controlPlane()}`, ...groups, "--filename=-"];
        const created = await world.kubectl(args, { input: JSON.stringify(request) });
        assert.equal(created.exitCode, 0, created.stderr);
    }

    it("a kubelet without one serves no logs; approved, it does, and a forged request is denied", async () => {
        const before = await controlPlaneLogs();
        assert.notEqual(before.exitCode, 0, before.stdout);
        assert.match(before.stderr, /tls|certificate/);
        await forge();

        const input = {
            kubeconfigFile: underTest().node.kubeconfigFile,
            clusterName: underTest().clusterName,
            owner: underTest().node.owner,
            timeoutSeconds: 120,
        };
        const begun = Date.now();
        const { requests: first } = await pass("approveKubeletCertificates", input);
        console.log(`the kubelet had its certificate after ${((Date.now() - begun) / 1000).toFixed(1)} s`);
        assert.deepEqual(Object.keys(first), [controlPlane()]);
        assert.match(first[controlPlane()] ?? "", /^csr-/);
        // Done already: nothing to do.
        assert.deepEqual(await pass("approveKubeletCertificates", input), {
            requests: { [controlPlane()]: null },
        });

        const { status } = await world.api.get<CertificateSigningRequest>(`${requests}/${forged}`);
        assert.equal(status?.certificate, undefined);
        assert.deepEqual(
            status?.conditions?.map(({ type, reason }) => [type, reason]),
            [["Denied", "KrustletStackDenied"]],
        );
        assert.match(status?.conditions?.[0].message ?? "", /filed with credential unknown/);
        await world.api.delete(`${requests}/${forged}`);

        const after = await controlPlaneLogs();
        assert.equal(after.exitCode, 0, after.stderr);
        assert.notEqual(after.stdout, "");
        const at = await address();
        assert.equal(isVerified(await shownCertificate(at, 10_250), controlPlane(), at), true);
    });

    it("the API server was told to verify, by an argument beside those that kind gives it", async () => {
        const pod = `/api/v1/namespaces/kube-system/pods/kube-apiserver-${controlPlane()}`;
        const { spec } = await world.api.get<{ spec: { containers: { command: string[] }[] } }>(pod);
        const { command } = spec.containers[0];
        assert.ok(command.includes("--kubelet-certificate-authority=/etc/kubernetes/pki/ca.crt"));
        assert.ok(command.some((argument) => argument.startsWith("--runtime-config=")));
    });

    it("with a self-signed one put in its place kubectl logs of the Wasm node fails; put back, it works", async () => {
        const { node } = underTest();
        const pod = await world.start("hello", { args: ["print", "hello"] });
        await world.untilEnded(pod);
        const logs = () => world.kubectl(["logs", `--namespace=${world.namespace}`, pod.metadata.name]);
        assert.equal((await logs()).stdout, "hello\n");

        const { dataDir } = agentFiles(node.stateDir);
        const files = ["krustlet.crt", "krustlet.key"].map((name) => path.join(dataDir, "config", name));
        const own = await Promise.all(files.map((file) => fs.readFile(file)));
        // An agent takes a certificate of another name than a node's for one that its user brought.
        const names = [{ dNSName: node.nodeName }, { iPAddress: node.nodeIp }];
        const { certificate, privateKey } = makeCertificate({ commonName: "impostor", names });
        const put = async (contents: (string | Buffer)[]) => {
            await endProcess(agent(), endSeconds);
            for (const [index, file] of files.entries())
                await fs.writeFile(file, contents[index], { mode: 0o600 });
            await pass("launchNode", node);
            const { kubeconfigFile, nodeName, stateDir } = node;
            return start(
                "awaitNode",
                JSON.stringify({ kubeconfigFile, nodeName, stateDir, timeoutSeconds: 60 }),
            );
        };
        try {
            const joined = await put([certificate, privateKey]);
            assert.equal(joined.exitCode, 1);
            assert.match(
                joined.stderr,
                /^awaitNode: KrustletNode "\S+": it is Ready, but the cluster's API server does not reach it \(.*x509: certificate signed by unknown authority/,
            );
            const shown = await shownCertificate(node.nodeIp, node.port);
            assert.equal(shown.subject, "CN=impostor");
            const { stdout, stderr, exitCode } = await logs();
            assert.notEqual(exitCode, 0);
            assert.equal(stdout, "");
            assert.match(stderr, /x509: certificate signed by unknown authority/);
        } finally {
            assert.equal((await put(own)).exitCode, 0);
        }
        const shown = await shownCertificate(node.nodeIp, node.port);
        assert.equal(isVerified(shown, node.nodeName, node.nodeIp), true);
        await world.until("the log, anew", async () =>
            (await logs()).stdout === "hello\n" ? true : undefined,
        );
    });
});
