import * as pulumi from "@pulumi/pulumi";
import { createHash } from "node:crypto";
import { CLAIM_LABEL, RESOURCE_LABEL } from "../steps/host/contract";
import { claim } from "./claim";

/**
 * Options of a component that has children on this host beside those in the cluster. The engine hands a component's
 * `deletedWith` down to all its children, and so would leave the ones on this host behind when the cluster goes.
 */
export function withoutDeletedWith(
    opts: pulumi.ComponentResourceOptions | undefined,
): pulumi.ComponentResourceOptions | undefined {
    return opts && { ...opts, deletedWith: undefined };
}

/**
 * Options of a component's objects in a cluster. Throws where the component has no Kubernetes provider: the objects would go
 * to whichever cluster the user's own kubeconfig happens to name.
 */
export function clusterObjectOptions(
    parent: pulumi.ComponentResource,
    component: string,
    name: string,
    opts: pulumi.ComponentResourceOptions | undefined,
): pulumi.CustomResourceOptions {
    if (parent.getProvider("kubernetes:core/v1:Pod") === undefined) {
        throw new pulumi.RunError(
            `${component} "${name}" has no Kubernetes provider; give it the cluster's, as the last argument: ` +
                "cluster.inCluster()",
        );
    }
    return { parent, deletedWith: opts?.deletedWith, transformations: [labelled] };
}

/** What an object in a cluster is labelled as: this very resource. */
export function labelOf(type: string, name: string): string {
    return createHash("sha256").update(`${type}\0${name}`).digest("hex").slice(0, 32);
}

interface Labelled {
    metadata?: { labels?: pulumi.Input<Record<string, pulumi.Input<string>>> };
}

/**
 * Labels an object as this stack's and as this very resource's: one that a run made that was ended before Pulumi had recorded it is known
 * by them.
 */
function labelled({ type, name, props, opts }: pulumi.ResourceTransformationArgs) {
    const { metadata = {} } = props as Labelled;
    const labels = pulumi
        .all([metadata.labels ?? {}, claim()])
        .apply(([given, { id }]) => ({ ...given, [CLAIM_LABEL]: id, [RESOURCE_LABEL]: labelOf(type, name) }));
    return { props: { ...props, metadata: { ...metadata, labels } } as pulumi.Inputs, opts };
}
