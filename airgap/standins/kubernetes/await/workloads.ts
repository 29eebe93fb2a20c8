// Controllers of pods: Job, DaemonSet, StatefulSet and ReplicationController. (Deployment: deployment.ts.)
import type { Props } from "../../lib/values";
import { numberAt, textAt } from "../../lib/values";
import type { WatchEvent } from "../client";
import { isOwnedBy, namespaceOf } from "../metadata";
import type { AwaitContext, Awaiter, Watch } from "./awaiter";
import { watchSelf } from "./awaiter";
import { checkPod, condition, qualifiedName } from "./pod";

/** What is wrong with the pods that an object owns; kept by pod, so that a pod that recovers is forgotten. */
export class OwnedPods {
    private readonly byName = new Map<string, string>();

    constructor(
        private readonly context: AwaitContext,
        private readonly owner: () => Props | undefined,
    ) {}

    async watch(): Promise<Watch> {
        const collection = await this.context.client.path("v1", "Pod", namespaceOf(this.context.object));
        return { collection, on: (event) => this.see(event) };
    }

    private see({ type, object: pod }: WatchEvent): void {
        const name = textAt(pod, "metadata", "name");
        this.byName.delete(name);
        if (type === "DELETED" || !isOwnedBy(pod, this.owner())) {
            return;
        }
        const { problem, minor } = checkPod(pod);
        if (problem !== undefined && !minor) {
            this.byName.set(name, problem);
            // To be unready is how every pod starts.
            if (!problem.includes("containers with unready status")) {
                this.context.status("warning", problem);
            }
        }
    }

    problems(): string[] {
        return [...new Set(this.byName.values())];
    }
}

/** A job is done when it has the Complete condition; it fails with its back-off limit or its deadline. */
export async function jobAwaiter(context: AwaitContext): Promise<Awaiter> {
    let job = context.object;
    const seen = new Set<string>();
    const pods = new OwnedPods(context, () => context.object);
    const failure = (): string | undefined => {
        const failed = condition(job, "Failed");
        const reason = textAt(failed, "reason");
        return failed?.status === "True" &&
            (reason === "BackoffLimitExceeded" || reason === "DeadlineExceeded")
            ? `[${reason}] ${textAt(failed, "message")}`
            : undefined;
    };
    const self = await watchSelf(context, ({ type, object }) => {
        if (type === "DELETED") {
            return;
        }
        job = object;
        const name = qualifiedName(job);
        if (textAt(job, "status", "startTime") === "") {
            context.status("info", `Waiting for Job "${name}" to start`);
            return;
        }
        const count = (field: string): number => numberAt(job, "status", field) ?? 0;
        const counts = `Active: ${count("active")} | Succeeded: ${count("succeeded")} | Failed: ${count("failed")}`;
        context.status("info", `Waiting for Job "${name}" to succeed (${counts})`);
    });
    return {
        watches: [self, await pods.watch()],
        ready: () => (condition(job, "Complete")?.status === "True" ? job : undefined),
        latest: () => job,
        failed: () => failure() !== undefined,
        problems: () => {
            const failed = failure();
            if (failed !== undefined) {
                seen.add(failed);
            }
            pods.problems().forEach((problem) => seen.add(problem));
            return [...seen];
        },
    };
}

/** A controller that says in its status how many of its pods are as they should be. */
function replicated(rollout: (object: Props) => { done: boolean; message: string }) {
    return async (context: AwaitContext): Promise<Awaiter> => {
        let object = context.object;
        const pods = new OwnedPods(context, () => context.object);
        const generation = (o: Props): number => numberAt(o, "metadata", "generation") ?? 0;
        const self = await watchSelf(context, (event) => {
            if (event.type === "DELETED" || generation(event.object) < generation(context.object)) {
                return; // a stale object
            }
            object = event.object;
            context.status("info", rollout(object).message);
        });
        return {
            watches: [self, await pods.watch()],
            ready: () => {
                const observed = numberAt(object, "status", "observedGeneration") ?? 0;
                return observed >= generation(object) && rollout(object).done ? object : undefined;
            },
            latest: () => object,
            problems: () => [rollout(object).message, ...pods.problems()],
        };
    };
}

export const daemonSetAwaiter = replicated((daemonSet) => {
    const status = (field: string): number | undefined => numberAt(daemonSet, "status", field);
    const desired = status("desiredNumberScheduled");
    if (desired === undefined) {
        return { done: false, message: "Missing .status.desiredNumberScheduled" };
    }
    const short = (field: string, what: string): { done: boolean; message: string } | undefined => {
        const have = status(field) ?? 0;
        return have < desired ? { done: false, message: `${what}: ${have}/${desired}` } : undefined;
    };
    return (
        short("currentNumberScheduled", "Current") ??
        short("updatedNumberScheduled", "Updated") ??
        short("numberAvailable", "Available") ??
        short("numberReady", "Ready") ?? {
            done: true,
            message: `All replicas scheduled as expected: ${desired}`,
        }
    );
});

export const statefulSetAwaiter = replicated((set) => {
    const wanted = numberAt(set, "spec", "replicas") ?? 1;
    const status = (field: string): number => numberAt(set, "status", field) ?? 0;
    const [ready, updated] = [status("readyReplicas"), status("updatedReplicas")];
    const partition = numberAt(set, "spec", "updateStrategy", "rollingUpdate", "partition") ?? 0;
    const revisionsAgree =
        partition > 0 || textAt(set, "status", "currentRevision") === textAt(set, "status", "updateRevision");
    const done = ready >= wanted && updated >= wanted - partition && revisionsAgree;
    return { done, message: `Waiting for StatefulSet update to roll out (${ready}/${wanted} Pods ready)` };
});

export const replicationControllerAwaiter = replicated((controller) => {
    const wanted = numberAt(controller, "spec", "replicas") ?? 1;
    const available = numberAt(controller, "status", "availableReplicas") ?? 0;
    return { done: available === wanted, message: `${available}/${wanted} replicas available` };
});
