import type { local } from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { served } from "./serving/service";
import type { WasmServingArgs } from "./serving/servingArgs";
import { workload, type WasmAwaitArgs, type WasmWorkloadArgs } from "./workload";

export interface WasmDaemonSetArgs extends WasmWorkloadArgs, WasmServingArgs, WasmAwaitArgs {}

const children = new Children<{
    object: kubernetes.apps.v1.DaemonSet;
    ready: local.Command | undefined;
    service: kubernetes.core.v1.Service | undefined;
    serviceClaim: local.Command | undefined;
}>();

/**
 * A WebAssembly program that runs for good, in a pod on each Wasm node of the cluster. A change rolls out node by node; the update waits
 * until all pods are of the newest state and available.
 *
 * @example
 * new WasmDaemonSet("hello",
 *     { image: artifact.reference, kubeconfigFile: cluster.kubeconfigFile },
 *     cluster.inCluster());
 */
export class WasmDaemonSet extends pulumi.ComponentResource {
    /** Name of the Kubernetes object. */
    readonly name: pulumi.Output<string>;
    /** Its namespace. */
    readonly namespace: pulumi.Output<string>;
    /** Shows its log. Wants a KUBECONFIG for the cluster. */
    readonly logsCommand: pulumi.Output<string>;
    /** The Service's name; undefined where there is none. */
    readonly serviceName: pulumi.Output<string | undefined>;
    /** Where pods of the cluster reach it: `http://hello.default.svc:80`; undefined where there is none. */
    readonly url: pulumi.Output<string | undefined>;

    /** @param opts `provider` must be the cluster's Kubernetes provider. */
    constructor(name: string, args: WasmDaemonSetArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmDaemonSet", name, {}, opts);
        const parts = workload(this, "DaemonSet", name, args, "Always", opts);
        const { metadata, selector, template, opts: inCluster } = parts;

        const made = { metadata, spec: { selector, template } };
        const object = new kubernetes.apps.v1.DaemonSet(`${name}-daemonset`, made, inCluster);
        const { beside, outputs } = served(this, name, parts, object, made);
        children.keep(this, { object, ...beside });
        ({
            name: this.name,
            namespace: this.namespace,
            logsCommand: this.logsCommand,
            serviceName: this.serviceName,
            url: this.url,
        } = outputs);

        this.registerOutputs(outputs);
    }

    /** The DaemonSet: `<name>-daemonset`. */
    get daemonSet(): kubernetes.apps.v1.DaemonSet {
        return children.of(this).object;
    }

    /** The Command that waits for it, unless `wait` is false: `<name>-ready`. */
    get ready(): local.Command | undefined {
        return children.of(this).ready;
    }

    /** Its Service, where there is one: `<name>-service`. */
    get service(): kubernetes.core.v1.Service | undefined {
        return children.of(this).service;
    }

    /** The Command that sees whose the name of its Service is, where there is one: `<name>-service-claim`. */
    get serviceClaim(): local.Command | undefined {
        return children.of(this).serviceClaim;
    }
}
