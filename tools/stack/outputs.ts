/** One workload, as the stack's output `workloads` tells it. */
export interface WorkloadOutput {
    name: string;
    namespace: string;
    /** Pod, Deployment, Job, CronJob or DaemonSet. */
    kind: string;
    /** Value of the label `app` of its pods. */
    app: string;
    /** The module that runs: `registry/repository@sha256:…` */
    artifact?: string;
    /** Where its Service is reached: on this host, or else by pods of the cluster. */
    url?: string;
}

/** The stack's outputs, as far as the commands here show them. What a stack does not export is absent. */
export interface Outputs {
    /** File of the cluster's admin kubeconfig. */
    kubeconfigFile?: string;
    clusterName?: string;
    nodeNames: string[];
    registryAddress?: string;
    workloads: WorkloadOutput[];
}

function text(value: unknown): string | undefined {
    return typeof value === "string" && value !== "" ? value : undefined;
}

/** Picks out what is shown. A stack of another project may export none of it, or other things by the same names. */
export function readOutputs(raw: Record<string, unknown>): Outputs {
    const workloads = Object.entries((raw.workloads ?? {}) as Record<string, unknown>);
    const artifacts = (raw.artifacts ?? {}) as Record<string, unknown>;
    return {
        kubeconfigFile: text(raw.kubeconfigFile),
        clusterName: text(raw.clusterName),
        nodeNames: Array.isArray(raw.nodeNames)
            ? raw.nodeNames.filter((name) => typeof name === "string")
            : [],
        registryAddress: text(raw.registryAddress),
        workloads: workloads.flatMap(([workload, value]) => {
            const { name, namespace, kind, url } = (value ?? {}) as Record<string, unknown>;
            if (!text(name) || !text(kind)) return [];
            return [
                {
                    name: String(name),
                    namespace: text(namespace) ?? "default",
                    kind: String(kind),
                    app: workload,
                    artifact: text(artifacts[workload]),
                    ...(text(url) && { url: text(url) }),
                },
            ];
        }),
    };
}

/** Marks a secret in a state file, as a property of the object that holds its ciphertext. */
const secretMark = "4dabf18193072939515e22adb298388d";

/** The stack's outputs in the text of its state file. `secrets`: some of them are encrypted there. */
export function outputsIn(state: string): { outputs: Record<string, unknown>; secrets: boolean } {
    interface State {
        checkpoint?: {
            latest?: { resources?: { type: string; outputs?: Record<string, unknown> }[] } | null;
        };
    }
    const { checkpoint } = JSON.parse(state) as State;
    const stack = checkpoint?.latest?.resources?.find(({ type }) => type === "pulumi:pulumi:Stack");
    const outputs = stack?.outputs ?? {};
    return { outputs, secrets: JSON.stringify(outputs).includes(secretMark) };
}

/** Arguments of `kubectl` for a workload's log. A CronJob has none, but its jobs' pods have; each line says of which. */
export function logArgs(
    kubeconfigFile: string,
    { kind, name, namespace, app }: WorkloadOutput,
    lines: number,
): string[] {
    const target =
        kind === "CronJob" ? ["--selector", `app=${app}`, "--prefix"] : [`${kind.toLowerCase()}/${name}`];
    return ["--kubeconfig", kubeconfigFile, "--namespace", namespace, "logs", ...target, `--tail=${lines}`];
}
