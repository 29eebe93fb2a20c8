import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import type * as contract from "../../steps/contract";
import { runningAgents } from "../../steps/node/agent/agent";
import { approverFiles, runningApprovers } from "../../steps/node/certificates/approverFiles";
import { isAlive } from "../../steps/lib/processes";
import { run } from "../../steps/lib/run";
import { newKey } from "../unit/steps/node/makeCsr";
import { until } from "../until";
import * as under from "./approvalUnderTest";
import { forgeries } from "./forgeries";
import { fail, pass, passTwice, start } from "./runStep";

const { bootstrapFile, files, group, kubectl, nodeName, stateDir } = under;

// One cluster and one node for all: its parts depend on each other in this order, as in a stack.
describe("approval against a real API server", () => {
    let cluster: contract.ClusterOutput;
    let token: contract.BootstrapTokenInput;
    let node: contract.NodeInput;
    let approval: contract.CertificateApprovalInput;
    let approver: contract.ApproverInput;
    let nodeIp: string;
    let joined: string[];
    const ended = path.join(under.folder, "ended.kubeconfig");

    before(async () => {
        await pass("deleteKindCluster", under.clusterInput);
        cluster = await pass("createKindCluster", under.clusterInput);
        const { kubeconfigFile } = cluster;
        nodeIp = cluster.nodeAddress;
        await under.makeObjects(nodeIp);
        const common = { kubeconfigFile, owner: under.owner, nodeName };
        token = { ...common, group, tokenTtlSeconds: 600, file: bootstrapFile };
        node = {
            ...common,
            program: under.idleAgent(),
            nodeIp,
            port: 3941,
            maxPods: 10,
            labels: {},
            insecureRegistries: [],
            stateDir,
            bootstrapFile,
            bootstrapGroup: group,
            tokenTtlSeconds: 600,
        };
        approval = { ...common, nodeIp, bootstrapGroup: group, stateDir, timeoutSeconds: 90 };
        approver = {
            ...common,
            nodeIp,
            bootstrapGroup: group,
            stateDir,
            namespace: "kube-system",
            serviceAccount: `krustlet-approver-${nodeName}`,
            tokenSeconds: 86_400,
        };
    });
    after(async () => {
        if (approver) await start("stopApprover", JSON.stringify(approver));
        if (node) await start("stopNode", JSON.stringify(node));
        await start("deleteKindCluster", JSON.stringify(under.clusterInput));
        rmSync(under.folder, { recursive: true, force: true });
    });

    it("a bootstrap token may file requests and read one by its name, nothing else", async () => {
        await pass("createBootstrapToken", token);
        const csrs = "certificatesigningrequests.certificates.k8s.io";
        for (const verb of ["create", "get"]) assert.ok(await under.may(bootstrapFile, verb, csrs), verb);
        const forbidden = [
            ...["list", "watch", "update", "patch", "delete"].map((verb) => [verb, csrs]),
            ["update", csrs, "--subresource=approval"],
            // What kubeadm gives its own bootstrap group, so that kube-controller-manager approves what it asks for.
            ["create", csrs, "--subresource=nodeclient"],
            ["create", csrs, "--subresource=selfnodeclient"],
            ["get", "nodes"],
            ["get", "secrets", "--namespace=kube-system"],
            ["get", "configmaps", "--namespace=kube-system"],
        ];
        for (const args of forbidden)
            assert.equal(await under.may(bootstrapFile, ...args), false, args.join(" "));
    });

    it("launchNode that fails leaves no token, and the next one makes a new one", async () => {
        assert.match(
            await fail("launchNode", { ...node, nodeIp: "192.0.2.1" }),
            /192\.0\.2\.1 is no address/,
        );
        assert.equal(await under.tokens(), 0);
        assert.equal(existsSync(bootstrapFile), false);
        await pass("launchNode", node);
        assert.equal(await under.tokens(), 1);
        assert.equal(statSync(bootstrapFile).mode & 0o777, 0o600);
    });

    it("of twelve requests in the node's name its own two are approved, ten denied; the step fails at the end", async () => {
        writeFileSync(ended, readFileSync(bootstrapFile), { mode: 0o600 });
        const filed: [string, string, RegExp][] = [];
        for (const [what, object, kubeconfig, as, reason] of forgeries(nodeIp))
            filed.push([what, await under.file(object, kubeconfig, as), reason]);
        // The API server itself refuses a broken signature.
        const broken = await kubectl(
            ["create", "-f", "-"],
            under.request("client", nodeIp, newKey(), { parts: { corrupt: true } }),
            bootstrapFile,
        );
        assert.match(broken.stderr, /spec\.request: Invalid value/);

        const deciding = start("approveCertificates", JSON.stringify(approval));
        joined = await under.joinAs(cluster, nodeIp);
        const result = await deciding;
        assert.equal(result.exitCode, 1, result.stderr);
        assert.equal(result.stdout, "");
        assert.match(
            result.stderr,
            /certificates were asked for in this node's name by others:\n {2}krustlet-/,
        );
        const failure = result.stderr.slice(result.stderr.indexOf("approveCertificates: "));
        for (const [what, name, reason] of filed) {
            const { status } = await under.csr(name);
            const [condition, ...more] = status?.conditions ?? [];
            assert.deepEqual(
                [condition?.type, condition?.reason, more],
                ["Denied", "KrustletStackDenied", []],
                what,
            );
            assert.match(condition?.message ?? "", reason, what);
            assert.equal(status?.certificate, undefined, what);
            const line = failure.split("\n").find((one) => one.startsWith(`  ${name} was denied (filed by `));
            assert.match(line ?? "", reason, what);
        }
        for (const name of joined) {
            const { status } = await under.csr(name);
            const conditions = status?.conditions?.map(({ type, reason }) => `${type} ${reason}`);
            assert.deepEqual(conditions, ["Approved KrustletStackApproved"]);
            assert.notEqual(status?.certificate, undefined);
        }
    });

    it("the token has ended and its file has gone, though the step has failed", async () => {
        assert.equal(await under.tokens(), 0);
        assert.equal(existsSync(bootstrapFile), false);
        // The API server remembers for ten seconds whose token it was.
        await until("401", async () => {
            const args = ["get", "--raw", `${under.requestsPath}/x`];
            const { stderr } = await kubectl(args, undefined, ended);
            return /Unauthorized|logged in/.test(stderr) ? true : undefined;
        });
    });

    it("the next `up` goes on from there: nothing is approved twice, denied twice or asked for again", async () => {
        const versions = async () =>
            (
                await under.get<{ items: { metadata: { name: string; resourceVersion: string } }[] }>(
                    under.requestsPath,
                )
            ).items.map(({ metadata }) => `${metadata.name} ${metadata.resourceVersion}`);
        const before = await versions();
        assert.deepEqual(await pass("approveCertificates", approval), { client: null, serving: null });
        const { pid } = await pass("launchNode", node);
        assert.deepEqual(under.startedOf(runningAgents(files)), [pid]);
        assert.equal(await under.tokens(), 0);
        assert.deepEqual(await versions(), before);
    });

    it("launchApprover starts a light process that may do just what it must", async () => {
        const own = approverFiles(stateDir);
        const { pid, logFile } = await pass("launchApprover", approver);
        assert.equal(logFile, own.logFile);
        for (const name of ["log", "pid", "json", "kubeconfig", "contact"])
            assert.equal(statSync(path.join(stateDir, `approver.${name}`)).mode & 0o777, 0o600, name);
        const stat = readFileSync(`/proc/${pid}/stat`, "utf8").split(") ")[1].split(" ");
        assert.equal(stat[3], String(pid), "a session of its own");
        const secret = (
            JSON.parse(readFileSync(own.kubeconfigFile, "utf8")) as { users: { user: { token: string } }[] }
        ).users[0].user.token;
        for (const file of ["cmdline", "environ"])
            assert.ok(!readFileSync(`/proc/${pid}/${file}`, "utf8").includes(secret), file);
        assert.ok(!readFileSync(own.logFile, "utf8").includes(secret));

        const csrs = "certificatesigningrequests.certificates.k8s.io";
        const account = `serviceaccounts/krustlet-approver-${nodeName}`;
        const inSystem = "--namespace=kube-system";
        const allowed = [
            ["list", csrs],
            ["watch", csrs],
            ["update", csrs, "--subresource=approval"],
            ["create", account, "--subresource=token", inSystem],
        ];
        const forbidden = [
            ["create", csrs],
            ["delete", csrs],
            ["update", csrs, "--subresource=status"],
            ["create", "serviceaccounts/default", "--subresource=token", inSystem],
            ["get", "secrets", inSystem],
            ["get", "nodes"],
        ];
        const signers = {
            "kubernetes.io/kubelet-serving": true,
            "kubernetes.io/kube-apiserver-client-kubelet": true,
            "kubernetes.io/kube-apiserver-client": false,
            "kubernetes.io/legacy-unknown": false,
            "example.com/signer": false,
        };
        for (const [signer, allowed] of Object.entries(signers))
            assert.equal(await under.mayDecideFor(own.kubeconfigFile, signer), allowed, signer);
        for (const args of allowed) assert.ok(await under.may(own.kubeconfigFile, ...args), args.join(" "));
        for (const args of forbidden)
            assert.equal(await under.may(own.kubeconfigFile, ...args), false, args.join(" "));
    });

    it("the approver approves the renewal of both certificates, and denies what does not fit", async () => {
        const renewed = [
            await under.ask("client", nodeIp, files.kubeconfigFile),
            await under.ask("serving", nodeIp, files.kubeconfigFile),
        ];
        for (const { name } of renewed) await under.issued(name, files.kubeconfigFile);
        const forged = await under.file(under.request("serving", nodeIp, newKey()), files.kubeconfigFile);
        const condition = await under.decisionOn(forged);
        assert.deepEqual([condition.type, condition.reason], ["Denied", "KrustletStackDenied"]);
        assert.match(condition.message ?? "", /: its public key is not the one that the node's agent made$/);
        const log = readFileSync(approverFiles(stateDir).logFile, "utf8");
        assert.match(
            log,
            new RegExp(
                `Z certificate request ${renewed[1].name} \\(serving, filed by system:node:${nodeName}\\) was approved\\n`,
            ),
        );
        assert.match(
            log,
            new RegExp(
                `Z certificate request ${forged} \\(filed by system:node:${nodeName}\\) was denied: its public key `,
            ),
        );
        const residentOf = ({ pid }: { pid: number }) =>
            Number(/^VmRSS:\s+(\d+) kB$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]) / 1024;
        const all = runningApprovers(approverFiles(stateDir)).map(residentOf);
        const resident = all.reduce((sum, one) => sum + one);
        console.log(`supervisor and approver: ${resident.toFixed(0)} MB resident`);
        assert.ok(resident < 20, `${resident} MB`);
    });

    it("the approver survives a restart of the API server", async () => {
        const own = approverFiles(stateDir);
        const offset = statSync(own.logFile).size;
        const controlPlane = `${under.clusterInput.name}-control-plane`;
        await run(["docker", "exec", controlPlane, "pkill", "-KILL", "kube-apiserver"]);
        await until("the end of the API server", async () =>
            (await kubectl(["get", "--raw", "/readyz"])).exitCode === 0 ? undefined : true,
        );
        await until(
            "the API server",
            async () => ((await kubectl(["get", "--raw", "/readyz"])).exitCode === 0 ? true : undefined),
            240,
        );
        const { name } = await until("an API server that lets nodes in", () =>
            under.ask("serving", nodeIp, files.kubeconfigFile).catch(() => undefined),
        );
        await under.issued(name, files.kubeconfigFile);
        const log = readFileSync(own.logFile, "utf8").slice(offset);
        // It may be back before the approver asks again: then there is nothing to tell.
        const told = /the API server (does not answer|answered \d+): /.test(log);
        assert.equal(/the API server answers again\n/.test(log), told, log);
        assert.equal(under.startedOf(runningApprovers(own)).length, 1);
    });

    it("launchApprover replaces an approver; stopApprover ends it and leaves nothing of it", async () => {
        const own = approverFiles(stateDir);
        const before = runningApprovers(own);
        const { pid } = await pass("launchApprover", approver);
        assert.deepEqual(before.filter(isAlive), []);
        await pass("stopApprover", { ...approver, owner: "krustlet-stack/other" });
        assert.deepEqual(under.startedOf(runningApprovers(own)), [pid], "another owner's does nothing");
        await passTwice("stopApprover", approver);
        assert.deepEqual(runningApprovers(own), []);
        for (const name of ["log", "pid", "json", "kubeconfig", "contact"])
            assert.equal(existsSync(path.join(stateDir, `approver.${name}`)), false, name);
    });

    it("launchApprover without rights fails, and leaves nothing", async () => {
        const said = await fail("launchApprover", { ...approver, serviceAccount: "nobody" });
        assert.match(said, /serviceaccounts "nobody" not found/);
        assert.deepEqual(runningApprovers(approverFiles(stateDir)), []);
        assert.equal(existsSync(approverFiles(stateDir).kubeconfigFile), false);
    });

    it("a node whose name is taken does not join, and joins with the next `up` when it is free", async () => {
        // All that this host knows of the node is lost, and its Node is there.
        await pass("stopNode", node);
        const taken = { apiVersion: "v1", kind: "Node", metadata: { name: nodeName } };
        assert.equal((await kubectl(["create", "-f", "-"], taken)).exitCode, 0);
        await pass("createBootstrapToken", token);
        await pass("launchNode", node);
        const { name } = await under.ask("client", nodeIp, bootstrapFile);
        const said = await fail("approveCertificates", { ...approval, timeoutSeconds: 5 });
        assert.match(
            said,
            new RegExp(`no fitting certificate request \\(client, serving\\) .*within timeoutSeconds 5`),
        );
        assert.match(
            said,
            new RegExp(
                `${name} was denied .*the cluster has a Node ${nodeName} already, which this host's agent did not register`,
            ),
        );
        assert.equal(await under.tokens(), 0);
        assert.deepEqual(runningAgents(files), [], "an agent without a token waits for nothing");

        assert.equal((await kubectl(["delete", "node", nodeName])).exitCode, 0);
        const deciding = start("approveCertificates", JSON.stringify(approval));
        await until("another token", () =>
            Promise.resolve(
                existsSync(bootstrapFile) && runningAgents(files).length === 2 ? true : undefined,
            ),
        );
        joined = await under.joinAs(cluster, nodeIp);
        const result = await deciding;
        assert.equal(result.exitCode, 0, result.stderr);
        assert.deepEqual(Object.values(JSON.parse(result.stdout) as object).sort(), [...joined].sort());
        assert.equal(await under.tokens(), 0);
    });

    it("a node that lost its certificate joins again with a new token, its Node being there", async () => {
        const registered = { apiVersion: "v1", kind: "Node", metadata: { name: nodeName } };
        assert.equal((await kubectl(["create", "-f", "-"], registered)).exitCode, 0);
        rmSync(files.kubeconfigFile);
        rmSync(files.servingCertificate);
        const { pid } = await pass("launchNode", node);
        assert.equal(
            existsSync(files.publicKeys.serving),
            false,
            "what the last agent handed over is forgotten",
        );
        assert.equal(await under.tokens(), 1);
        const deciding = start("approveCertificates", JSON.stringify({ ...approval, agentPid: pid }));
        joined = await under.joinAs(cluster, nodeIp);
        const result = await deciding;
        assert.equal(result.exitCode, 0, result.stderr);
        assert.equal(await under.tokens(), 0);
    });
});
