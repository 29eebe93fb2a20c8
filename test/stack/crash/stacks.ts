// What is killed: a stack on a cluster that stays, which is all of a stack but the cluster itself, and one on a kind cluster of its own.
import * as fs from "node:fs/promises";
import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../../steps/lib/run";
import { createPlainCluster } from "../../plainCluster";
import { leftovers, StackUnderTest, type StackConfig } from "../stackUnderTest";
import type { Crashing } from "./table";

/** A stack to be killed, and what removes it with all that it needed. */
export interface Prepared {
    crashing: Crashing;
    remove: () => Promise<void>;
}

const source = "workloads/hello-world";

/** One of each kind. */
const workloads = [
    { name: "pod", source },
    { name: "job", kind: "Job", source },
    { name: "clock", kind: "Deployment", source: "workloads/ticker" },
    { name: "each", kind: "DaemonSet", source: "workloads/ticker" },
    {
        ...{ name: "web", kind: "Deployment", source: "workloads/hello-http" },
        ...{ ports: [{ containerPort: 18192 }], service: {} },
    },
    { name: "later", kind: "CronJob", source, schedule: "0 0 1 1 *" },
];

/** On a plain kind cluster that is there before and after. */
export async function onExisting(only?: RegExp): Promise<Prepared> {
    const cluster = "krustlet-crash";
    const { stack, config } = await prepare("acceptance-crash", 131);
    const kubeconfig = `${stack.home}.kubeconfig`;
    const removeCluster = await createPlainCluster(cluster, kubeconfig);
    const of = { clusterContext: `kind-${cluster}`, clusterKubeconfigFile: kubeconfig };
    await stack.configure({ ...config, cluster: "existing", ...of });
    const own = await settled(() => objects(kubeconfig));
    const stands = async () => (await objects(kubeconfig)).filter((one) => !own.includes(one));
    const crashing: Crashing = {
        stack,
        only,
        stands,
        left: async () => [...(await leftOf(stack)), ...(await stands())],
    };
    const remove = async () => {
        await stack.remove();
        await removeCluster();
        await fs.rm(kubeconfig, { force: true });
    };
    return { crashing, remove };
}

/** On a cluster of its own. */
export async function onKind(only?: RegExp): Promise<Prepared> {
    const clusterName = "krustlet-crash-own";
    const { stack, config } = await prepare("acceptance-crash-own", 132);
    await stack.configure({ ...config, clusterName, workloads: workloads.slice(0, 1) });
    const crashing: Crashing = {
        stack,
        only,
        stands: () => objects(stack.kubeconfig),
        left: () => leftOf(stack, clusterName),
    };
    return { crashing, remove: () => stack.remove() };
}

async function prepare(name: string, port: number): Promise<{ stack: StackUnderTest; config: StackConfig }> {
    const stack = await StackUnderTest.create(name);
    const nodes = [{ name: `${name}-wasm`, port: 3000 + port }];
    return { stack, config: { registryPort: 5000 + port, nodes, workloads } };
}

/** What a stack makes objects of, and what its steps leave. */
const KINDS = [
    "nodes,clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,secrets,configmaps,runtimeclasses",
    "services,pods,deployments,daemonsets,jobs,cronjobs,leases.coordination.k8s.io",
].join();

interface Listed {
    kind: string;
    metadata: { name: string; namespace?: string; ownerReferences?: unknown[]; deletionTimestamp?: string };
}

/** Every object but those that the cluster's own controllers make of others, now and then. */
async function objects(kubeconfig: string): Promise<string[]> {
    const argv = ["kubectl", `--kubeconfig=${kubeconfig}`, "get", KINDS, "--all-namespaces"];
    const { stdout } = await run([...argv, "--output=json"]);
    return (JSON.parse(stdout) as { items: Listed[] }).items
        .filter(({ metadata }) => !metadata.ownerReferences && !metadata.deletionTimestamp)
        .map(({ kind, metadata: { namespace = "", name } }) => `${kind}:${namespace}/${name}`)
        .filter((one) => !/^Lease:kube-system|kube-root-ca|^ConfigMap:kube-system.kube-apiserver/.test(one))
        .sort();
}

/** A list that has been the same for ten seconds: a cluster's controllers go on for a while when it is Ready. */
async function settled(look: () => Promise<string[]>): Promise<string[]> {
    for (let last = "", same = 0; ;) {
        const now = await look();
        same = now.join() === last ? same + 1 : 0;
        if (same === 5) return now;
        last = now.join();
        await sleep(2000);
    }
}

/** What there is of a stack on this host. */
async function leftOf(stack: StackUnderTest, ...names: string[]): Promise<string[]> {
    const { containers, volumes, agents } = await leftovers(`-${stack.name}-`, stack.home, ...names);
    return [...containers, ...volumes, ...agents, ...(await stack.files())];
}
