import type * as pulumi from "@pulumi/pulumi";
import {
    WasmCronJob,
    WasmDaemonSet,
    WasmDeployment,
    WasmJob,
    WasmPod,
    type WorkloadKind,
} from "../../../../components";
import { imageReference as image, inCluster } from "../fixtures";

export const components = {
    Pod: WasmPod,
    Deployment: WasmDeployment,
    Job: WasmJob,
    CronJob: WasmCronJob,
    DaemonSet: WasmDaemonSet,
};

/** The workload "w" of a kind, with arguments that the compiler has not seen. */
export function ofKind(
    kind: WorkloadKind,
    args: Record<string, unknown> = {},
    opts: pulumi.ComponentResourceOptions = inCluster(),
) {
    const Component = components[kind] as unknown as new (name: string, ...rest: unknown[]) => WasmPod;
    const own = kind === "CronJob" ? { image } : { image, kubeconfigFile: "/k" };
    return new Component("w", { ...own, ...args }, opts);
}
