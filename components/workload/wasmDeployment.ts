import type { local } from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import type { WasmReplicasArgs } from "./programArgs";
import { served } from "./serving/service";
import { strategyOf } from "./serving/servingParts";
import { workload, type WasmAwaitArgs, type WasmWorkloadArgs } from "./workload";

export interface WasmDeploymentArgs extends WasmWorkloadArgs, WasmAwaitArgs, WasmReplicasArgs {}

const children = new Children<{
    object: kubernetes.apps.v1.Deployment;
    ready: local.Command | undefined;
    service: kubernetes.core.v1.Service | undefined;
    serviceClaim: local.Command | undefined;
}>();

/**
 * A WebAssembly program that runs for good, in as many pods on the cluster's Wasm nodes as `replicas` says. A change rolls out as Kubernetes
 * does it: new pods come before old ones go; with `ports` that are one pod's alone on a node (without `podAddresses`), one old pod goes
 * before a new one comes. The update waits until all are of the newest state and available.
 *
 * @example
 * new WasmDeployment("hello",
 *     { image: artifact.reference, replicas: 2, kubeconfigFile: cluster.kubeconfigFile },
 *     cluster.inCluster());
 */
export class WasmDeployment extends pulumi.ComponentResource {
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
    constructor(name: string, args: WasmDeploymentArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmDeployment", name, {}, opts);
        const parts = workload(this, "Deployment", name, args, "Always", opts);
        const { args: checked, metadata, selector, template, opts: inCluster } = parts;

        const made = {
            metadata,
            spec: {
                ...(checked.autoscaled !== true && { replicas: checked.replicas ?? 1 }),
                selector,
                strategy: strategyOf(checked),
                template,
            },
        };
        const object = new kubernetes.apps.v1.Deployment(`${name}-deployment`, made, inCluster);
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

    /** The Deployment: `<name>-deployment`. */
    get deployment(): kubernetes.apps.v1.Deployment {
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
