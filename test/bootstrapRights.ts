/** The rights that KrustletBootstrap gives a token's group, for tests that join a node without Pulumi. */
export function bootstrapRights(name: string, group: string): object {
    const apiGroup = "rbac.authorization.k8s.io";
    const metadata = { name };
    const role = {
        apiVersion: `${apiGroup}/v1`,
        kind: "ClusterRole",
        metadata,
        rules: [
            {
                apiGroups: ["certificates.k8s.io"],
                resources: ["certificatesigningrequests"],
                verbs: ["create", "get"],
            },
        ],
    };
    const binding = {
        apiVersion: `${apiGroup}/v1`,
        kind: "ClusterRoleBinding",
        metadata,
        roleRef: { apiGroup, kind: "ClusterRole", name },
        subjects: [{ apiGroup, kind: "Group", name: group }],
    };
    return { apiVersion: "v1", kind: "List", items: [role, binding] };
}
