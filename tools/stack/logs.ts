import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../steps/lib/run";
import { logArgs, type WorkloadOutput } from "./outputs";
import type { Env } from "./pulumi";

/** How long a workload may take to its first line of log, in seconds. */
const FIRST_LINE_SECONDS = 60;

/**
 * The last lines of a workload's log, read through the Kubernetes API server. Waits for the first line, but not for a CronJob's:
 * undefined, where none of its jobs has run.
 *
 * @throws Error that says what was tried when there is none in time.
 */
export async function workloadLog(
    kubeconfigFile: string,
    workload: WorkloadOutput,
    env: Env,
    { lines = 5, waitSeconds = FIRST_LINE_SECONDS } = {},
): Promise<string | undefined> {
    const argv = ["kubectl", ...logArgs(kubeconfigFile, workload, lines)];
    const deadline = Date.now() + waitSeconds * 1000;
    for (;;) {
        const left = deadline - Date.now();
        const result = await run(argv, {
            env,
            allowFailure: true,
            timeoutSeconds: Math.max(2, Math.ceil(left / 1000)),
        });
        if (result.exitCode === 0 && result.stdout.trim() !== "") return result.stdout.trimEnd();
        if (workload.kind === "CronJob" && result.exitCode === 0) return undefined;
        if (Date.now() >= deadline) {
            const why = result.exitCode === 0 ? "it has logged nothing" : result.stderr.trim();
            throw new Error(
                `${workload.kind} ${workload.namespace}/${workload.name} has no log after ${waitSeconds} s: ${why}\n` +
                    `Try: ${argv.join(" ")}`,
            );
        }
        await sleep(200);
    }
}
