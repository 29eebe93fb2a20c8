const apiGroup = "rbac.authorization.k8s.io";

/** The rights that KrustletBootstrap gives a token's group, for tests that join a node without Pulumi. */
export function bootstrapRights(name: string, group: string): object {
    return granted(name, { kind: "Group", name: group }, [
        {
            apiGroups: ["certificates.k8s.io"],
            resources: ["certificatesigningrequests"],
            verbs: ["create", "get"],
        },
    ]);
}

/** Those that KrustletNode gives a node whose pods have its own address. */
export function nodeRights(nodeName: string): object {
    return granted(`krustlet-stack:node:${nodeName}`, { kind: "User", name: `system:node:${nodeName}` }, [
        { apiGroups: ["discovery.k8s.io"], resources: ["endpointslices"], verbs: ["list"] },
    ]);
}

function granted(name: string, to: { kind: string; name: string }, rules: object[]): object {
    const [apiVersion, metadata] = [`${apiGroup}/v1`, { name }];
    const roleRef = { apiGroup, kind: "ClusterRole", name };
    const role = { apiVersion, kind: "ClusterRole", metadata, rules };
    const subjects = [{ apiGroup, ...to }];
    const binding = { apiVersion, kind: "ClusterRoleBinding", metadata, roleRef, subjects };
    return { apiVersion: "v1", kind: "List", items: [role, binding] };
}
