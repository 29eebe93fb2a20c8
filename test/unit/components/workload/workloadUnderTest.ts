// What the tests of workloads expect of every kind of them.
import type { WorkloadKind } from "../../../../components";
import { commandInputs, imageReference as image, forgotten, steps } from "../fixtures";
import { record } from "../mocks";
import { ofKind } from "./ofKind";

export const parentOf = (kind: string) => `krustlet-stack:index:Wasm${kind}::w`;
export const provider = "pulumi:providers:kubernetes::other-provider";
export const tolerations = [
    { key: "node.kubernetes.io/network-unavailable", operator: "Exists", effect: "NoSchedule" },
    { key: "kubernetes.io/arch", operator: "Equal", value: "wasm32-wasi", effect: "NoExecute" },
    { key: "kubernetes.io/arch", operator: "Equal", value: "wasm32-wasi", effect: "NoSchedule" },
];
export const annotations = { "pulumi.com/waitFor": "jsonpath={.metadata.uid}" };
/** Of a Service. */
export const serviceAnnotations = { ...annotations, "pulumi.com/patchFieldManager": "pulumi-krustlet-stack" };
export const metadata = { namespace: "default", labels: { app: "w" }, annotations };
export const kubeconfigFile = "/k";
export const types: Record<string, string> = {
    Pod: "core/v1:Pod",
    Deployment: "apps/v1:Deployment",
    DaemonSet: "apps/v1:DaemonSet",
    Job: "batch/v1:Job",
};
/** The Command that waits for it. */
export const ready = (kind: string, object: string, more: object = {}) => ({
    type: "command:local:Command",
    parent: parentOf(kind),
    inputs: {
        ...commandInputs("awaitWorkload", "forget"),
        stdin: JSON.stringify({
            kubeconfigFile,
            kind,
            namespace: "default",
            name: "auto-named",
            uid: "object-uid",
            generation: 1,
            timeoutSeconds: 600,
            ...more,
            applied: "sha256",
        }),
    },
    options: { ...forgotten, dependsOn: [`kubernetes:${types[kind]}::${object}`] },
});
/** An object that was lost is made anew. */
export const lostAnnotation = 'metadata.annotations["krustlet-stack/lost"]';
/** What of a pod a running program would see nothing of. */
export const podReplacedOn = [
    lostAnnotation,
    "spec",
    'metadata.annotations["alpha.wasi.krustlet.dev/allowed-domains"]',
    'metadata.annotations["alpha.wasi.krustlet.dev/max-concurrent-requests"]',
];
/** As Kubernetes' types put it: what is not given is not there. */
export const plain = (value: unknown) => JSON.parse(JSON.stringify(value)) as unknown;
export const podSpec = (restartPolicy: string) => ({
    automountServiceAccountToken: false,
    containers: [{ name: "w", image }],
    restartPolicy,
    terminationGracePeriodSeconds: 1,
    nodeSelector: { "kubernetes.io/arch": "wasm32-wasi" },
    tolerations,
});
export const template = (restartPolicy: string) => ({
    metadata: { labels: { app: "w" } },
    spec: podSpec(restartPolicy),
});

/** What a workload of these arguments registers and tells. */
export async function workload(kind: WorkloadKind, args: Record<string, unknown> = {}) {
    const { resources, result } = await record({ steps }, () => {
        const w = ofKind(kind, args);
        return { name: w.name, namespace: w.namespace, logsCommand: w.logsCommand };
    });
    delete resources["other-provider"];
    return { resources, result };
}
