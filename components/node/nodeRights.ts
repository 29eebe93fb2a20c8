import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

/** What a node may do in its cluster beside what Kubernetes lets each one. */
export interface NodeRights {
    role: kubernetes.rbac.v1.ClusterRole;
    binding: kubernetes.rbac.v1.ClusterRoleBinding;
}

/**
 * Lets a node find where the Services are that its programs ask: it sees all Services by itself, but not what is behind them. One with
 * addresses for its pods sees the other nodes besides, whose pods it must find its way back to: by itself it may read its own Node alone
 * (Kubernetes 1.32 and later).
 */
export function nodeRights(
    name: string,
    nodeName: pulumi.Output<string>,
    seesNodes: boolean,
    inCluster: pulumi.CustomResourceOptions,
): NodeRights {
    const apiGroup = "rbac.authorization.k8s.io";
    const metadata = { name: pulumi.interpolate`krustlet-stack:node:${nodeName}` };
    const services = { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list"] };
    const nodes = { apiGroups: [""], resources: ["nodes"], verbs: ["list", "watch"] };
    const rules = seesNodes ? [services, nodes] : [services];
    const role = new kubernetes.rbac.v1.ClusterRole(`${name}-role`, { metadata, rules }, inCluster);
    const binding = new kubernetes.rbac.v1.ClusterRoleBinding(
        `${name}-role-binding`,
        {
            metadata,
            roleRef: { apiGroup, kind: "ClusterRole", name: role.metadata.name },
            subjects: [{ apiGroup, kind: "User", name: pulumi.interpolate`system:node:${nodeName}` }],
        },
        inCluster,
    );
    return { role, binding };
}
