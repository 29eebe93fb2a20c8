import { setTimeout as sleep } from "node:timers/promises";
import { run } from "../../steps/lib/run";
import { logArgs, type WorkloadOutput } from "./outputs";
import type { Env } from "./pulumi";

/** How many lines of a log are shown. */
const LINES = 5;

/** How long is waited, in seconds. */
export interface LogPatience {
    /** For the first line of a program that has written nothing: it may never do so. */
    quiet: number;
    /** For a log that cannot be read. */
    unread: number;
}

/** Where an object says how many pods it wants, and why that may be none. */
const wantedPods: Record<string, [field: string, whyNone: string]> = {
    Deployment: [".spec.replicas", "its replicas are 0"],
    DaemonSet: [".status.desiredNumberScheduled", "no node is for it"],
};

/**
 * What is to be said of a workload that is as it should be: the last lines of its log, read through the Kubernetes API server, or why
 * there are none.
 *
 * @throws Error that says what was tried when the log cannot be read.
 */
export async function workloadLog(
    kubeconfigFile: string,
    workload: WorkloadOutput,
    env: Env,
    patience: LogPatience = { quiet: 5, unread: 60 },
): Promise<string> {
    const { kind, namespace, name } = workload;
    const title = `${kind} ${namespace}/${name}`;
    const none = await withoutPods(kubeconfigFile, workload, env);
    if (none !== undefined) return `${title} has no pods: ${none}`;
    const argv = ["kubectl", ...logArgs(kubeconfigFile, workload, LINES)];
    const begun = Date.now();
    for (;;) {
        const { exitCode, stdout, stderr } = await run(argv, {
            env,
            allowFailure: true,
            timeoutSeconds: Math.ceil(patience.unread) + 2,
        });
        const seconds = (Date.now() - begun) / 1000;
        if (exitCode === 0) {
            if (stdout.trim() !== "") return `Log of ${title}:\n${stdout.trimEnd()}`;
            if (kind === "CronJob") return `${title} has not run yet; see its schedule`;
            if (seconds >= patience.quiet)
                return `${title} has written nothing so far; later: ${argv.join(" ")}`;
        } else if (seconds >= patience.unread) {
            throw new Error(
                `the log of ${title} cannot be read for ${patience.unread} s: ${stderr.trim()}\nTry: ${argv.join(" ")}`,
            );
        }
        await sleep(200);
    }
}

/** Why a workload has no pods; undefined where it should have some. kubectl would wait for one. */
async function withoutPods(
    kubeconfigFile: string,
    { kind, namespace, name }: WorkloadOutput,
    env: Env,
): Promise<string | undefined> {
    const told = async (field: string, ...what: string[]) => {
        const argv = ["kubectl", "--kubeconfig", kubeconfigFile, "--namespace", namespace, "get", ...what];
        const options = { env, allowFailure: true, timeoutSeconds: 30 };
        return (await run([...argv, "--output", `jsonpath=${field}`], options)).stdout.trim();
    };
    if (kind === "Job") {
        // A list's kind tells one without pods from none at all.
        const [ended, pods] = await Promise.all([
            told("{.status.completionTime}", `job/${name}`),
            told("{.kind} {.items[*].metadata.name}", "pods", `--selector=job-name=${name}`),
        ]);
        return ended !== "" && pods === "List" ? "it is complete, and they were deleted since" : undefined;
    }
    if (!(kind in wantedPods)) return undefined;
    const [field, whyNone] = wantedPods[kind];
    return (await told(`{${field}}`, `${kind.toLowerCase()}/${name}`)) === "0" ? whyNone : undefined;
}
