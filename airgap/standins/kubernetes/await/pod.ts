// A pod is ready when it is scheduled and initialized, and then has the Ready condition or has succeeded.
import type { Props } from "../../lib/values";
import { isProps, listAt, numberAt, textAt, textOf } from "../../lib/values";
import { namespaceOf, objectName } from "../metadata";
import type { AwaitContext, Awaiter } from "./awaiter";
import { watchSelf } from "./awaiter";

export interface PodCheck {
    ready: boolean;
    /** What is being waited for. */
    waitingFor: string;
    /** What the pod's status says is wrong; undefined while nothing is. */
    problem?: string;
    /** Whether the problem is only that a condition is not met yet. */
    minor?: boolean;
}

/** Judges a pod by its conditions in their order. */
export function checkPod(pod: Props): PodCheck {
    const name = qualifiedName(pod);
    const scheduled = condition(pod, "PodScheduled");
    if (scheduled?.status !== "True") {
        const message = textAt(scheduled, "reason") && textAt(scheduled, "message");
        return {
            ready: false,
            waitingFor: `Waiting for Pod "${name}" to be scheduled`,
            problem: message || undefined,
            minor: true,
        };
    }
    const initialized = condition(pod, "Initialized");
    if (initialized?.status !== "True") {
        return {
            ready: false,
            waitingFor: `Waiting for Pod "${name}" to be initialized`,
            problem: initialized && problemOf(pod, initialized, name),
        };
    }
    const waitingFor = `Waiting for Pod "${name}" to be ready`;
    const ready = condition(pod, "Ready");
    if (ready !== undefined && (ready.status === "True" || textAt(pod, "status", "phase") === "Succeeded")) {
        return { ready: true, waitingFor };
    }
    return { ready: false, waitingFor, problem: ready && problemOf(pod, ready, name) };
}

export async function podAwaiter(context: AwaitContext): Promise<Awaiter> {
    let pod = context.object;
    let check = checkPod(pod);
    const self = await watchSelf(context, ({ type, object }) => {
        if (type === "DELETED") {
            return;
        }
        pod = object;
        check = checkPod(pod);
        context.status("info", check.waitingFor);
    });
    return {
        watches: [self],
        ready: () => (check.ready ? pod : undefined),
        latest: () => pod,
        problems: () => (check.problem !== undefined && !check.minor ? [check.problem] : []),
    };
}

/** The condition of that type in an object's status. */
export function condition(object: Props | undefined, type: string): Props | undefined {
    return listAt(object, "status", "conditions")
        .filter(isProps)
        .find((c) => c.type === type);
}

/** `namespace/name`, or the name alone in the default namespace. */
export function qualifiedName(object: Props): string {
    const namespace = namespaceOf(object);
    return namespace === "" || namespace === "default"
        ? objectName(object)
        : `${namespace}/${objectName(object)}`;
}

function problemOf(pod: Props, unmet: Props, name: string): string | undefined {
    const containers = listAt(pod, "status", "containerStatuses")
        .filter(isProps)
        .flatMap(containerProblems)
        .join("\n");
    const message = textAt(unmet, "reason") && textAt(unmet, "message");
    return containers !== "" || message !== "" ? `[Pod ${name}]: ${message}${containers}` : undefined;
}

function containerProblems(status: Props): string[] {
    if (status.ready === true) {
        return [];
    }
    const name = textAt(status, "name");
    const problems: string[] = [];
    const waiting = textAt(status, "state", "waiting", "reason");
    if (waiting !== "" && waiting !== "ContainerCreating") {
        problems.push(`[${waiting}] ${textAt(status, "state", "waiting", "message")}`);
    }
    const ended = textAt(status, "state", "terminated", "reason");
    if (ended !== "") {
        const message = textAt(status, "state", "terminated", "message");
        problems.push(
            message !== ""
                ? `[${ended}] ${message}`
                : `container "${name}" completed with exit code ${numberAt(status, "state", "terminated", "exitCode")}`,
        );
    }
    const last = status.lastState;
    if (isProps(last) && isProps(last.terminated)) {
        const { finishedAt = "?", reason = "?", exitCode = "?", message } = last.terminated;
        const when = textOf(finishedAt);
        problems.push(
            `container "${name}" terminated at ${when} (${textOf(reason)}: exit code ${textOf(exitCode)})`,
        );
        if (typeof message === "string" && message !== "") {
            problems.push(message);
        }
    }
    return problems;
}
