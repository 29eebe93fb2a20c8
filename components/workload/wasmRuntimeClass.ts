import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { RUNTIME_CLASS } from "../defaults";
import { clusterObjectOptions } from "../options";
import * as rules from "../rules";
import { checkArgs } from "../validation";
import { wasmNodeSelector, wasmTolerations } from "./podTemplate";

export interface WasmRuntimeClassArgs {
    /** Name of the RuntimeClass, which pods name as `runtimeClassName`. Default: `krustlet-wasi`. */
    runtimeClassName?: pulumi.Input<string>;
}

const children = new Children<{ runtimeClass: kubernetes.node.v1.RuntimeClass }>();

/**
 * A RuntimeClass for the cluster's Wasm nodes: a pod that names it gets their tolerations and node selector from the API server, so
 * that a manifest needs one line, `runtimeClassName: krustlet-wasi`. One for each cluster. One of that name that is there already is
 * not taken over: the update fails and says so.
 *
 * @example
 * new WasmRuntimeClass("wasm", {}, cluster.inCluster());
 */
export class WasmRuntimeClass extends pulumi.ComponentResource {
    /** Name of the RuntimeClass. */
    readonly runtimeClassName: pulumi.Output<string>;

    /** @param opts `provider` must be the cluster's Kubernetes provider. */
    constructor(name: string, args: WasmRuntimeClassArgs = {}, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmRuntimeClass", name, {}, opts);
        const checked = checkArgs("WasmRuntimeClass", name, args, { runtimeClassName: rules.objectName });

        const runtimeClass = new kubernetes.node.v1.RuntimeClass(
            `${name}-class`,
            {
                metadata: { name: checked.runtimeClassName ?? RUNTIME_CLASS },
                // A node's agent that knows several runtimes chooses by it; the Wasm node has one.
                handler: "wasi",
                scheduling: { nodeSelector: wasmNodeSelector, tolerations: wasmTolerations },
            },
            { ...clusterObjectOptions(this, "WasmRuntimeClass", name, opts), dependsOn: opts?.dependsOn },
        );
        this.runtimeClassName = runtimeClass.metadata.name;
        children.keep(this, { runtimeClass });

        this.registerOutputs({ runtimeClassName: this.runtimeClassName });
    }

    /** The RuntimeClass: `<name>-class`. */
    get runtimeClass(): kubernetes.node.v1.RuntimeClass {
        return children.of(this).runtimeClass;
    }
}
