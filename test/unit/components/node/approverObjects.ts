// What a CertificateApproval makes in the cluster for its approver.
import type { Registered } from "../mocks";

export const RBAC = "rbac.authorization.k8s.io/v1";
export const provider = "pulumi:providers:kubernetes::other-provider";
export const command = (name: string) => `command:local:Command::${name}`;
export const object = (version: string, kind: string, name: string) =>
    `kubernetes:${version}:${kind}::${name}`;

/** The objects in the cluster that give an approver its rights, exactly. */
export function approverObjects(name: string, parent: string, nodeName: string): Record<string, Registered> {
    const apiGroup = "rbac.authorization.k8s.io";
    const metadata = { name: `krustlet-stack:approver:${nodeName}` };
    const inNamespace = { ...metadata, namespace: "kube-system" };
    const account = `krustlet-approver-${nodeName}`;
    const subjects = [{ kind: "ServiceAccount", name: account, namespace: "kube-system" }];
    const options = { provider, deletedWith: provider };
    const accountUrn = object("core/v1", "ServiceAccount", `${name}-approver-account`);
    const after = (...dependsOn: string[]) => ({ ...options, dependsOn: dependsOn.sort() });
    return {
        [`${name}-approver-account`]: {
            type: "kubernetes:core/v1:ServiceAccount",
            parent,
            inputs: {
                apiVersion: "v1",
                kind: "ServiceAccount",
                metadata: { name: account, namespace: "kube-system" },
                automountServiceAccountToken: false,
            },
            options,
        },
        [`${name}-approver-role`]: {
            type: `kubernetes:${RBAC}:ClusterRole`,
            parent,
            inputs: {
                apiVersion: RBAC,
                kind: "ClusterRole",
                metadata,
                rules: [
                    {
                        apiGroups: ["certificates.k8s.io"],
                        resources: ["certificatesigningrequests"],
                        verbs: ["get", "list", "watch"],
                    },
                    {
                        apiGroups: ["certificates.k8s.io"],
                        resources: ["certificatesigningrequests/approval"],
                        verbs: ["update"],
                    },
                    {
                        apiGroups: ["certificates.k8s.io"],
                        resources: ["signers"],
                        resourceNames: [
                            "kubernetes.io/kube-apiserver-client-kubelet",
                            "kubernetes.io/kubelet-serving",
                        ],
                        verbs: ["approve"],
                    },
                ],
            },
            options,
        },
        [`${name}-approver-role-binding`]: {
            type: `kubernetes:${RBAC}:ClusterRoleBinding`,
            parent,
            inputs: {
                apiVersion: RBAC,
                kind: "ClusterRoleBinding",
                metadata,
                roleRef: { apiGroup, kind: "ClusterRole", name: metadata.name },
                subjects,
            },
            options: after(accountUrn, object(RBAC, "ClusterRole", `${name}-approver-role`)),
        },
        [`${name}-approver-token-role`]: {
            type: `kubernetes:${RBAC}:Role`,
            parent,
            inputs: {
                apiVersion: RBAC,
                kind: "Role",
                metadata: inNamespace,
                rules: [
                    {
                        apiGroups: [""],
                        resources: ["serviceaccounts/token"],
                        resourceNames: [account],
                        verbs: ["create"],
                    },
                ],
            },
            options: after(accountUrn),
        },
        [`${name}-approver-token-role-binding`]: {
            type: `kubernetes:${RBAC}:RoleBinding`,
            parent,
            inputs: {
                apiVersion: RBAC,
                kind: "RoleBinding",
                metadata: inNamespace,
                roleRef: { apiGroup, kind: "Role", name: metadata.name },
                subjects,
            },
            options: after(accountUrn, object(RBAC, "Role", `${name}-approver-token-role`)),
        },
    };
}
