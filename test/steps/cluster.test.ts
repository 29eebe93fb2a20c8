import assert from "node:assert/strict";
import { copyFileSync, existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import type * as contract from "../../steps/contract";
import { agentFiles, runningAgents } from "../../steps/node/agent/agent";
import { processOf } from "../../steps/lib/processes";
import { run } from "../../steps/lib/run";
import { NODE_IMAGE } from "../../common/versions";
import {
    adminFile,
    allowRequests,
    checks,
    clusterInput,
    containers,
    csrs,
    folder,
    forgedRequest,
    get,
    group,
    kubectl,
    leftOf,
    nodeName,
    owner,
    stateDir,
    tokensOf,
    volumes,
} from "./clusterUnderTest";
import { fail, pass, passTwice, start } from "./runStep";

/** A copy of the admin kubeconfig, for when the cluster has gone. */
const keptFile = path.join(folder, "kept.kubeconfig");

const runs = (pid: number) => processOf(pid) !== undefined;

// One cluster for all: its parts depend on each other in this order, as in a stack.
describe("a cluster and its Wasm node, step by step", () => {
    let cluster: contract.ClusterOutput;
    let token: contract.BootstrapTokenInput;
    let node: contract.ProcessNodeInput;
    let approval: contract.CertificateApprovalInput;
    let agent: contract.NodeOutput;
    let clusterVolumes: string[];

    before(async () => {
        await pass("deleteKindCluster", clusterInput);
        writeFileSync(
            clusterInput.mergeKubeconfigFile ?? "",
            "apiVersion: v1\nkind: Config\ncontexts:\n- name: mine\n  context: {cluster: c, user: u}\n",
        );
    });
    after(async () => {
        if (node) await start("stopNode", JSON.stringify(node));
        await start("deleteKindCluster", JSON.stringify(clusterInput));
        rmSync(folder, { recursive: true, force: true });
    });

    it("createKindCluster leaves nothing when it is ended half-way", async () => {
        let made: Promise<string[]> | undefined;
        const result = await start("createKindCluster", JSON.stringify(clusterInput), {
            onProgress: (child, text) => {
                if (made !== undefined || !text.includes("Starting control-plane")) return;
                made = volumes();
                void made.finally(() => child.kill("SIGINT"));
            },
        });
        assert.equal(result.exitCode, 1, result.stderr);
        assert.equal(result.stdout, "");
        assert.match(result.stderr, /createKindCluster: SIGINT, cleaning up\n/);
        assert.match(result.stderr, /\ncreateKindCluster: ended by a signal; what it had begun is undone\n$/);
        assert.deepEqual(await containers(), []);
        assert.equal((await made)?.length, 1);
        assert.deepEqual(await leftOf((await made) ?? []), []);
    });

    it("createKindCluster makes a cluster after a run that was killed", async () => {
        const killed = await start("createKindCluster", JSON.stringify(clusterInput), {
            onProgress: (child, text) => {
                if (text.includes("Writing configuration")) child.kill("SIGKILL");
            },
        });
        assert.equal(killed.exitCode, null);
        cluster = await pass("createKindCluster", clusterInput);
        clusterVolumes = await volumes();
        assert.equal(clusterVolumes.length, 1);
        const system = await get<{ metadata: { uid: string } }>("/api/v1/namespaces/kube-system");
        assert.deepEqual(
            { ...cluster, server: "", nodeAddress: "" },
            {
                name: clusterInput.name,
                kubeconfigFile: adminFile,
                context: "kind-krustlet-steps-test",
                server: "",
                kubernetesVersion: NODE_IMAGE.tag,
                network: "kind",
                nodeAddress: "",
                identity: system.metadata.uid,
            },
        );
        assert.match(cluster.server, /^https:\/\/127\.0\.0\.1:\d+$/);
        assert.match(cluster.nodeAddress, /^\d+\.\d+\.\d+\.1$/);
        assert.equal(statSync(adminFile).mode & 0o777, 0o600);
        assert.equal(statSync(path.dirname(adminFile)).mode & 0o777, 0o700);
    });

    it("createKindCluster adopts its own cluster as it is, whatever else has joined it", async () => {
        // A Wasm node whose agent has died, by a name like those of kind's own.
        const name = `${clusterInput.name}-2`;
        const dead = { apiVersion: "v1", kind: "Node", metadata: { name } };
        assert.equal((await kubectl(["create", "-f", "-"], dead)).exitCode, 0);
        const result = await start("createKindCluster", JSON.stringify(clusterInput));
        assert.equal((await kubectl(["delete", "node", name])).exitCode, 0);
        assert.equal(result.exitCode, 0, result.stderr);
        assert.deepEqual(JSON.parse(result.stdout), cluster);
        assert.match(result.stderr, /cluster "krustlet-steps-test" is there already/);
    });

    it("a lost kubeconfig is written again, by createKindCluster and by observeKindCluster", async () => {
        const content = readFileSync(adminFile, "utf8");
        const { name, image, kubeadmConfigPatches, containerdConfigPatches } = clusterInput;
        const wanted = { name, image, kubeadmConfigPatches, containerdConfigPatches };
        const look = { resource: "c-kind", owner, kubeconfigFile: adminFile, wanted };
        for (const mend of [
            () => pass("createKindCluster", clusterInput),
            () => pass("observeKindCluster", look),
        ]) {
            rmSync(path.dirname(adminFile), { recursive: true });
            await mend();
            assert.equal(readFileSync(adminFile, "utf8"), content);
            assert.equal(statSync(adminFile).mode & 0o777, 0o600);
            assert.equal(statSync(path.dirname(adminFile)).mode & 0o777, 0o700);
        }
        // Another owner gets none.
        const other = { ...look, owner: "krustlet-stack/other", kubeconfigFile: path.join(folder, "other") };
        assert.deepEqual(await pass("observeKindCluster", other), {});
        assert.equal(existsSync(other.kubeconfigFile), false);
    });

    it("createKindCluster starts its cluster where it stands still: nothing in it is lost", async () => {
        assert.equal((await kubectl(["create", "configmap", "mine", "--from-literal=a=b"])).exitCode, 0);
        const ids = await containers();
        for (const act of ["stop", "pause"]) {
            await run(["docker", act, ...ids]);
            const result = await start("createKindCluster", JSON.stringify(clusterInput));
            assert.equal(result.exitCode, 0, result.stderr);
            assert.match(
                result.stderr,
                /container krustlet-steps-test-control-plane stands still: started again/,
            );
            assert.equal((JSON.parse(result.stdout) as contract.ClusterOutput).identity, cluster.identity);
            assert.deepEqual(await containers(), ids);
        }
        assert.equal((await kubectl(["get", "configmap", "mine"])).exitCode, 0);
        assert.equal((await kubectl(["delete", "configmap", "mine"])).exitCode, 0);
    });

    it("createKindCluster writes the kubeconfig to another place, and over nothing else", async () => {
        const elsewhere = path.join(folder, "elsewhere", "kubeconfig");
        const moved = await pass("createKindCluster", { ...clusterInput, kubeconfigFile: elsewhere });
        assert.deepEqual(moved, { ...cluster, kubeconfigFile: elsewhere });
        assert.equal(readFileSync(elsewhere, "utf8"), readFileSync(adminFile, "utf8"));
        rmSync(path.dirname(elsewhere), { recursive: true });
        const kubeconfigFile = clusterInput.mergeKubeconfigFile ?? "";
        const mine = readFileSync(kubeconfigFile, "utf8");
        assert.match(
            await fail("createKindCluster", { ...clusterInput, kubeconfigFile }),
            /kubeconfigFile: .*merged\.kubeconfig holds more than, or other than, context "kind-krustlet-steps-test"/,
        );
        assert.equal(readFileSync(kubeconfigFile, "utf8"), mine);
    });

    it("a step without the kubeconfig says which file it is and how it comes back", async () => {
        const kubeconfigFile = path.join(folder, "none");
        assert.equal(
            await fail("approveKubeletCertificates", {
                kubeconfigFile,
                clusterName: clusterInput.name,
                owner,
                timeoutSeconds: 5,
            }),
            `approveKubeletCertificates: kubeconfigFile: there is no ${kubeconfigFile}, the cluster's admin kubeconfig; \`pulumi up\` (\`npm run up\`) ` +
                "on the stack that made the cluster writes it again; for a kind cluster of your own, " +
                `\`(umask 077; kind get kubeconfig --name CLUSTER >${kubeconfigFile})\` does\n`,
        );
    });

    it("createKindCluster merges into the file that was named, and keeps what was in it", async () => {
        const { stdout } = await kubectl(
            ["config", "get-contexts", "--output=name"],
            undefined,
            clusterInput.mergeKubeconfigFile,
        );
        assert.deepEqual(stdout.trim().split("\n").sort(), [cluster.context, "mine"]);
    });

    it("a cluster of another owner is refused and never touched", async () => {
        const before = await containers();
        const other = { ...clusterInput, owner: "krustlet-stack/other", mergeKubeconfigFile: undefined };
        const said =
            /a kind cluster "krustlet-steps-test" exists and belongs to krustlet-stack\/steps-test, so krustlet-stack\/other does not touch it/;
        assert.match(await fail("createKindCluster", other), said);
        assert.match(await fail("preflight", { ...checks, owner: other.owner }), said);
        await pass("deleteKindCluster", other);
        assert.deepEqual(await containers(), before);
    });

    it("createBootstrapToken writes a token that is good for its group alone, and revokes the one before", async () => {
        const file = path.join(stateDir, "bootstrap.kubeconfig");
        token = {
            kubeconfigFile: cluster.kubeconfigFile,
            owner,
            nodeName,
            group,
            tokenTtlSeconds: 600,
            file,
        };
        const first = await pass("createBootstrapToken", token);
        assert.equal(statSync(file).mode & 0o777, 0o600);
        assert.equal(statSync(stateDir).mode & 0o777, 0o700);
        const old = path.join(folder, "old.kubeconfig");
        writeFileSync(old, readFileSync(file), { mode: 0o600 });

        const made = await pass("createBootstrapToken", token);
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
        node = {
            kubeconfigFile: cluster.kubeconfigFile,
            owner,
            program: "krustlet-wasi",
            nodeName,
            nodeIp: cluster.nodeAddress,
            port: 3931,
            maxPods: 20,
            labels: { "example.com/test": "yes" },
            insecureRegistries: [],
            stateDir,
            bootstrapFile: token.file,
            bootstrapGroup: group,
            tokenTtlSeconds: 600,
        };
        approval = {
            kubeconfigFile: cluster.kubeconfigFile,
            owner,
            nodeName,
            nodeIp: node.nodeIp,
            bootstrapGroup: group,
            stateDir,
            timeoutSeconds: 30,
        };
        assert.match(
            await fail("approveCertificates", approval),
            /KrustletNode "krustlet-steps": its agent was not started/,
        );
        assert.match(
            await fail("launchNode", { ...node, nodeIp: "192.0.2.1" }),
            /nodeIp 192\.0\.2\.1 is no address of this host/,
        );
        assert.match(
            await fail("launchNode", { ...node, program: "krustlet-wasm" }),
            /program "krustlet-wasm" is not on PATH or in that place; `npm run doctor`/,
        );
        assert.match(
            await fail("launchNode", { ...node, owner: "krustlet-stack/other" }),
            /is of node "krustlet-steps" of krustlet-stack\/steps-test, not of/,
        );

        const taken = createServer();
        await new Promise<void>((resolve) => taken.listen(node.port, node.nodeIp, resolve));
        assert.match(
            await fail("launchNode", node),
            /port 3931 of [\d.]+ is in use: something listens on [\d.]+:3931/,
        );
        assert.match(await fail("preflight", checks), /KrustletNode "krustlet-steps": port 3931 is in use/);
        await new Promise((resolve) => taken.close(resolve));

        const failing = path.join(folder, "failing");
        writeFileSync(failing, "#!/bin/sh\necho the disk is full\nexit 3\n", { mode: 0o700 });
        const said = await fail("launchNode", { ...node, program: failing });
        assert.match(said, /its agent ended at once; its log, .*\/agent\.log, ends:\nthe disk is full\n$/);
        assert.equal(existsSync(path.join(stateDir, "agent.pid")), false);
    });

    it("launchNode starts the agent apart from its caller, with a minimal environment", async () => {
        process.env.KRUSTLET_STEPS_TEST_SECRET = "not for the agent";
        agent = await pass("launchNode", node);
        assert.deepEqual(
            { ...agent, pid: 0 },
            {
                pid: 0,
                logFile: path.join(stateDir, "agent.log"),
                dataDir: path.join(stateDir, "data"),
                kubeconfigFile: path.join(stateDir, "kubeconfig"),
            },
        );
        const session = readFileSync(`/proc/${agent.pid}/stat`, "utf8").split(") ")[1].split(" ")[3];
        assert.equal(session, String(agent.pid));
        const environment = readFileSync(`/proc/${agent.pid}/environ`, "utf8").split("\0").filter(Boolean);
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
            (await pass("launchNode", node)).pid,
            agent.pid,
            "an agent that runs as it should is kept",
        );
    });

    it("approveCertificates approves the node's two requests and ends its token (more: approval.test.ts)", async () => {
        await allowRequests();
        const names = await pass("approveCertificates", approval);
        assert.match(names.client ?? "", new RegExp(`^krustlet-${nodeName}-client-`));
        assert.match(names.serving ?? "", new RegExp(`^krustlet-${nodeName}-serving-`));
        const ours = (await csrs())
            .filter(({ status }) => status?.conditions?.some(({ type }) => type === "Approved"))
            .map(({ metadata }) => metadata.name)
            .filter((name) => name.startsWith("krustlet-"));
        assert.deepEqual(ours.sort(), [names.client, names.serving].sort());
        const secrets = await get<{ items: object[] }>("/api/v1/namespaces/kube-system/secrets");
        assert.equal(tokensOf(secrets.items).length, 0);
        assert.equal(existsSync(token.file), false);
    });

    it("awaitNode waits until the node is Ready", async () => {
        const output = await pass("awaitNode", {
            kubeconfigFile: cluster.kubeconfigFile,
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
        assert.deepEqual(await pass("approveCertificates", approval), { client: null, serving: null });
        await pass("preflight", checks);
    });

    it("launchNode replaces an agent whose command line has changed; the node keeps its certificates", async () => {
        node = { ...node, maxPods: 21 };
        const next = await pass("launchNode", node);
        assert.notEqual(next.pid, agent.pid);
        assert.equal(runs(agent.pid), false);
        agent = next;
        assert.deepEqual(await pass("approveCertificates", approval), { client: null, serving: null });
        await pass("awaitNode", {
            kubeconfigFile: cluster.kubeconfigFile,
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
            const result = await start("launchNode", JSON.stringify(node), { env: { NO_PROXY } });
            assert.equal(result.exitCode, 0, result.stderr);
            const next = JSON.parse(result.stdout) as contract.NodeOutput;
            assert.notEqual(next.pid, agent.pid);
            const environment = readFileSync(`/proc/${next.pid}/environ`, "utf8").split("\0");
            assert.equal(environment.includes(`NO_PROXY=${NO_PROXY}`), NO_PROXY !== "");
            agent = next;
        }
        assert.equal((await pass("launchNode", node)).pid, agent.pid, "it is kept again");
    });

    it("awaitNode and approveCertificates fail at once when the agent has died; launchNode starts it again", async () => {
        // Its supervisor would start it again.
        for (const { pid } of runningAgents(agentFiles(stateDir))) process.kill(pid, "SIGKILL");
        const begun = Date.now();
        const said = /KrustletNode "krustlet-steps": its agent has ended; its log, .*agent\.log, ends:\n./;
        assert.match(
            await fail("awaitNode", {
                kubeconfigFile: cluster.kubeconfigFile,
                nodeName,
                stateDir,
                timeoutSeconds: 60,
            }),
            said,
        );
        assert.match(await fail("approveCertificates", { ...approval, timeoutSeconds: 60 }), said);
        assert.ok(Date.now() - begun < 15_000);
        agent = await pass("launchNode", node);
        await pass("awaitNode", {
            kubeconfigFile: cluster.kubeconfigFile,
            nodeName,
            stateDir,
            timeoutSeconds: 30,
        });
    });

    it("deleteCertificateRequests deletes the node's requests and leaves others", async () => {
        const foreign = forgedRequest(`krustlet-${nodeName}-client-second`, "example.com/signer");
        assert.equal((await kubectl(["create", "-f", "-"], foreign)).exitCode, 0);
        await pass("deleteCertificateRequests", approval);
        const left = (await csrs())
            .map(({ metadata }) => metadata.name)
            .filter((name) => name.startsWith("krustlet-"));
        assert.deepEqual(left, [`krustlet-${nodeName}-client-second`]);
    });

    it("stopNode ends the agent and leaves no Node, lease or file; again is fine", async () => {
        await pass("stopNode", { ...node, owner: "krustlet-stack/other" });
        assert.equal(runs(agent.pid), true, "another owner's stopNode does nothing");
        await passTwice("stopNode", node);
        assert.equal(runs(agent.pid), false);
        assert.equal(existsSync(stateDir), false);
        assert.match((await kubectl(["get", "--raw", `/api/v1/nodes/${nodeName}`])).stderr, /NotFound/);
        const lease = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${nodeName}`;
        assert.match((await kubectl(["get", "--raw", lease])).stderr, /NotFound/);
    });

    it("deleteBootstrapToken revokes a token though its file has gone; again is fine", async () => {
        await pass("createBootstrapToken", token);
        rmSync(token.file);
        await passTwice("deleteBootstrapToken", token);
        const { items } = await get<{ items: object[] }>("/api/v1/namespaces/kube-system/secrets");
        assert.equal(tokensOf(items).length, 0);
    });

    it("deleteKindCluster leaves no container, volume, network, kubeconfig or context; again is fine", async () => {
        copyFileSync(adminFile, keptFile);
        await passTwice("deleteKindCluster", clusterInput);
        assert.deepEqual(await containers(), []);
        assert.deepEqual(await leftOf(clusterVolumes), []);
        assert.equal(existsSync(path.dirname(adminFile)), false);
        const onNetwork = (
            await run(["docker", "ps", "--all", "--quiet", "--filter=network=kind"])
        ).stdout.trim();
        const networks = (await run(["docker", "network", "ls", "--format={{.Name}}"])).stdout.split("\n");
        assert.equal(networks.includes("kind"), onNetwork !== "");
        const { stdout } = await kubectl(
            ["config", "get-contexts", "--output=name"],
            undefined,
            clusterInput.mergeKubeconfigFile,
        );
        assert.deepEqual(stdout.trim().split("\n"), ["mine"]);
    });

    it("what is deleted in a cluster that has gone is deleted quickly", async () => {
        for (const [name, input] of [
            ["stopNode", node],
            ["deleteBootstrapToken", token],
            ["deleteCertificateRequests", approval],
        ] as const) {
            for (const [kubeconfigFile, said] of [
                [adminFile, /nothing is deleted in the cluster: there is no .*kubeconfig to reach it by/],
                [keptFile, /nothing is deleted in the cluster, which is gone/],
            ] as const) {
                const result = await start(name, JSON.stringify({ ...input, kubeconfigFile }));
                assert.equal(result.exitCode, 0, result.stderr);
                assert.match(result.stderr, said);
                assert.ok(result.seconds < 10, `${name} took ${result.seconds} s`);
            }
        }
    });
});
