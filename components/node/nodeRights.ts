import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

/**
 * Lets a node see the others of its cluster, whose pods it must find its way back to: by itself it may read its own Node alone (Kubernetes
 * 1.32 and later).
 */
export function nodesRole(
    name: string,
    nodeName: pulumi.Output<string>,
    inCluster: pulumi.CustomResourceOptions,
): kubernetes.rbac.v1.ClusterRoleBinding {
    const apiGroup = "rbac.authorization.k8s.io";
    const metadata = { name: pulumi.interpolate`krustlet-stack:nodes:${nodeName}` };
    const role = new kubernetes.rbac.v1.ClusterRole(
        `${name}-nodes-role`,
        { metadata, rules: [{ apiGroups: [""], resources: ["nodes"], verbs: ["list", "watch"] }] },
        inCluster,
    );
    return new kubernetes.rbac.v1.ClusterRoleBinding(
        `${name}-nodes-role-binding`,
        {
            metadata,
            roleRef: { apiGroup, kind: "ClusterRole", name: role.metadata.name },
            subjects: [{ apiGroup, kind: "User", name: pulumi.interpolate`system:node:${nodeName}` }],
        },
        inCluster,
    );
}
