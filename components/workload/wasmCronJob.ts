import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { claim } from "../claim";
import type { JobRestartPolicy, WasmScheduleArgs, WasmTriesArgs } from "./programArgs";
import { nameOf, workload, type WasmWorkloadArgs } from "./workload";

export interface WasmCronJobArgs extends WasmWorkloadArgs, WasmTriesArgs, WasmScheduleArgs {
    /** When it runs, in cron's five fields or as `@hourly` and the like. Required. Example: `0,30 * * * *`. */
    schedule: pulumi.Input<string>;
    /** `OnFailure`, or `Never`: the job makes another pod. Default: `OnFailure`. */
    restartPolicy?: JobRestartPolicy;
}

const children = new Children<{ object: kubernetes.batch.v1.CronJob }>();

/**
 * A WebAssembly program that runs as a Job at each time of `schedule`, on the cluster's Wasm nodes. The update does not wait for a job: the
 * first is due when it is due. A change holds for the next one.
 *
 * @example
 * new WasmCronJob("hello",
 *     { image: artifact.reference, schedule: "0 3 * * *" },
 *     cluster.inCluster());
 */
export class WasmCronJob extends pulumi.ComponentResource {
    /** Name of the Kubernetes object. */
    readonly name: pulumi.Output<string>;
    /** Its namespace. */
    readonly namespace: pulumi.Output<string>;
    /** Shows the logs of the jobs that are still there. Wants a KUBECONFIG for the cluster. */
    readonly logsCommand: pulumi.Output<string>;

    /** @param opts `provider` must be the cluster's Kubernetes provider. */
    constructor(name: string, args: WasmCronJobArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmCronJob", name, {}, opts);
        const {
            args: checked,
            metadata,
            template,
            opts: inCluster,
        } = workload(this, "CronJob", name, args, "OnFailure", opts);

        const object = new kubernetes.batch.v1.CronJob(
            `${name}-cronjob`,
            {
                // Nobody waits for it, and so removes another one that an ended run made: the same name again is the same object.
                metadata: {
                    ...metadata,
                    name: claim().apply(({ id }) => `${name}-cronjob-${id.slice(0, 8)}`),
                },
                spec: {
                    schedule: checked.schedule,
                    timeZone: checked.timeZone,
                    concurrencyPolicy: checked.concurrencyPolicy,
                    suspend: checked.suspend,
                    jobTemplate: {
                        metadata: { labels: metadata.labels, annotations: checked.annotations },
                        spec: {
                            backoffLimit: checked.backoffLimit,
                            activeDeadlineSeconds: checked.activeDeadlineSeconds,
                            template,
                        },
                    },
                },
            },
            inCluster,
        );
        children.keep(this, { object });
        const called = nameOf(metadata, object);
        this.name = called.name;
        this.namespace = called.namespace;
        this.logsCommand = pulumi.interpolate`kubectl logs --namespace ${this.namespace} --selector app=${checked.appName ?? name} --tail=-1 --prefix`;

        this.registerOutputs({ name: this.name, namespace: this.namespace, logsCommand: this.logsCommand });
    }

    /** The CronJob: `<name>-cronjob`. */
    get cronJob(): kubernetes.batch.v1.CronJob {
        return children.of(this).object;
    }
}
