/** A Node of Kubernetes: what tells of its readiness. */
export interface KubeNode {
    metadata: { name: string; labels?: Record<string, string> };
    status?: {
        conditions?: {
            type: string;
            status: string;
            reason?: string;
            message?: string;
            lastHeartbeatTime?: string;
            lastTransitionTime?: string;
        }[];
        nodeInfo?: { kubeletVersion?: string };
    };
}

/** Whether the node is Ready by a heartbeat since `launchedAt` (milliseconds since 1970), not by one of an earlier agent. */
export function isReady(node: KubeNode, launchedAt: number): boolean {
    const ready = node.status?.conditions?.find(({ type }) => type === "Ready");
    // Kubernetes cuts times to whole seconds.
    const launchSecond = Math.floor(launchedAt / 1000) * 1000;
    return ready?.status === "True" && Date.parse(ready.lastHeartbeatTime ?? "") >= launchSecond;
}

/** What keeps new pods from a node, by its conditions, and what helps; undefined: nothing. */
export function pressureOf({ metadata, status }: KubeNode): string | undefined {
    const pressed = (status?.conditions ?? []).filter(
        (one) => one.type.endsWith("Pressure") && one.status === "True",
    );
    if (pressed.length === 0) return undefined;
    const what = pressed.map(({ type, message }) => (message ? `${type} (${message})` : type)).join(", ");
    const remedy = pressed.some(({ type }) => type === "DiskPressure")
        ? "free space on the disk that the node's folder is on; "
        : "";
    return `node "${metadata.name}" takes no new pods: ${what}; ${remedy}it takes some again minutes after that has ended`;
}

/** A node's conditions in a line, for an error message. */
export function describeConditions(node: KubeNode | undefined): string {
    if (node === undefined) return "no such Node was registered";
    const conditions = node.status?.conditions ?? [];
    if (conditions.length === 0) return "the Node has no conditions";
    return conditions
        .map(
            ({ type, status, reason, message, lastHeartbeatTime }) =>
                `${type}=${status} (${[reason, message, `heartbeat ${lastHeartbeatTime ?? "never"}`].filter(Boolean).join(", ")})`,
        )
        .join("; ");
}
