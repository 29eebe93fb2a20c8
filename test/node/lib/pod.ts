// Pods: how the tests write them, and what they look at in one.
import type { types } from "@pulumi/kubernetes";
import type { KubeObject } from "./api";
import { underTest } from "../underTest";

export type PodSpec = types.input.core.v1.PodSpec;
export type Container = types.input.core.v1.Container;

/** A container's state, as the API server has it. */
export interface ContainerState {
    waiting?: { reason?: string; message?: string };
    running?: { startedAt: string };
    terminated?: {
        exitCode: number;
        reason?: string;
        message?: string;
        startedAt?: string;
        finishedAt?: string;
        containerID?: string;
    };
}

export interface ContainerStatus {
    name: string;
    image: string;
    imageID: string;
    containerID?: string;
    ready: boolean;
    started?: boolean;
    restartCount: number;
    state?: ContainerState;
    lastState?: ContainerState;
    resources?: { limits?: Record<string, string>; requests?: Record<string, string> };
    allocatedResources?: Record<string, string>;
    volumeMounts?: { name: string; mountPath: string; readOnly?: boolean; recursiveReadOnly?: string }[];
}

/** A pod, as far as the tests look at it. */
export interface Pod extends KubeObject {
    spec: {
        nodeName?: string;
        containers: { name: string }[];
        initContainers?: { name: string }[];
    };
    status: {
        phase?: string;
        reason?: string;
        message?: string;
        qosClass?: string;
        observedGeneration?: number;
        hostIP?: string;
        hostIPs?: { ip: string }[];
        podIP?: string;
        startTime?: string;
        conditions?: {
            type: string;
            status: string;
            reason?: string;
            message?: string;
            lastTransitionTime?: string;
        }[];
        containerStatuses?: ContainerStatus[];
        initContainerStatuses?: ContainerStatus[];
    };
}

export interface KubeEvent extends KubeObject {
    involvedObject: { kind?: string; uid?: string; fieldPath?: string };
    type: string;
    reason: string;
    message: string;
    eventTime?: string | null;
    firstTimestamp?: string | null;
    reportingComponent?: string;
    source?: { component?: string };
}

/** What a pod is made of, beside its name. */
export interface PodParts {
    /** Arguments of the container `main`, which runs workloads/probe. Default: none. */
    args?: string[];
    /** More of the container `main`. */
    main?: Partial<Container>;
    /** More of the pod's spec. `containers` replaces `main`. */
    spec?: Partial<PodSpec>;
    labels?: Record<string, string>;
    annotations?: Record<string, string>;
}

/** A container that runs workloads/probe. */
export function probe(name: string, args: string[], more: Partial<Container> = {}): Container {
    return { name, image: underTest().modules.probe.image, args, ...more };
}

/** A pod for a node (that under test, unless another is named): restarted never and ended without grace, where it does not say otherwise. */
export function podOf(
    namespace: string,
    name: string,
    parts: PodParts,
    nodeName = underTest().node.nodeName,
): KubeObject & { spec: object } {
    const { labels, annotations } = parts;
    return {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name, namespace, labels, annotations },
        spec: {
            restartPolicy: "Never",
            terminationGracePeriodSeconds: 1,
            nodeSelector: { "kubernetes.io/hostname": nodeName },
            tolerations: [{ key: "kubernetes.io/arch", operator: "Equal", value: "wasm32-wasi" }],
            containers: [probe("main", parts.args ?? [], parts.main)],
            ...parts.spec,
        },
    };
}

/** A state in a few words: `running`, `waiting CrashLoopBackOff`, `terminated Error 42`; empty: there is none. */
export function stateOf(state: ContainerState | undefined): string {
    if (state?.running) return "running";
    if (state?.waiting) return `waiting ${state.waiting.reason ?? ""}`.trim();
    if (state?.terminated) return `terminated ${state.terminated.reason ?? ""} ${state.terminated.exitCode}`;
    return "";
}

/** What a container's status says, in a few words each. */
export interface ContainerSummary {
    state: string;
    /** Of the state. */
    message: string;
    last: string;
    restarts: number;
    ready: boolean;
    started: boolean;
    image: string;
    imageId: string;
}

function summaryOf(status: ContainerStatus): ContainerSummary {
    const { state, lastState } = status;
    return {
        state: stateOf(state),
        message: state?.waiting?.message ?? state?.terminated?.message ?? "",
        last: stateOf(lastState),
        restarts: status.restartCount,
        ready: status.ready,
        started: status.started ?? false,
        image: status.image,
        imageId: status.imageID,
    };
}

/** What a pod's status says, in a few words each. */
export interface PodSummary {
    phase: string;
    reason: string;
    message: string;
    qosClass: string;
    /** Of the spec that the status is of. */
    observedGeneration: number;
    /** By type: the status, and the reason where there is one: `False ContainersNotReady`. */
    conditions: Record<string, string>;
    /** Of conditions, by type. */
    messages: Record<string, string>;
    containers: Record<string, ContainerSummary>;
    init: Record<string, ContainerSummary>;
}

export function summary({ status }: Pod): PodSummary {
    const byName = (statuses: ContainerStatus[] = []) =>
        Object.fromEntries(statuses.map((one) => [one.name, summaryOf(one)]));
    return {
        phase: status.phase ?? "",
        reason: status.reason ?? "",
        message: status.message ?? "",
        qosClass: status.qosClass ?? "",
        observedGeneration: status.observedGeneration ?? 0,
        conditions: Object.fromEntries(
            (status.conditions ?? []).map(({ type, status: holds, reason }) => [
                type,
                reason ? `${holds} ${reason}` : holds,
            ]),
        ),
        messages: Object.fromEntries(
            (status.conditions ?? []).map(({ type, message = "" }) => [type, message]),
        ),
        containers: byName(status.containerStatuses),
        init: byName(status.initContainerStatuses),
    };
}

/** The status of a container by its name, of whichever sort. */
export function statusOf(pod: Pod, container = "main"): ContainerStatus | undefined {
    const { containerStatuses = [], initContainerStatuses = [] } = pod.status;
    return [...initContainerStatuses, ...containerStatuses].find(({ name }) => name === container);
}
