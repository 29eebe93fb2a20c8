/** One workload, as the stack's output `workloads` tells it. */
export interface WorkloadOutput {
    name: string;
    namespace: string;
    /** Pod, Deployment or Job. */
    kind: string;
    /** The module that runs: `registry/repository@sha256:…` */
    artifact?: string;
}

/** The stack's outputs, as far as the commands here show them. What a stack does not export is absent. */
export interface Outputs {
    kubeconfig?: string;
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
        kubeconfig: text(raw.kubeconfig),
        clusterName: text(raw.clusterName),
        nodeNames: Array.isArray(raw.nodeNames)
            ? raw.nodeNames.filter((name) => typeof name === "string")
            : [],
        registryAddress: text(raw.registryAddress),
        workloads: workloads.flatMap(([workload, value]) => {
            const { name, namespace, kind } = (value ?? {}) as Record<string, unknown>;
            if (!text(name) || !text(kind)) return [];
            return [
                {
                    name: String(name),
                    namespace: text(namespace) ?? "default",
                    kind: String(kind),
                    artifact: text(artifacts[workload]),
                },
            ];
        }),
    };
}

/** Arguments of `kubectl` for a workload's log. */
export function logArgs(kubeconfig: string, workload: WorkloadOutput, lines: number): string[] {
    const target = `${workload.kind.toLowerCase()}/${workload.name}`;
    return ["--kubeconfig", kubeconfig, "--namespace", workload.namespace, "logs", target, `--tail=${lines}`];
}
