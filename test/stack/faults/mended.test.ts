/** What happens to a stack between two updates: the preview says what was found, the update mends it, and nothing of the user's is lost. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { presentProgram } from "../../../steps/lib/programs/programs";
import { until } from "../../until";
import type { StackConfig } from "../stackUnderTest";
import { docker, FaultyStack, happenTogether, type Fault } from "./faultsUnderTest";

const CLUSTER = "krustlet-faults";
/** Named as kind names its own. */
const NODE = `${CLUSTER}-2`;
const EDGE = `${CLUSTER}-edge`;
const PORT = 5109;
const REGISTRY = `localhost:${PORT}`;
const REGISTRY_CONTAINER = "krustlet-stack-acceptance-faults-registry";

void describe("a stack to which things happen", { timeout: 1_800_000 }, () => {
    let faulty: FaultyStack;
    let config: StackConfig;
    let stateDir: (node: string) => string;
    let program: string;

    before(async () => {
        faulty = await FaultyStack.create("acceptance-faults", CLUSTER);
        const { home } = faulty.stack;
        stateDir = (node) => path.join(home, "nodes", `krustlet-stack-acceptance-faults-${node}`);
        program = path.join(home, "krustlet-wasi");
        await fs.copyFile((await presentProgram("krustlet-wasi")) ?? "", program);
        config = {
            clusterName: CLUSTER,
            registryPort: PORT,
            registryKeepData: true,
            nodes: [
                { name: NODE, port: 3109 },
                { name: EDGE, port: 3110, program },
            ],
            workloads: [
                { name: "clock", kind: "Deployment", source: "workloads/ticker", node: NODE },
                { name: "hello-wasm", source: "workloads/hello-world" },
                { name: "once", kind: "Job", source: "workloads/hello-world" },
                { name: "each", kind: "DaemonSet", source: "workloads/ticker" },
            ],
        };
        await faulty.configure(config);
        await faulty.up();
        const { artifacts } = (await faulty.stack.outputs()) as { artifacts: Record<string, string> };
        await faulty.moveIn(NODE, stateDir(NODE), REGISTRY, artifacts.clock);
    });
    after(async () => {
        await faulty.stack.remove();
        await docker("volume", "rm", "--force", `${REGISTRY_CONTAINER}-data`);
    });

    const round = (title: string, faults: Fault[]) => {
        happenTogether(title, faults, REGISTRY, () => faulty);
    };
    const updated = (name: string) => new RegExp(`~ +command:local:Command ${name} updated`);
    const kubectl = (...args: string[]) => faulty.stack.kubectl(...args);
    const byLabel = async (kind: string, app: string) =>
        (
            await kubectl(
                "get",
                kind,
                "--selector",
                `app=${app}`,
                "--output=jsonpath={.items[*].metadata.name}",
            )
        ).trim();
    let clockPod: string;
    let address: string;
    let giveBack: () => Promise<unknown>;
    let standing: string;
    let released: Promise<unknown>;
    /** What runs in the cluster, each by its UID. */
    const workloads = () =>
        kubectl("get", "pod,deployment,job,daemonset", "--output=jsonpath={.items[*].metadata.uid}");

    round("processes and settings", [
        {
            what: "a changed time-out changes one step, which does nothing",
            happens: () => faulty.configure({ ...config, clusterWaitSeconds: 200 }),
            mends: [updated("wasm-cluster-kind")],
        },
        {
            what: "an agent that was killed is started again, and its pods go on",
            happens: async () => {
                clockPod = await byLabel("pod", "clock");
                faulty.endAgent(NODE);
            },
            says: new RegExp(
                `agent \\d+ of node "${NODE}", started \\S+, is not running any more: it is started again`,
            ),
            mends: [updated(`wasm-${NODE}-agent`)],
            after: async () => assert.equal(await byLabel("pod", "clock"), clockPod),
        },
        {
            what: "an approver that was killed is started again",
            happens: () => Promise.resolve(faulty.endApprover(EDGE)),
            says: new RegExp(
                `the approver of node "${EDGE}", started \\S+, is not running any more: it is started again`,
            ),
            mends: [updated(`wasm-${EDGE}-certificates-approver`)],
            after: () => Promise.resolve(assert.ok(faulty.findApprover(EDGE))),
        },
        {
            what: "a lost kubeconfig is there again, by the preview already",
            happens: () => fs.rm(faulty.stack.kubeconfig),
            says: /kubeconfig\S* was lost; it is written again/,
            mends: [],
        },
        {
            what: "a registry that was stopped is started again",
            happens: () => docker("stop", "--time=1", REGISTRY_CONTAINER),
            says: new RegExp(
                `registry container ${REGISTRY_CONTAINER}, seen \\S+, has stopped: it is started again`,
            ),
            mends: [updated("wasm-registry-ready")],
        },
    ]);
    void it("what runs a node and is killed comes back by itself within five seconds, with its pods, and nothing is left to do", async () => {
        const [agent, approver] = [faulty.agent(NODE), faulty.findApprover(NODE)];
        assert.ok(approver);
        for (const pid of [agent, approver]) process.kill(pid, "SIGKILL");
        const back = async (find: () => number | undefined, old: number) =>
            until("the next one", () => Promise.resolve(find() === old ? undefined : find()), 5);
        await back(() => faulty.findAgent(NODE), agent);
        await back(() => faulty.findApprover(NODE), approver);
        await faulty.nothingLost(REGISTRY);
        await kubectl("wait", "--for=condition=Available", "deployment", "--all", "--timeout=60s");
        await faulty.preview("--expect-no-changes");
    });
    round("what was written down", [
        {
            what: "was lost: each part is looked at again, and what is there stays",
            unsure: true,
            happens: async () => {
                standing = await workloads();
                await fs.rm(path.join(faulty.stack.home, "claims"), { recursive: true });
            },
            says: /nothing was written down in \S+ of what this stack has made, seen \S+: each part is looked at again/,
            mends: [
                updated("wasm-cluster-kind"),
                updated(`wasm-${NODE}-agent`),
                updated("wasm-hello-wasm-ready"),
            ],
            after: async () => assert.equal(await workloads(), standing),
        },
    ]);
    round("a Pod of ours", [
        {
            what: "that was changed by hand is as it was, and goes on",
            happens: async () => {
                standing = await workloads();
                await kubectl("label", "pod", "--selector=app=hello-wasm", "--overwrite", "app=other");
            },
            says: /Pod default\/wasm-hello-wasm-pod-\S+, made \S+, was changed by kubectl\b.*: it is applied again/,
            mends: [/Pod wasm-hello-wasm-pod updated/],
            after: async () => assert.equal(await workloads(), standing),
        },
    ]);
    round("objects in the cluster", [
        {
            what: "a Pod that was deleted is made anew",
            happens: () => kubectl("delete", "pod", "--selector=app=hello-wasm"),
            says: /Pod default\/wasm-hello-wasm-pod-\S+, made \S+, is gone: it is made anew/,
            mends: [/Pod wasm-hello-wasm-pod replaced/],
        },
        {
            what: "a Deployment that was scaled by hand is as it was",
            happens: () => kubectl("scale", "deployment", "--all", "--replicas=2"),
            says: /Deployment default\/wasm-clock-deployment-\S+, made \S+, was changed by kubectl\b.*: it is applied again/,
            mends: [/Deployment wasm-clock-deployment updated/],
            after: async () =>
                assert.equal(
                    await kubectl("get", "deployment", "--output=jsonpath={.items[*].spec.replicas}"),
                    "1",
                ),
        },
        {
            what: "a Job that was deleted runs again",
            happens: () => kubectl("delete", "job", "--all"),
            says: /Job default\/wasm-once-job-\S+, made \S+, is gone: it is made anew/,
            mends: [/Job wasm-once-job replaced/],
        },
        {
            what: "a DaemonSet that was deleted is made anew",
            happens: () => kubectl("delete", "daemonset", "--all"),
            says: /DaemonSet default\/wasm-each-daemonset-\S+, made \S+, is gone: it is made anew/,
            mends: [/DaemonSet wasm-each-daemonset replaced/],
        },
        {
            what: "an artifact that the registry has lost is pushed again",
            happens: async () => {
                const { artifacts } = (await faulty.stack.outputs()) as { artifacts: Record<string, string> };
                const digest = artifacts["hello-wasm"].split("@")[1];
                const url = `http://${REGISTRY}/v2/hello-wasm/manifests/${digest}`;
                assert.equal((await fetch(url, { method: "DELETE" })).status, 202);
            },
            says: /localhost:\d+\/hello-wasm@\S+, pushed \S+, is not in the registry any more: it is pushed again/,
            mends: [updated("wasm-hello-wasm-artifact-push")],
        },
    ]);
    round("a workload on its way", [
        {
            what: "a DaemonSet that is being deleted is made anew",
            happens: async () => {
                const name = await byLabel("daemonset", "each");
                const hold = (finalizers: string[]) =>
                    kubectl(
                        ...["patch", "daemonset", name, "--type=merge"],
                        `--patch=${JSON.stringify({ metadata: { finalizers } })}`,
                    );
                await hold(["krustlet-stack.test/held"]);
                await kubectl("delete", "daemonset", name, "--wait=false");
                const another = async () =>
                    (await byLabel("daemonset", "each")).includes(" ") ? true : undefined;
                released = until("the next DaemonSet", another, 240).then(() => hold([]));
                // It is told of by whoever waits for it.
                released.catch(() => undefined);
            },
            says: /DaemonSet default\/wasm-each-daemonset-\S+, made \S+, is being deleted: it is made anew/,
            mends: [/DaemonSet wasm-each-daemonset replaced/],
            after: async () => {
                await released;
            },
        },
    ]);
    round("builds, credentials, containers", [
        {
            what: "an agent of an older build is replaced",
            happens: async () => {
                // Another file of that name, for the one that runs cannot be written to.
                await fs.copyFile(program, `${program}.new`);
                await fs.appendFile(`${program}.new`, "\n");
                await fs.rename(`${program}.new`, program);
            },
            says: new RegExp(
                `agent \\d+ of node "${EDGE}", started \\S+, is of another build than \\S+: it is replaced`,
            ),
            mends: [updated(`wasm-${EDGE}-agent`)],
        },
        {
            what: "a node whose credential is gone joins again",
            happens: () => fs.rm(path.join(stateDir(NODE), "kubeconfig")),
            says: new RegExp(
                `agent \\d+ of node "${NODE}", started \\S+, has no valid certificate of this cluster any more`,
            ),
            mends: [updated(`wasm-${NODE}-agent`)],
            after: async () => assert.match(await kubectl("get", "node", NODE), / Ready /),
        },
        {
            what: "a registry container that was removed is made anew, with its data, and is on the cluster's network",
            happens: () => docker("rm", "--force", "--volumes", REGISTRY_CONTAINER),
            says: new RegExp(
                `registry container ${REGISTRY_CONTAINER}, seen \\S+, is gone: it is made anew, with the data of`,
            ),
            mends: [
                /Container wasm-registry-container replaced/,
                updated("wasm-registry-hosting-connection"),
            ],
        },
        {
            what: "a kubeconfig that was spoiled is written again",
            happens: async () => {
                const text = await fs.readFile(faulty.stack.kubeconfig, "utf8");
                await fs.writeFile(
                    faulty.stack.kubeconfig,
                    text.replace(/client-key-data: \S+/, "client-key-data: AAAA"),
                );
            },
            says: /kubeconfig\S* does not serve \(.*\); it is written again/,
            mends: [],
        },
    ]);
    round("a cluster that was stopped", [
        {
            what: "is started, though its time-out is another one too and its Wasm node is down",
            happens: async () => {
                faulty.endAgent(NODE);
                address = await faulty.address();
                await docker("stop", faulty.controlPlane);
                await faulty.configure({ ...config, clusterWaitSeconds: 210 });
            },
            says: new RegExp(
                `container ${CLUSTER}-control-plane of cluster "${CLUSTER}", made \\S+, has stopped \\(exit code \\d+, \\S+\\): it is started again`,
            ),
            mends: [updated("wasm-cluster-kind"), updated(`wasm-${NODE}-agent`)],
        },
        {
            what: "has another address then, for which its kubelet gets a certificate",
            happens: async () => {
                giveBack = await faulty.takeAddress(address);
            },
            mends: [updated("wasm-cluster-kubelets")],
            after: async () => {
                assert.notEqual(await faulty.address(), address);
                const name = `etcd-${faulty.controlPlane}`;
                assert.match(await kubectl("logs", "--namespace=kube-system", "--tail=1", name), /./);
                await giveBack();
            },
        },
        {
            what: "a registry that is paused goes on",
            happens: () => docker("pause", REGISTRY_CONTAINER),
            says: new RegExp(
                `registry container ${REGISTRY_CONTAINER}, seen \\S+, is paused: it is started again`,
            ),
            mends: [updated("wasm-registry-ready")],
        },
        {
            what: "a registry that was taken off the cluster's network is on it again",
            happens: () => docker("network", "disconnect", "--force", "kind", REGISTRY_CONTAINER),
            says: new RegExp(
                `container ${REGISTRY_CONTAINER}, connected \\S+, is not on network kind any more`,
            ),
            mends: [updated("wasm-registry-hosting-connection")],
        },
    ]);
    round("a node that hangs", [
        {
            what: "is started again when the cluster has not heard of it",
            happens: async () => {
                process.kill(faulty.agent(EDGE), "SIGSTOP");
                await until(
                    "NotReady",
                    async () => (/ NotReady /.test(await kubectl("get", "node", EDGE)) ? true : undefined),
                    120,
                );
                await sleep(31_000);
            },
            says: new RegExp(
                `agent \\d+ of node "${EDGE}", started \\S+, runs, but the cluster has not heard of it since`,
            ),
            mends: [updated(`wasm-${EDGE}-agent`)],
            after: async () => assert.match(await kubectl("get", "node", EDGE), / Ready /),
        },
    ]);
    round("a cluster that is paused", [
        {
            what: "goes on",
            happens: () => docker("pause", faulty.controlPlane),
            says: new RegExp(
                `container ${CLUSTER}-control-plane of cluster "${CLUSTER}", made \\S+, is paused: it is started again`,
            ),
            mends: [updated("wasm-cluster-kind")],
        },
    ]);

    void it("a cluster that is gone is made anew, which the preview says", async () => {
        await docker("rm", "--force", "--volumes", faulty.controlPlane);
        assert.match(
            await faulty.preview(),
            new RegExp(`cluster "${CLUSTER}", made \\S+, is gone: it is made anew`),
        );
        assert.match(await faulty.up(), /^Hello, World!$/m);
        await faulty.preview("--expect-no-changes");
    });
    void it("down leaves nothing but the data that it was to keep", async () => {
        const volume = `${REGISTRY_CONTAINER}-data`;
        const { exitCode, stdout } = await faulty.stack.npmRun("down");
        assert.equal(exitCode, 0, stdout);
        assert.match(await docker("volume", "ls", "--format={{.Name}}"), new RegExp(volume));
        await docker("volume", "rm", volume);
        await faulty.down();
    });
});
