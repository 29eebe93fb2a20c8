import type { local } from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { programAnnotations, together } from "./podTemplate";
import type { RestartPolicy, WasmDeadlineArgs } from "./programArgs";
import { served } from "./serving/service";
import type { WasmServingArgs } from "./serving/servingArgs";
import { workload, type WasmAwaitArgs, type WasmWorkloadArgs } from "./workload";

export interface WasmPodArgs extends WasmWorkloadArgs, WasmServingArgs, WasmAwaitArgs, WasmDeadlineArgs {
    /** `OnFailure`, `Always` or `Never`. Default: `OnFailure`. */
    restartPolicy?: RestartPolicy;
}

const children = new Children<{
    object: kubernetes.core.v1.Pod;
    ready: local.Command | undefined;
    service: kubernetes.core.v1.Service | undefined;
    serviceClaim: local.Command | undefined;
}>();

/**
 * A WebAssembly program as one pod on the cluster's Wasm nodes. It is complete when the program ends with exit code 0; the update waits until
 * it is Ready or complete.
 *
 * A pod's program cannot be changed, so a change makes a new pod under a new name, and deletes the old one when that is Ready; with
 * `ports` that are one pod's alone on a node (without `podAddresses`), it deletes the old one first. Labels and other annotations are changed in place.
 *
 * @example
 * new WasmPod("hello",
 *     { image: artifact.reference, kubeconfigFile: cluster.kubeconfigFile },
 *     cluster.inCluster());
 */
export class WasmPod extends pulumi.ComponentResource {
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
    constructor(name: string, args: WasmPodArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmPod", name, {}, opts);
        const parts = workload(this, "Pod", name, args, "OnFailure", opts);
        const { args: checked, metadata, template, opts: inCluster } = parts;

        const made = {
            metadata: {
                ...metadata,
                annotations: together(template.metadata.annotations, metadata.annotations),
            },
            spec: { ...template.spec, activeDeadlineSeconds: checked.activeDeadlineSeconds },
        };
        const object = new kubernetes.core.v1.Pod(
            `${name}-pod`,
            made,
            // The API lets a pod's image be changed in place, and the program would start anew in the old pod, its log gone; of a change
            // in what it may reach it would see nothing. Its name is the provider's choice, so that the new one can be there
            // before the old one goes.
            pulumi.mergeOptions(inCluster, { replaceOnChanges: ["spec", ...programAnnotations] }),
        );
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

    /** The Pod: `<name>-pod`. */
    get pod(): kubernetes.core.v1.Pod {
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
