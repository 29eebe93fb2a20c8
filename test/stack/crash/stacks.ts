// What is killed: a stack on a cluster that stays, which is all of a stack but the cluster itself, and one on a kind cluster of its own.
import { readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { ownerLabel } from "../../../steps/lib/docker";
import { processesThat } from "../../../steps/lib/processes";
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

/** The program whose line `up` ends with. */
const pod = { name: "pod", source };
/** One that runs nothing. */
export const later = { name: "later", kind: "CronJob", source, schedule: "0 0 1 1 *" };
/** One of each other kind. */
const otherKinds = [
    { name: "job", kind: "Job", source },
    { name: "clock", kind: "Deployment", source: "workloads/ticker" },
    { name: "each", kind: "DaemonSet", source: "workloads/ticker" },
    {
        ...{ name: "web", kind: "Deployment", source: "workloads/hello-http" },
        ...{ ports: [{ containerPort: 18192 }], service: {} },
    },
    later,
];

/** All of a stack but the cluster, on a plain kind cluster that is there before and after. */
export function onExisting(only?: RegExp, more: object[] = []): Promise<Prepared> {
    return onPlainCluster([pod, ...more], only);
}

/** Workloads of the other kinds, there too. */
export function ofOtherKinds(only = /^wasm-(?:job|clock|each|web|later)-/): Promise<Prepared> {
    return onPlainCluster([pod, ...otherKinds], only);
}

async function onPlainCluster(workloads: object[], only?: RegExp): Promise<Prepared> {
    const cluster = "krustlet-crash";
    const { stack, config } = await prepare("acceptance-crash", 131);
    // One name, so that the next run's takes the place of what a killed one left.
    const kubeconfig = path.join(os.tmpdir(), `${cluster}.kubeconfig`);
    const removeCluster = await createPlainCluster(cluster, kubeconfig);
    const of = { clusterContext: `kind-${cluster}`, clusterKubeconfigFile: kubeconfig };
    await stack.configure({ ...config, workloads, cluster: "existing", ...of });
    const own = await settled(() => objects(kubeconfig));
    const stands = async () => (await objects(kubeconfig)).filter((one) => !own.includes(one));
    const crashing: Crashing = {
        stack,
        only,
        stands: async () => (await stands()).filter(isNamed),
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
    await stack.configure({ ...config, clusterName, workloads: [pod] });
    const crashing: Crashing = {
        stack,
        only,
        stands: async () => (await objects(stack.kubeconfig)).filter(isNamed),
        left: () => leftOf(stack, clusterName),
    };
    return { crashing, remove: () => stack.remove() };
}

async function prepare(name: string, port: number): Promise<{ stack: StackUnderTest; config: StackConfig }> {
    const stack = await StackUnderTest.create(name);
    const nodes = [{ name: `${name}-wasm`, port: 3000 + port }];
    return { stack, config: { registryPort: 5000 + port, nodes } };
}

/** What a stack makes objects of, and what its steps leave. */
const KINDS = [
    "nodes,csr,clusterroles,clusterrolebindings,roles,rolebindings,serviceaccounts,secrets,configmaps,runtimeclasses",
    "services,pods,deployments,daemonsets,jobs,cronjobs,leases.coordination.k8s.io",
].join();

interface Listed {
    kind: string;
    metadata: { name: string; namespace?: string; deletionTimestamp?: string; ownerReferences?: unknown[] };
}

/**
 * Every object but those that the cluster's own controllers make of others, now and then. What is being deleted has its time to end, such as a
 * pod that a drain has evicted.
 */
async function objects(kubeconfig: string): Promise<string[]> {
    const argv = ["kubectl", `--kubeconfig=${kubeconfig}`, "get", KINDS, "--all-namespaces"];
    for (const until = Date.now() + 60_000; ; await sleep(1000)) {
        const { stdout } = await run([...argv, "--output=json"]);
        const { items } = JSON.parse(stdout) as { items: Listed[] };
        if (items.some(({ metadata }) => metadata.deletionTimestamp) && Date.now() < until) continue;
        return items
            .filter(({ metadata }) => !metadata.ownerReferences)
            .map(({ kind, metadata: { namespace = "", name } }) => `${kind}:${namespace}/${name}`)
            .filter(
                (one) => !/^Lease:kube-system|kube-root-ca|^ConfigMap:kube-system.kube-apiserver/.test(one),
            )
            .sort();
    }
}

/** Whether an object has the same name the next time: a request has another one. */
const isNamed = (one: string) => !one.startsWith("CertificateSigningRequest:");

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

/** What there is of a stack on this host: by its names, its folder, and whoever's claim of it. */
async function leftOf(stack: StackUnderTest, ...names: string[]): Promise<string[]> {
    const { containers, volumes } = await leftovers(`-${stack.name}-`, ...names);
    const claimed = [
        "ps",
        "--all",
        `--filter=label=${ownerLabel}`,
        `--format={{.Names}} {{.Label "${ownerLabel}"}}`,
    ];
    const { stdout } = await run(["docker", ...claimed]);
    const owned = stdout.split("\n").filter((line) => line.includes(` krustlet-stack/${stack.name}/`));
    // Pulumi's plugins end a moment after it.
    const running = () => processesThat((argv) => argv.some((one) => one.includes(stack.home)));
    for (let turn = 0; turn < 50 && running().length > 0; turn++) await sleep(200);
    const processes = running().map(({ pid }) =>
        readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " "),
    );
    return [...containers, ...owned, ...volumes, ...processes, ...(await stack.files())];
}
