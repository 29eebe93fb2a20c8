/** A Wasm node as its steps bring it into the cluster and keep it there. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import * as path from "node:path";
import { it } from "node:test";
import type * as contract from "../../../steps/contract";
import { agentFiles, runningAgents } from "../../../steps/node/agent/agent";
import { fail, pass, start } from "../runStep";
import {
    allowRequests,
    checks,
    csrs,
    folder,
    get,
    group,
    kubectl,
    nodeName,
    owner,
    parts,
    runs,
    stateDir,
    tokensOf,
} from "./clusterUnderTest";

export function nodeJoins(): void {
    it("createBootstrapToken writes a token that is good for its group alone, and revokes the one before", async () => {
        const file = path.join(stateDir, "bootstrap.kubeconfig");
        parts.token = {
            kubeconfigFile: parts.cluster.kubeconfigFile,
            owner,
            nodeName,
            group,
            tokenTtlSeconds: 600,
            file,
        };
        const first = await pass("createBootstrapToken", parts.token);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        assert.equal(statSync(stateDir).mode & 0o777, 0o700);
        const old = path.join(folder, "old.kubeconfig");
        writeFileSync(old, readFileSync(file), { mode: 0o600 });

        const made = await pass("createBootstrapToken", parts.token);
        assert.notEqual(made.username, first.username);
        const review = { apiVersion: "authentication.k8s.io/v1", kind: "SelfSubjectReview" };
        const whoAmI = (kubeconfig: string) =>
            kubectl(
                ["create", "--raw=/apis/authentication.k8s.io/v1/selfsubjectreviews", "-f", "-"],
                review,
                kubeconfig,
            );
        const who = JSON.parse((await whoAmI(file)).stdout) as {
            status: { userInfo: { username: string; groups: string[] } };
        };
        assert.equal(who.status.userInfo.username, made.username);
        assert.deepEqual(
            who.status.userInfo.groups.sort(),
            ["system:authenticated", "system:bootstrappers", group].sort(),
        );
        assert.match((await whoAmI(old)).stderr, /Unauthorized|logged in/);
        const secrets = await get<{ items: object[] }>("/api/v1/namespaces/kube-system/secrets");
        assert.equal(tokensOf(secrets.items).length, 1);
    });

    it("launchNode says what is wrong with an address, a port and a program", async () => {
        parts.node = {
            kubeconfigFile: parts.cluster.kubeconfigFile,
            owner,
            program: "krustlet-wasi",
            nodeName,
            nodeIp: parts.cluster.nodeAddress,
            port: 3931,
            maxPods: 20,
            labels: { "example.com/test": "yes" },
            insecureRegistries: [],
            stateDir,
            bootstrapFile: parts.token.file,
            bootstrapGroup: group,
            tokenTtlSeconds: 600,
        };
        parts.approval = {
            kubeconfigFile: parts.cluster.kubeconfigFile,
            owner,
            nodeName,
            nodeIp: parts.node.nodeIp,
            bootstrapGroup: group,
            stateDir,
            timeoutSeconds: 30,
        };
        assert.match(
            await fail("approveCertificates", parts.approval),
            /KrustletNode "krustlet-steps": its agent was not started/,
        );
        assert.match(
            await fail("launchNode", { ...parts.node, nodeIp: "192.0.2.1" }),
            /nodeIp 192\.0\.2\.1 is no address of this host/,
        );
        assert.match(
            await fail("launchNode", { ...parts.node, program: "krustlet-wasm" }),
            /program "krustlet-wasm" is not on PATH or in that place; `npm run doctor`/,
        );
        assert.match(
            await fail("launchNode", { ...parts.node, owner: "krustlet-stack/other" }),
            /is of node "krustlet-steps" of krustlet-stack\/steps-test, not of/,
        );

        const taken = createServer();
        await new Promise<void>((resolve) => taken.listen(parts.node.port, parts.node.nodeIp, resolve));
        assert.match(
            await fail("launchNode", parts.node),
            /port 3931 of [\d.]+ is in use: something listens on [\d.]+:3931/,
        );
        assert.match(await fail("preflight", checks), /KrustletNode "krustlet-steps": port 3931 is in use/);
        await new Promise((resolve) => taken.close(resolve));

        const failing = path.join(folder, "failing");
        writeFileSync(failing, "#!/bin/sh\necho the disk is full\nexit 3\n", { mode: 0o700 });
        const said = await fail("launchNode", { ...parts.node, program: failing });
        assert.match(said, /its agent ended at once; its log, .*\/agent\.log, ends:\nthe disk is full\n$/);
        assert.equal(existsSync(path.join(stateDir, "agent.pid")), false);
    });

    it("launchNode starts the agent apart from its caller, with a minimal environment", async () => {
        process.env.KRUSTLET_STEPS_TEST_SECRET = "not for the agent";
        parts.agent = await pass("launchNode", parts.node);
        assert.deepEqual(
            { ...parts.agent, pid: 0 },
            {
                pid: 0,
                logFile: path.join(stateDir, "agent.log"),
                dataDir: path.join(stateDir, "data"),
                kubeconfigFile: path.join(stateDir, "kubeconfig"),
            },
        );
        const session = readFileSync(`/proc/${parts.agent.pid}/stat`, "utf8").split(") ")[1].split(" ")[3];
        assert.equal(session, String(parts.agent.pid));
        const environment = readFileSync(`/proc/${parts.agent.pid}/environ`, "utf8")
            .split("\0")
            .filter(Boolean);
        const names = environment.map((entry) => entry.split("=")[0]);
        const kept = [
            "PATH",
            "HOME",
            "RUST_LOG",
            "KUBECONFIG",
            "DOCKER_CONFIG",
            "SSL_CERT_FILE",
            "SSL_CERT_DIR",
            "HTTPS_PROXY",
            "HTTP_PROXY",
            "NO_PROXY",
        ];
        assert.deepEqual(
            names.filter((name) => !kept.includes(name.toUpperCase())),
            [],
        );
        for (const file of ["agent.log", "agent.pid"])
            assert.equal(statSync(path.join(stateDir, file)).mode & 0o777, 0o600);
        assert.equal(
            (await pass("launchNode", parts.node)).pid,
            parts.agent.pid,
            "an agent that runs as it should is kept",
        );
    });

    it("approveCertificates approves the node's two requests and ends its token (more: approval.test.ts)", async () => {
        await allowRequests();
        const names = await pass("approveCertificates", parts.approval);
        assert.match(names.client ?? "", new RegExp(`^krustlet-${nodeName}-client-`));
        assert.match(names.serving ?? "", new RegExp(`^krustlet-${nodeName}-serving-`));
        const ours = (await csrs())
            .filter(({ status }) => status?.conditions?.some(({ type }) => type === "Approved"))
            .map(({ metadata }) => metadata.name)
            .filter((name) => name.startsWith("krustlet-"));
        assert.deepEqual(ours.sort(), [names.client, names.serving].sort());
        const secrets = await get<{ items: object[] }>("/api/v1/namespaces/kube-system/secrets");
        assert.equal(tokensOf(secrets.items).length, 0);
        assert.equal(existsSync(parts.token.file), false);
    });

    it("awaitNode waits until the node is Ready", async () => {
        const output = await pass("awaitNode", {
            kubeconfigFile: parts.cluster.kubeconfigFile,
            nodeName,
            stateDir,
            timeoutSeconds: 30,
        });
        assert.deepEqual(
            { ...output, kubeletVersion: "" },
            { nodeName, hostname: nodeName, kubeletVersion: "" },
        );
        assert.notEqual(output.kubeletVersion, "unknown");
        const { metadata } = await get<{ metadata: { labels: Record<string, string> } }>(
            `/api/v1/nodes/${nodeName}`,
        );
        assert.equal(metadata.labels["example.com/test"], "yes");
        assert.deepEqual(await pass("approveCertificates", parts.approval), { client: null, serving: null });
        await pass("preflight", checks);
    });

    it("launchNode replaces an agent whose command line has changed; the node keeps its certificates", async () => {
        parts.node = { ...parts.node, maxPods: 21 };
        const next = await pass("launchNode", parts.node);
        assert.notEqual(next.pid, parts.agent.pid);
        assert.equal(runs(parts.agent.pid), false);
        parts.agent = next;
        assert.deepEqual(await pass("approveCertificates", parts.approval), { client: null, serving: null });
        await pass("awaitNode", {
            kubeconfigFile: parts.cluster.kubeconfigFile,
            nodeName,
            stateDir,
            timeoutSeconds: 30,
        });
        const { status } = await get<{ status: { capacity: Record<string, string> } }>(
            `/api/v1/nodes/${nodeName}`,
        );
        assert.equal(status.capacity.pods, "21");
    });

    it("launchNode replaces an agent that asks registries by another environment than its own", async () => {
        for (const NO_PROXY of ["registry.example.com:5000", process.env.NO_PROXY ?? ""]) {
            const result = await start("launchNode", JSON.stringify(parts.node), { env: { NO_PROXY } });
            assert.equal(result.exitCode, 0, result.stderr);
            const next = JSON.parse(result.stdout) as contract.NodeOutput;
            assert.notEqual(next.pid, parts.agent.pid);
            const environment = readFileSync(`/proc/${next.pid}/environ`, "utf8").split("\0");
            assert.equal(environment.includes(`NO_PROXY=${NO_PROXY}`), NO_PROXY !== "");
            parts.agent = next;
        }
        assert.equal((await pass("launchNode", parts.node)).pid, parts.agent.pid, "it is kept again");
    });

    it("awaitNode and approveCertificates fail at once when the agent has died; launchNode starts it again", async () => {
        // Its supervisor would start it again.
        for (const { pid } of runningAgents(agentFiles(stateDir))) process.kill(pid, "SIGKILL");
        const begun = Date.now();
        const said = /KrustletNode "krustlet-steps": its agent has ended; its log, .*agent\.log, ends:\n./;
        assert.match(
            await fail("awaitNode", {
                kubeconfigFile: parts.cluster.kubeconfigFile,
                nodeName,
                stateDir,
                timeoutSeconds: 60,
            }),
            said,
        );
        assert.match(await fail("approveCertificates", { ...parts.approval, timeoutSeconds: 60 }), said);
        assert.ok(Date.now() - begun < 15_000);
        parts.agent = await pass("launchNode", parts.node);
        await pass("awaitNode", {
            kubeconfigFile: parts.cluster.kubeconfigFile,
            nodeName,
            stateDir,
            timeoutSeconds: 30,
        });
    });
}
