import * as pulumi from "@pulumi/pulumi";

/** A name of this stack's own for `part`, unique on a machine as long as the stack's name is: `<project>-<stack>-<part>`. */
export function ownName(part: string): string {
    return `${pulumi.getProject()}-${pulumi.getStack()}-${part}`;
}

/** Where a node keeps its files unless it is told otherwise. The step expands `~`, so that the state names no home folder. */
export function defaultStateDir(nodeName: string): string {
    return `~/.local/state/krustlet-stack/nodes/${ownName(nodeName)}`;
}

/** Where a cluster's admin kubeconfig is kept in a stack's home folder. */
export function kubeconfigIn(home: string, clusterName: string): string {
    // A context may be named as clouds do it: `arn:aws:eks:…:cluster/demo`.
    return `${home}/kubeconfig/${ownName(clusterName.replace(/[^\w.@-]/g, "_"))}`;
}

/** Where a cluster's admin kubeconfig is kept unless it is told otherwise. */
export function defaultKubeconfigFile(clusterName: string): string {
    return kubeconfigIn("~/.local/state/krustlet-stack", clusterName);
}

/**
 * The group of a node's bootstrap token: its own, so that no other node's rights come with it. Kubernetes allows no "." in
 * it, and a node's name has no ":".
 */
export function bootstrapGroup(nodeName: string): string {
    return `system:bootstrappers:krustlet-stack:${nodeName.replaceAll(".", ":")}`;
}
