/** A stack on a cluster that plain kind made: its node joins, its program runs, and destroy leaves the cluster as it was. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { createPlainCluster } from "../plainCluster";
import { until } from "../until";
import { fail, pass } from "../steps/runStep";
import { leftovers, nothing, root, StackUnderTest } from "./stackUnderTest";

const CLUSTER = "krustlet-existing";
const CONTEXT = `kind-${CLUSTER}`;
const NODE = "krustlet-existing-wasm";

/** What a stack makes objects of, and what its steps leave. */
const KINDS =
    "nodes,csr,clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,secrets,configmaps,runtimeclasses,services,pods,deployments";

void describe("a stack on an existing cluster", { timeout: 1_200_000 }, () => {
    let stack: StackUnderTest;
    let folder: string;
    /** The user's own kubeconfig file: another cluster is its current one. */
    let kubeconfig: string;
    let removeCluster: () => Promise<void>;

    const kubectl = async (...args: string[]) =>
        (await run(["kubectl", `--kubeconfig=${kubeconfig}`, `--context=${CONTEXT}`, ...args])).stdout;
    const objects = async () => {
        const names = await kubectl("get", KINDS, "--all-namespaces", "--output=name");
        const leases = await kubectl("get", "leases", "--namespace=kube-node-lease", "--output=name");
        return [...names.split("\n"), ...leases.split("\n")].filter(Boolean).sort();
    };
    /** The objects once the cluster's own controllers have made theirs: a list that stays as it is, with the last of them in it. */
    const settled = async () => {
        const last = "configmap/kube-root-ca.crt";
        const namespaces = ["default", "kube-node-lease", "kube-public", "kube-system"].length;
        let before: string[] = [];
        return until("the new cluster's own objects", async () => {
            const now = await objects();
            const same = now.join() === before.join();
            before = now;
            await new Promise((resolve) => setTimeout(resolve, 2000));
            return same && now.filter((name) => name === last).length === namespaces ? now : undefined;
        });
    };

    const makeRuntimeClass = async () => {
        const file = path.join(folder, "class.json");
        const metadata = { name: "krustlet-wasi" };
        const theirs = { apiVersion: "node.k8s.io/v1", kind: "RuntimeClass", metadata, handler: "theirs" };
        await fs.writeFile(file, JSON.stringify(theirs));
        await kubectl("create", "--filename", file);
    };

    before(async () => {
        stack = await StackUnderTest.create("acceptance-existing");
        folder = path.join(stack.home, "mine");
        await fs.mkdir(folder);
        kubeconfig = path.join(folder, "config");
        removeCluster = await createPlainCluster(CLUSTER, kubeconfig);
        const weak = ["serviceaccount", "weak"];
        await kubectl("create", ...weak);
        const token = (await kubectl("create", "token", "weak")).trim();
        const set = (...args: string[]) => run(["kubectl", `--kubeconfig=${kubeconfig}`, "config", ...args]);
        await set("set-credentials", "weak", `--token=${token}`);
        await set("set-context", "weak", `--cluster=${CONTEXT}`, "--user=weak");
        await set("set-cluster", "elsewhere", "--server=https://192.0.2.1:6443");
        await set("set-context", "elsewhere", "--cluster=elsewhere", "--user=weak");
        await set("use-context", "elsewhere");
        await stack.configure({
            ...{ cluster: "existing", clusterContext: CONTEXT, clusterKubeconfigFile: kubeconfig },
            registryPort: 5118,
            nodes: [{ name: NODE, port: 3118 }],
            workloads: [
                {
                    ...{
                        name: "greets",
                        source: path.join(root, "workloads/hello-http"),
                        kind: "Deployment",
                    },
                    ...{ ports: [{ containerPort: 18193 }], service: { port: 80 } },
                },
                { name: "hello-wasm", source: path.join(root, "workloads/hello-world") },
            ],
        });
    });

    after(async () => {
        await stack.remove();
        await removeCluster();
    });

    void it("each right that is missing is named, before anything is made", async () => {
        const look = {
            ...{ kubeconfigFile: kubeconfig, context: "weak", pullSecretNamespaces: [] },
            workloads: [{ kind: "Pod" as const, namespace: "default" }],
        };
        const said = await fail("findCluster", look);
        assert.match(
            said,
            /ExistingCluster "weak" of \S+: whoever this context is for may not do \d+ of the things/,
        );
        for (const right of [
            "create secrets in kube-system",
            "approve signers.certificates.k8s.io kubernetes.io/kubelet-serving",
            "update certificatesigningrequests.certificates.k8s.io/approval",
            "create clusterroles.rbac.authorization.k8s.io",
            "create pods in default",
        ]) {
            assert.ok(
                said.includes(`\n- ${right}\n`) || said.endsWith(`\n- ${right}\n`),
                `${right}: ${said}`,
            );
        }
        const found = await pass("findCluster", { ...look, context: CONTEXT });
        assert.equal(found.network, "kind");
        const gateway = await run([
            "docker",
            "network",
            "inspect",
            "kind",
            "--format",
            "{{json .IPAM.Config}}",
        ]);
        assert.ok(gateway.stdout.includes(`"Gateway":"${found.nodeAddress}"`), found.nodeAddress);
    });

    void it("a RuntimeClass of its name that is another's is named, before anything is made", async () => {
        const before = await settled();
        await makeRuntimeClass();
        const up = await stack.npmRun("up");
        assert.notEqual(up.exitCode, 0);
        const why =
            /RuntimeClass krustlet-wasi is there already, and is not this stack's \(kubectl-create \(\S+\) made it\): it is left as it is/;
        assert.match(up.stdout + up.stderr, why);
        await kubectl("delete", "runtimeclass", "krustlet-wasi");
        assert.deepEqual(await objects(), before);
        assert.deepEqual(await leftovers(/-acceptance-existing-/, stack.home), nothing);
    });

    void it("up ends with the program's log line, up again changes nothing, destroy leaves the cluster as it was", async () => {
        const [mine, before, container] = [
            await fs.readFile(kubeconfig, "utf8"),
            await settled(),
            await run([
                "docker",
                "inspect",
                "--format={{.Id}} {{.State.StartedAt}}",
                `${CLUSTER}-control-plane`,
            ]),
        ];
        const up = await stack.npmRun("up");
        assert.equal(up.exitCode, 0, up.stdout + up.stderr);
        assert.equal(up.stdout.trimEnd().split("\n").at(-1), "Hello, World!");
        assert.match(await kubectl("get", "node", NODE), / Ready /);
        const own = await fs.readFile(stack.kubeconfig, "utf8");
        assert.deepEqual(
            (JSON.parse(own) as { contexts: { name: string }[] }).contexts.map(({ name }) => name),
            [CONTEXT],
        );
        assert.equal((await fs.stat(stack.kubeconfig)).mode & 0o777, 0o600);

        const preview = await stack.pulumi(`preview --stack ${stack.name} --expect-no-changes`);
        assert.equal(preview.exitCode, 0, preview.stdout + preview.stderr);

        // What others have put in the place of this stack's is theirs.
        await kubectl("delete", "runtimeclass/krustlet-wasi", "service/greets");
        await makeRuntimeClass();
        await kubectl("create", "service", "clusterip", "greets", "--tcp=80");
        const theirs = () => kubectl("get", "runtimeclass/krustlet-wasi", "service/greets", "--output=json");
        const put = await theirs();
        const down = await stack.npmRun("down");
        assert.equal(down.exitCode, 0, down.stdout + down.stderr);
        assert.equal(await theirs(), put);
        await kubectl("delete", "runtimeclass/krustlet-wasi", "service/greets");
        assert.deepEqual(await objects(), before);
        assert.equal(await fs.readFile(kubeconfig, "utf8"), mine);
        assert.deepEqual(
            await run([
                "docker",
                "inspect",
                "--format={{.Id}} {{.State.StartedAt}}",
                `${CLUSTER}-control-plane`,
            ]),
            container,
        );
        assert.deepEqual(await leftovers(CLUSTER, /-acceptance-existing-/, stack.home), {
            ...nothing,
            containers: [`${CLUSTER}-control-plane`],
        });
        await assert.rejects(fs.stat(stack.kubeconfig), { code: "ENOENT" });
    });
});
