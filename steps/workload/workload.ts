// What the API server tells of a workload, and what follows from it: done, still on its way, or nothing will come of it. Pure.
import type { WorkloadKind } from "./contract";
import type { ManagedFields } from "./fields";

/** One condition of an object's status. */
export interface Condition {
    type: string;
    status: string;
    reason?: string;
    message?: string;
}

/** A container's state: one of the three is there. */
export interface ContainerState {
    waiting?: { reason?: string; message?: string };
    running?: object;
    terminated?: { exitCode: number; reason?: string; message?: string };
}

export interface ContainerStatus {
    name: string;
    restartCount?: number;
    state?: ContainerState;
    lastState?: ContainerState;
}

export interface OwnerReference {
    uid: string;
    controller?: boolean;
}

/** What is looked at of any object. */
export interface WorkloadObject {
    metadata: {
        name: string;
        uid: string;
        deletionTimestamp?: string;
        generation?: number;
        labels?: Record<string, string>;
        annotations?: Record<string, string>;
        ownerReferences?: OwnerReference[];
        managedFields?: ManagedFields[];
    };
    spec?: {
        ttlSecondsAfterFinished?: number;
        replicas?: number;
        selector?: { matchLabels?: Record<string, string> };
    };
    status?: {
        observedGeneration?: number;
        conditions?: Condition[];
        replicas?: number;
        updatedReplicas?: number;
        availableReplicas?: number;
        desiredNumberScheduled?: number;
        updatedNumberScheduled?: number;
        numberAvailable?: number;
        succeeded?: number;
        failed?: number;
    };
}

/**
 * How an object, of that UID where one is given, is no more; undefined: it is there. One that is being deleted cannot be kept, and may be gone
 * before Pulumi has changed it.
 */
export function goneness(
    now: { metadata: Pick<WorkloadObject["metadata"], "uid" | "deletionTimestamp"> } | undefined,
    uid?: string,
): string | undefined {
    if (now === undefined) return "is gone";
    if (uid !== undefined && now.metadata.uid !== uid)
        return "is gone, and another one of that name is there";
    return now.metadata.deletionTimestamp === undefined ? undefined : "is being deleted";
}

/** A pod, as far as it is looked at. */
export interface WorkloadPod extends WorkloadObject {
    spec?: WorkloadObject["spec"] & { nodeName?: string; terminationGracePeriodSeconds?: number };
    status?: WorkloadObject["status"] & {
        phase?: string;
        reason?: string;
        message?: string;
        initContainerStatuses?: ContainerStatus[];
        containerStatuses?: ContainerStatus[];
    };
}

/** What has become of a workload. */
export type Verdict =
    /** `lasting`: programs run, and are worth a second look a moment later: one that fails at once is Ready before it does. */
    | { state: "done"; lasting: boolean }
    | { state: "waiting"; what: string }
    | { state: "failed"; what: string; advice: string };

/** Something about a pod or its controller that passes by itself, or does not. */
export interface Trouble {
    /** The same for as long as it is the same trouble. */
    key: string;
    /** In a sentence. */
    what: string;
    /** What to do about it. */
    advice: string;
    /** How long it may last before nobody waits for its end any more, in seconds. */
    patienceSeconds: number;
}

/** Reason of a pod that asks for what no WebAssembly node has; a pod of a ReplicaSet or DaemonSet waits with this message instead. */
const UNSUPPORTED = "UnsupportedOnWasmNode";
const unsupported = /^this WebAssembly node does not support/;

/** Stands for the reason of a container that waits for a port of the node's, which is another's. */
const PORT_TAKEN = "PortTaken";
const portTaken = /\bport \d+ (is \S+'s: |of the (node's own )?address )/;

/** Stands for the reason of a container that has what only a server has, and is none. */
const NO_SERVER = "NoServer";
const noServer = /\bits program answers no requests\b/;

/** Stands for the reason of a container whose module takes more to compile than its node gives. */
const OVER_COMPILE_LIMITS = "OverCompileLimits";
const overCompileLimits = /\bcompiling the module takes |\bthe compiler was ended by signal /;

/** What the scheduler says of a pod whose hostPort is another one's on each node that would have it, and of a node that may be back soon. */
const noFreePorts = /\bdidn't have free ports\b/;
const nodeIsAway = /not-ready|unreachable|unschedulable/;

/** Patience with what may be about to be made, or to end, in seconds. */
const SOON_SECONDS = 30;

/** How often a container may have failed before it is given up where it is restarted for ever. */
const RESTARTS = 3;

const waiting = (what: string): Verdict => ({ state: "waiting", what });
const done: Verdict = { state: "done", lasting: false };
const runs: Verdict = { state: "done", lasting: true };

/** What an object's own status says. */
export function judge(kind: WorkloadKind, object: WorkloadObject): Verdict {
    switch (kind) {
        case "Pod":
            return judgePod(object);
        case "Deployment":
            return judgeDeployment(object);
        case "DaemonSet":
            return judgeDaemonSet(object);
        case "Job":
            return judgeJob(object);
        case "CronJob":
            // Its first job is due when its schedule says so, not now.
            return done;
    }
}

function conditionOf(object: WorkloadObject, type: string): Condition | undefined {
    return object.status?.conditions?.find((one) => one.type === type);
}

function said({ reason, message }: { reason?: string; message?: string }): string {
    return [reason, message].filter(Boolean).join(": ");
}

function judgePod(pod: WorkloadPod): Verdict {
    const { phase = "Pending" } = pod.status ?? {};
    if (phase === "Succeeded") return done;
    if (phase === "Failed") {
        const ended = containersOf(pod).map(exitOf).filter(Boolean).join("; ");
        const why = said(pod.status ?? {}) || ended || "no reason given";
        return { state: "failed", what: `the pod has failed: ${why}`, advice: adviceFor(pod.status?.reason) };
    }
    if (conditionOf(pod, "Ready")?.status === "True") return runs;
    const scheduled = conditionOf(pod, "PodScheduled");
    if (scheduled?.status !== "True") {
        return waiting(`the pod is not scheduled${scheduled?.message ? `: ${scheduled.message}` : ""}`);
    }
    return waiting(`the pod is ${phase}, not Ready`);
}

function judgeDeployment(deployment: WorkloadObject): Verdict {
    const { status = {}, metadata, spec } = deployment;
    if ((status.observedGeneration ?? 0) < (metadata.generation ?? 1)) {
        return waiting("its controller has not seen the change");
    }
    const progressing = conditionOf(deployment, "Progressing");
    if (progressing?.reason === "ProgressDeadlineExceeded") {
        return { state: "failed", what: said(progressing), advice: adviceFor(undefined) };
    }
    const wanted = spec?.replicas ?? 1;
    const { replicas = 0, updatedReplicas: updated = 0, availableReplicas: available = 0 } = status;
    if (updated < wanted) return waiting(`${updated} of ${wanted} pods are there`);
    if (replicas > updated) return waiting(`${replicas - updated} pods of before are still there`);
    if (available < wanted) return waiting(`${available} of ${wanted} pods are available`);
    return runs;
}

function judgeDaemonSet({ metadata, status = {} }: WorkloadObject): Verdict {
    if ((status.observedGeneration ?? 0) < (metadata.generation ?? 1)) {
        return waiting("its controller has not seen the change");
    }
    const { desiredNumberScheduled: wanted = 0, updatedNumberScheduled: updated = 0 } = status;
    const { numberAvailable: available = 0 } = status;
    if (updated < wanted) return waiting(`pods are there on ${updated} of ${wanted} nodes`);
    if (available < wanted) return waiting(`pods are available on ${available} of ${wanted} nodes`);
    return runs;
}

function judgeJob(job: WorkloadObject): Verdict {
    if (conditionOf(job, "Complete")?.status === "True") return done;
    const failed = conditionOf(job, "Failed");
    if (failed?.status === "True") {
        return { state: "failed", what: said(failed), advice: adviceFor(failed.reason) };
    }
    const { failed: failures = 0 } = job.status ?? {};
    return waiting(`it is not complete${failures > 0 ? `, ${failures} of its pods have failed` : ""}`);
}

/** How a container ended, when it has and not well. */
function exitOf({ name, state }: ContainerStatus): string {
    const { terminated } = state ?? {};
    if (terminated === undefined || terminated.exitCode === 0) return "";
    const { exitCode, reason, message } = terminated;
    return `container "${name}" ended with exit code ${exitCode} (${said({ reason, message }) || "no reason given"})`;
}

/** A pod's containers, in the order in which they are started. */
export function containersOf(pod: WorkloadPod): ContainerStatus[] {
    const { initContainerStatuses = [], containerStatuses = [] } = pod.status ?? {};
    return [...initContainerStatuses, ...containerStatuses];
}

/** What keeps a workload's pods from running, beside what `judge` sees. */
export function troublesOf(
    kind: WorkloadKind,
    object: WorkloadObject,
    pods: readonly WorkloadPod[],
): Trouble[] {
    const failure = conditionOf(object, "ReplicaFailure");
    const controller: Trouble[] =
        failure?.status === "True"
            ? [
                  {
                      key: "controller",
                      what: said(failure),
                      advice: adviceFor(failure.reason),
                      patienceSeconds: SOON_SECONDS,
                  },
              ]
            : [];
    return [...controller, ...pods.flatMap((pod) => podTroubles(kind, pod))];
}

function podTroubles(kind: WorkloadKind, pod: WorkloadPod): Trouble[] {
    const { name, uid } = pod.metadata;
    const { reason, phase } = pod.status ?? {};
    // A Job would only make the next one.
    if (reason === UNSUPPORTED) {
        const what = `pod ${name}: ${said(pod.status ?? {})}`;
        return [{ key: `${uid}/pod`, what, advice: adviceFor(reason), patienceSeconds: 0 }];
    }
    if (phase === "Succeeded" || phase === "Failed") return [];
    const { status, message = "" } = conditionOf(pod, "PodScheduled") ?? {};
    if (status === "False" && noFreePorts.test(message) && !nodeIsAway.test(message)) {
        // One of before that is ending has its port until its requests have ended.
        const { terminationGracePeriodSeconds: ending = 30 } = pod.spec ?? {};
        const what = `pod ${name} waits for a port of a node: ${message}`;
        const patienceSeconds = SOON_SECONDS + ending;
        return [{ key: `${uid}/port`, what, advice: adviceFor(PORT_TAKEN), patienceSeconds }];
    }
    return containersOf(pod).flatMap((container) => {
        const patience = patienceFor(kind, container);
        const { waiting: held } = container.state ?? {};
        if (patience === undefined || held === undefined) return [];
        const last = exitOf({ ...container, state: container.lastState });
        const cause = held.reason === "CrashLoopBackOff" && last ? `${last}; ` : "";
        const own = nodesReason(held.message ?? "");
        return [
            {
                key: `${uid}/${container.name}/${patience.sort}`,
                what: `${cause}container "${container.name}" of pod ${name} waits: ${said(held)}`,
                advice: adviceFor(own ?? held.reason, container.lastState?.terminated?.exitCode),
                patienceSeconds: own === UNSUPPORTED || own === NO_SERVER ? 0 : patience.seconds,
            },
        ];
    });
}

/** What the node says in a message, for which Kubernetes has no reason. */
function nodesReason(message: string): string | undefined {
    if (unsupported.test(message)) return UNSUPPORTED;
    if (noServer.test(message)) return NO_SERVER;
    if (overCompileLimits.test(message)) return OVER_COMPILE_LIMITS;
    return portTaken.test(message) ? PORT_TAKEN : undefined;
}

/** How long a container may wait for its reason; undefined: as long as it likes. */
function patienceFor(
    kind: WorkloadKind,
    container: ContainerStatus,
): { sort: string; seconds: number } | undefined {
    switch (container.state?.waiting?.reason ?? "") {
        case "InvalidImageName":
        case "ErrImageNeverPull":
            return { sort: "image", seconds: 0 };
        case "ErrImagePull":
        case "ImagePullBackOff":
            // A registry may be busy, or the module on its way there.
            return { sort: "image", seconds: 60 };
        case "CreateContainerConfigError":
        case "CreateContainerError":
        case "RunContainerError":
            // What it needs may be about to be made.
            return { sort: "start", seconds: SOON_SECONDS };
        case "CrashLoopBackOff":
            // A Job counts its failures itself.
            return kind !== "Job" && (container.restartCount ?? 0) >= RESTARTS
                ? { sort: "crash", seconds: 0 }
                : undefined;
        default:
            return undefined;
    }
}

/** What to do about a reason of Kubernetes, or of the node's. */
function adviceFor(reason: string | undefined, lastExitCode?: number): string {
    switch (reason ?? "") {
        case "ErrImagePull":
        case "ImagePullBackOff":
            return "see that the registry has that module, that the node reaches the registry, and that imagePullSecrets or the node's own login lets it in";
        case "InvalidImageName":
        case "ErrImageNeverPull":
            return "mend the image's name, or the pod's imagePullPolicy";
        case OVER_COMPILE_LIMITS:
            return "give a smaller module, or its node more for a compilation (`--compile-timeout-seconds`, `--compile-max-memory-bytes`); the same module is not tried again there for an hour";
        case "CreateContainerError":
            return "see what its node's machine lacks, room on its disk or open files for example: the message above names it, and it is tried again every ten seconds";
        case "CreateContainerConfigError":
            return "make the config map or secret that it names, in the same namespace, with the keys that it asks for";
        case "CrashLoopBackOff":
            return lastExitCode === 0
                ? "the program comes to its end, and is started again each time: run it as a Pod with restartPolicy OnFailure, as a Job or a CronJob"
                : "read the program's last lines above, and mend it or its args, env and volumes";
        case PORT_TAKEN:
            return (
                "give each program that answers requests a port of its own on the node (containerPort), or have no more of them than nodes; where pods " +
                "have addresses of their own, an event NoPodAddress says why this one has none; where another one is this one under an earlier name or " +
                "kind, take that out in an update of its own"
            );
        case NO_SERVER:
            return "leave out ports, probes and service, or give a program that serves (docs/serving.md)";
        case UNSUPPORTED:
            return "take out what a WebAssembly node does not provide (docs/node.md)";
        case "FailedCreate":
            return "see whether a quota, a limit range or a pod security rule of the namespace refuses its pods";
        case "DeadlineExceeded":
            return "give it more time (activeDeadlineSeconds), or less to do";
        case "BackoffLimitExceeded":
            return "read the program's last lines above, and mend it or its args, env and volumes; a failed Job is not tried again by itself";
        default:
            return "read the events and log lines above, mend what they name, and run `pulumi up` again";
    }
}
