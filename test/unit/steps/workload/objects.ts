// Objects as the API server shows them.
import type { Condition, ContainerStatus, Verdict, WorkloadPod } from "../../../../steps/workload/workload";

export const metadata = { name: "w", uid: "u", generation: 2 };
export const waiting = (what: string): Verdict => ({ state: "waiting", what });
export const complete: Verdict = { state: "done", lasting: false };
export const runs: Verdict = { state: "done", lasting: true };
export const is = (type: string, more: Partial<Condition> = {}): Condition => ({
    type,
    status: "True",
    ...more,
});

export function pod(status: WorkloadPod["status"], spec?: WorkloadPod["spec"]): WorkloadPod {
    return { metadata: { name: "w-1", uid: "p" }, spec, status };
}
export const ended = (exitCode: number, reason?: string): ContainerStatus["state"] => ({
    terminated: { exitCode, reason },
});
