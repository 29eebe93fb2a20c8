import type { local } from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import type { JobRestartPolicy, WasmTriesArgs } from "./programArgs";
import {
    awaitReady,
    logsCommand,
    nameOf,
    workload,
    type WasmAwaitArgs,
    type WasmWorkloadArgs,
} from "./workload";

export interface WasmJobArgs extends WasmWorkloadArgs, WasmAwaitArgs, WasmTriesArgs {
    /** `OnFailure`, or `Never`: the job makes another pod. Default: `OnFailure`. */
    restartPolicy?: JobRestartPolicy;
}

const children = new Children<{ object: kubernetes.batch.v1.Job; ready: local.Command | undefined }>();

/**
 * A WebAssembly program that comes to its end, tried again `backoffLimit` times, on the cluster's Wasm nodes. The update waits until it is
 * complete.
 *
 * A Job cannot be changed, so a change makes a new one under a new name, and deletes the old one when that is complete.
 *
 * @example
 * new WasmJob("hello",
 *     { image: artifact.reference, kubeconfigFile: cluster.kubeconfigFile },
 *     cluster.inCluster());
 */
export class WasmJob extends pulumi.ComponentResource {
    /** Name of the Kubernetes object. */
    readonly name: pulumi.Output<string>;
    /** Its namespace. */
    readonly namespace: pulumi.Output<string>;
    /** Shows its log. Wants a KUBECONFIG for the cluster. */
    readonly logsCommand: pulumi.Output<string>;

    /** @param opts `provider` must be the cluster's Kubernetes provider. */
    constructor(name: string, args: WasmJobArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmJob", name, {}, opts);
        const parts = workload(this, "Job", name, args, "OnFailure", opts);
        const { args: checked, metadata, template, opts: inCluster } = parts;

        const made = {
            metadata,
            spec: {
                backoffLimit: checked.backoffLimit,
                activeDeadlineSeconds: checked.activeDeadlineSeconds,
                template,
            },
        };
        const object = new kubernetes.batch.v1.Job(`${name}-job`, made, inCluster);
        const ready = awaitReady(this, name, parts, object, made);
        children.keep(this, { object, ready });
        const called = nameOf(metadata, object);
        this.name = called.name;
        this.namespace = called.namespace;
        this.logsCommand = logsCommand("Job", called);

        this.registerOutputs({ name: this.name, namespace: this.namespace, logsCommand: this.logsCommand });
    }

    /** The Job: `<name>-job`. */
    get job(): kubernetes.batch.v1.Job {
        return children.of(this).object;
    }

    /** The Command that waits for it, unless `wait` is false: `<name>-ready`. */
    get ready(): local.Command | undefined {
        return children.of(this).ready;
    }
}
