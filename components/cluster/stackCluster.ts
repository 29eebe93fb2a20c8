import type * as pulumi from "@pulumi/pulumi";
import { CLUSTER_NAME, NODE_IMAGE } from "../defaults";
import type { Checked } from "../registry/stackRegistry";
import type { WasmStackArgs } from "../wasmStackArgs";
import type { Cluster } from "./cluster";
import { KindCluster } from "./kindCluster";

/** Makes the cluster of a stack. */
export function stackCluster(
    name: string,
    { cluster = {} }: WasmStackArgs,
    checked: Checked,
    parent: pulumi.ComponentResource,
): Cluster {
    return new KindCluster(
        `${name}-cluster`,
        { ...cluster, name: checked(cluster.name ?? CLUSTER_NAME), image: cluster.image ?? NODE_IMAGE },
        { parent },
    );
}
