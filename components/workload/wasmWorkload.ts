import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { clusterObjectOptions } from "../options";
import * as rules from "../rules";
import { stepResource } from "../step";
import { checkArgs, required, text, type Problem } from "../validation";
import { podTemplate } from "./podTemplate";
import type { WasmProgramArgs, WorkloadKind } from "./programArgs";
import { programProblems, programRules, restartPolicies } from "./programRules";

export interface WasmWorkloadArgs extends WasmProgramArgs {
    /**
     * The module, by digest: `WasmArtifact.reference`. Required. Example: `localhost:5001/demo/hello-wasm@sha256:…`.
     */
    image: pulumi.Input<string>;
    /** Name of the container, and value of the label `app`. Default: the component's name. */
    appName?: pulumi.Input<string>;
    /** Host name of the node that it must run on: `KrustletNode.hostname`. Default: any Wasm node. */
    node?: pulumi.Input<string>;
    /**
     * Path of a kubeconfig for the cluster, with which the workload is waited for: `KindCluster.kubeconfigFile`. Required unless
     * `wait` is false. Example: `~/.kube/config`.
     */
    kubeconfigFile?: pulumi.Input<string>;
}

/** An annotation with which the provider waits for nothing but that the object is there; awaitWorkload does the rest. */
const thereAtOnce = { "pulumi.com/waitFor": "jsonpath={.metadata.uid}" };

/** How long a workload may take to be Ready or complete, in seconds. */
const WAIT_SECONDS = 600;

/** What is wrong with arguments that do not go together. */
function workloadProblems(args: WasmWorkloadArgs): Problem[] {
    const blind = args.kubeconfigFile === undefined && args.wait !== false;
    const message = "is missing; for example cluster.kubeconfigFile, or set wait to false";
    return [...programProblems(args), ...(blind ? [{ path: "kubeconfigFile", message }] : [])];
}

/**
 * A WebAssembly program on the cluster's Wasm nodes: with the tolerations of their taints, and a node selector, for
 * tolerations alone let the scheduler put it on an ordinary node as well. The update waits until it is Ready or complete; where it
 * does not get there, the error shows the pods, their events and their last log lines.
 *
 * A change rolls out as Kubernetes does it. A bare pod and a Job cannot be changed, so a change makes a new one under a new name,
 * and deletes the old one when that is Ready.
 *
 * What has no argument is reached by Pulumi's own `transforms` on the component.
 *
 * @example
 * new WasmWorkload("hello",
 *     { image: artifact.reference, node: node.hostname, kubeconfigFile: cluster.kubeconfigFile },
 *     { provider: cluster.provider, deletedWith: cluster.provider });
 */
export class WasmWorkload extends pulumi.ComponentResource {
    /** `Pod`, `Deployment`, `Job`, `CronJob` or `DaemonSet`. */
    readonly kind: pulumi.Output<WorkloadKind>;
    /** Name of the Kubernetes object. */
    readonly name: pulumi.Output<string>;
    /** Its namespace. */
    readonly namespace: pulumi.Output<string>;
    /** Shows its log; of a CronJob, the logs of the jobs that are still there. Wants a KUBECONFIG for the cluster. */
    readonly logsCommand: pulumi.Output<string>;

    /** @param opts `provider` must be the cluster's Kubernetes provider. */
    constructor(name: string, args: WasmWorkloadArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmWorkload", name, {}, opts);
        const checked = checkArgs(
            "WasmWorkload",
            name,
            args,
            {
                image: required(rules.imageByDigest, "artifact.reference"),
                appName: rules.dnsLabel,
                node: rules.nodeName,
                kubeconfigFile: text,
                ...programRules,
            },
            workloadProblems(args),
        );
        const kind = checked.kind ?? "Pod";

        const object = this.object(name, kind, checked, {
            ...clusterObjectOptions(this, "WasmWorkload", name, opts),
            dependsOn: opts?.dependsOn,
        });
        this.await(name, kind, checked, object);
        this.kind = pulumi.output(kind);
        this.name = object.metadata.name;
        this.namespace = object.metadata.namespace;
        this.logsCommand =
            kind === "CronJob"
                ? pulumi.interpolate`kubectl logs --namespace ${this.namespace} --selector app=${checked.appName ?? name} --tail=-1 --prefix`
                : pulumi.interpolate`kubectl logs --namespace ${this.namespace} ${kind.toLowerCase()}/${this.name}`;

        this.registerOutputs({
            kind: this.kind,
            name: this.name,
            namespace: this.namespace,
            logsCommand: this.logsCommand,
        });
    }

    private object(
        name: string,
        kind: WorkloadKind,
        args: WasmWorkloadArgs,
        opts: pulumi.CustomResourceOptions,
    ) {
        const appName = args.appName ?? name;
        const metadata = {
            namespace: args.namespace ?? "default",
            labels: { app: appName },
            annotations: thereAtOnce,
        };
        const { backoffLimit, activeDeadlineSeconds } = args;
        const template = podTemplate({
            ...args,
            name: appName,
            restartPolicy: args.restartPolicy ?? restartPolicies[kind][0],
            terminationGracePeriodSeconds: args.terminationGracePeriodSeconds ?? 1,
        });
        const selector = { matchLabels: { app: appName } };
        switch (kind) {
            case "Pod":
                // The API lets a pod's image be changed in place, and the program would start anew in the old pod, its log
                // gone; of changed annotations it would see nothing. Its name is the provider's choice, so that the new one can
                // be there before the old one goes.
                return new kubernetes.core.v1.Pod(
                    `${name}-pod`,
                    {
                        metadata: {
                            ...metadata,
                            annotations: { ...thereAtOnce, ...template.metadata.annotations },
                        },
                        spec: { ...template.spec, activeDeadlineSeconds },
                    },
                    { ...opts, replaceOnChanges: ["spec", "metadata.annotations"] },
                );
            case "Deployment":
                return new kubernetes.apps.v1.Deployment(
                    `${name}-deployment`,
                    { metadata, spec: { replicas: args.replicas ?? 1, selector, template } },
                    opts,
                );
            case "DaemonSet":
                return new kubernetes.apps.v1.DaemonSet(
                    `${name}-daemonset`,
                    { metadata, spec: { selector, template } },
                    opts,
                );
            case "Job":
                return new kubernetes.batch.v1.Job(
                    `${name}-job`,
                    { metadata, spec: { backoffLimit, activeDeadlineSeconds, template } },
                    opts,
                );
            case "CronJob":
                return new kubernetes.batch.v1.CronJob(
                    `${name}-cronjob`,
                    {
                        metadata,
                        spec: {
                            // The check above has seen that it is there.
                            schedule: args.schedule ?? "",
                            timeZone: args.timeZone,
                            concurrencyPolicy: args.concurrencyPolicy,
                            suspend: args.suspend,
                            jobTemplate: {
                                metadata: { labels: { app: appName } },
                                spec: { backoffLimit, activeDeadlineSeconds, template },
                            },
                        },
                    },
                    opts,
                );
        }
    }

    /** Waits at each roll-out: for another object, and for another state of the same one. */
    private await(
        name: string,
        kind: WorkloadKind,
        args: WasmWorkloadArgs,
        { metadata }: ReturnType<WasmWorkload["object"]>,
    ): void {
        // A CronJob runs when its time has come, and is there when the provider has made it.
        if (args.wait === false || args.kubeconfigFile === undefined || kind === "CronJob") return;
        stepResource(
            `${name}-ready`,
            {
                create: "awaitWorkload",
                input: {
                    kubeconfigFile: args.kubeconfigFile,
                    kind,
                    namespace: metadata.namespace,
                    name: metadata.name,
                    uid: metadata.uid,
                    // Pods of older clusters have none.
                    generation: pulumi.output(metadata.generation).apply((known?: number) => known ?? 0),
                    timeoutSeconds: args.waitTimeoutSeconds ?? WAIT_SECONDS,
                },
            },
            { parent: this },
        );
    }
}
