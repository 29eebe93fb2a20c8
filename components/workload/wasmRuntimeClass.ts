import type { local } from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { RUNTIME_CLASS } from "../defaults";
import { clusterObjectOptions } from "../options";
import * as rules from "../rules";
import { boolean, checkArgs, plain, text, type Rules } from "../validation";
import { claimName } from "./named";
import { wasmNodeSelector, wasmTolerations } from "./podTemplate";

export interface WasmRuntimeClassArgs {
    /** Name of the RuntimeClass, which pods name as `runtimeClassName`. Default: `krustlet-wasi`. */
    runtimeClassName?: pulumi.Input<string>;
    /**
     * Whether the one of that name that is there already is used: none is made, and none deleted. For a cluster with several stacks, of
     * which one has it. Default: false, and one that is another's is refused.
     */
    shared?: boolean;
    /**
     * Path of a kubeconfig for the cluster, with which is seen whose the one of that name is: `KindCluster.kubeconfigFile`. Required unless it is
     * shared. Example: `~/.kube/config`.
     */
    kubeconfigFile?: pulumi.Input<string>;
}

export const runtimeClassRules: Rules<WasmRuntimeClassArgs> = {
    runtimeClassName: rules.objectName,
    shared: boolean,
    kubeconfigFile: text,
};

const children = new Children<{
    runtimeClass: kubernetes.node.v1.RuntimeClass | undefined;
    claim: local.Command | undefined;
}>();

/**
 * A RuntimeClass for the cluster's Wasm nodes: a pod that names it gets their tolerations and node selector from the API server, so
 * that a manifest needs one line, `runtimeClassName: krustlet-wasi`. One for each cluster. One of that name that is another's is not
 * taken over: the update fails, and says whose it is.
 *
 * @example
 * new WasmRuntimeClass("wasm", { kubeconfigFile: cluster.kubeconfigFile }, cluster.inCluster());
 */
export class WasmRuntimeClass extends pulumi.ComponentResource {
    /** Name of the RuntimeClass. */
    readonly runtimeClassName: pulumi.Output<string>;

    /** @param opts `provider` must be the cluster's Kubernetes provider. */
    constructor(name: string, args: WasmRuntimeClassArgs = {}, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmRuntimeClass", name, {}, opts);
        const blind = args.kubeconfigFile === undefined && args.shared !== true;
        const checked = checkArgs(
            "WasmRuntimeClass",
            name,
            args,
            runtimeClassRules,
            blind ? [plain("kubeconfigFile", "is missing; for example cluster.kubeconfigFile")] : [],
        );
        const inCluster = clusterObjectOptions(this, "WasmRuntimeClass", name, opts);
        const { kubeconfigFile, shared = false } = checked;
        const resource = `${name}-class`;
        const className = checked.runtimeClassName ?? RUNTIME_CLASS;
        const claim =
            !shared && kubeconfigFile !== undefined
                ? claimName("RuntimeClass", resource, { kubeconfigFile, name: className }, { parent: this })
                : undefined;
        const runtimeClass = shared
            ? undefined
            : new kubernetes.node.v1.RuntimeClass(
                  resource,
                  {
                      metadata: { name: className },
                      // A node's agent that knows several runtimes chooses by it; the Wasm node has one.
                      handler: "wasi",
                      scheduling: { nodeSelector: wasmNodeSelector, tolerations: wasmTolerations },
                  },
                  pulumi.mergeOptions({ ...inCluster, dependsOn: opts?.dependsOn }, claim?.options),
              );
        this.runtimeClassName = runtimeClass?.metadata.name ?? pulumi.output(className);
        children.keep(this, { runtimeClass, claim: claim?.command });

        this.registerOutputs({ runtimeClassName: this.runtimeClassName });
    }

    /** The RuntimeClass, unless it is shared: `<name>-class`. */
    get runtimeClass(): kubernetes.node.v1.RuntimeClass | undefined {
        return children.of(this).runtimeClass;
    }

    /** The Command that sees whose its name is, unless it is shared: `<name>-class-claim`. */
    get claim(): local.Command | undefined {
        return children.of(this).claim;
    }
}
