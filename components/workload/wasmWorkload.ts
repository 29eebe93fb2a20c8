import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { clusterObjectOptions } from "../options";
import * as rules from "../rules";
import { checkArgs, integer, list, oneOf, required, type Problem } from "../validation";
import { podTemplate } from "./podTemplate";

/** What runs the program: once (`Pod`, `Job`) or for good (`Deployment`). */
export type WorkloadKind = "Pod" | "Deployment" | "Job";

/** When the node starts a container again that has ended. */
export type RestartPolicy = "Always" | "OnFailure" | "Never";

/** The kinds, and the restart policies that Kubernetes allows for each; the first is the default. */
const restartPolicies: Record<WorkloadKind, readonly RestartPolicy[]> = {
    // A program that ends well is complete; one that fails is tried again, ever more slowly.
    Pod: ["OnFailure", "Always", "Never"],
    Deployment: ["Always"],
    Job: ["OnFailure", "Never"],
};

export const workloadKinds = Object.keys(restartPolicies) as WorkloadKind[];

export interface WasmWorkloadArgs {
    /**
     * The module, by digest: `WasmArtifact.reference`. Required. Example: `localhost:5001/demo/hello-wasm@sha256:…`.
     */
    image: pulumi.Input<string>;
    /**
     * `Pod`: one pod; complete when the program ends with exit code 0. `Job`: the same, tried again up to six times, and the
     * update waits until it is complete. `Deployment`: `replicas` pods that run for good. Default: `Pod`.
     */
    kind?: WorkloadKind;
    /** Name of the container, and value of the label `app`. Default: the component's name. */
    appName?: pulumi.Input<string>;
    /** Namespace, which must exist. Default: `default`. */
    namespace?: pulumi.Input<string>;
    /** Arguments of the program. Default: none. Example: `["--verbose"]`. */
    args?: pulumi.Input<pulumi.Input<string>[]>;
    /** Environment of the program. Default: none. Example: `{ RUST_LOG: "info" }`. */
    env?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    /** How many pods a Deployment keeps. For `Deployment` only. Default: 1. */
    replicas?: pulumi.Input<number>;
    /**
     * Default: `OnFailure` for a Pod and a Job (a Job may have `Never` too, a Pod any), `Always` for a Deployment, which may
     * have no other.
     */
    restartPolicy?: RestartPolicy;
    /**
     * How long a deleted pod may go on before it is stopped, in seconds. A WebAssembly program hears no signal, so more than the
     * least is for one that comes to its end by itself. Default: 1.
     */
    terminationGracePeriodSeconds?: pulumi.Input<number>;
    /**
     * Names of the Secrets with the logins of registries, in the same namespace: `RegistryPullSecret.names`. Default: none, and the
     * node pulls with its own logins. Example: `["team-registry"]`.
     */
    imagePullSecrets?: pulumi.Input<pulumi.Input<string>[]>;
    /** Host name of the node that it must run on: `KrustletNode.hostname`. Default: any Wasm node. */
    node?: pulumi.Input<string>;
}

/** What is wrong with arguments that do not go together. */
export function workloadProblems(args: Partial<WasmWorkloadArgs>, path = ""): Problem[] {
    const kind = args.kind ?? "Pod";
    const at = (property: string) => (path ? `${path}.${property}` : property);
    const problems: Problem[] = [];
    const policies = workloadKinds.includes(kind) ? restartPolicies[kind] : [];
    if (args.restartPolicy !== undefined && policies.length > 0 && !policies.includes(args.restartPolicy)) {
        problems.push({
            path: at("restartPolicy"),
            message: `a ${kind} may have ${policies.join(" or ")}, not ${JSON.stringify(args.restartPolicy)}`,
        });
    }
    if (args.replicas !== undefined && kind !== "Deployment") {
        problems.push({ path: at("replicas"), message: `only a Deployment has replicas, not a ${kind}` });
    }
    return problems;
}

/**
 * A WebAssembly program on the cluster's Wasm nodes: with the tolerations of their taints, and a node selector, for
 * tolerations alone let the scheduler put it on an ordinary node as well. The update waits until it is Ready or complete.
 *
 * A bare pod cannot be changed, so a change makes a new one under a new name, and deletes the old one when that runs.
 *
 * @example
 * new WasmWorkload("hello", { image: artifact.reference, node: node.hostname },
 *     { provider: cluster.provider, deletedWith: cluster.provider });
 */
export class WasmWorkload extends pulumi.ComponentResource {
    /** `Pod`, `Deployment` or `Job`. */
    readonly kind: pulumi.Output<WorkloadKind>;
    /** Name of the Kubernetes object. */
    readonly name: pulumi.Output<string>;
    /** Its namespace. */
    readonly namespace: pulumi.Output<string>;
    /** Shows its log. Wants a KUBECONFIG for the cluster. */
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
                kind: oneOf(workloadKinds),
                appName: rules.dnsLabel,
                namespace: rules.dnsLabel,
                args: rules.texts,
                env: rules.environment,
                replicas: integer(0, 1000),
                restartPolicy: oneOf(["Always", "OnFailure", "Never"]),
                // 0 takes the pod out of the API server while the node still runs it.
                terminationGracePeriodSeconds: integer(1, 3600),
                imagePullSecrets: list(rules.dnsName),
                node: rules.nodeName,
            },
            workloadProblems(args),
        );
        const kind = checked.kind ?? "Pod";

        const object = this.object(name, kind, checked, {
            ...clusterObjectOptions(this, "WasmWorkload", name, opts),
            dependsOn: opts?.dependsOn,
        });
        this.kind = pulumi.output(kind);
        this.name = object.metadata.name;
        this.namespace = object.metadata.namespace;
        this.logsCommand = pulumi.interpolate`kubectl logs --namespace ${this.namespace} ${kind.toLowerCase()}/${this.name}`;

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
        const metadata = { namespace: args.namespace ?? "default", labels: { app: appName } };
        const template = podTemplate({
            name: appName,
            image: args.image,
            args: args.args,
            env: args.env,
            restartPolicy: args.restartPolicy ?? restartPolicies[kind][0],
            terminationGracePeriodSeconds: args.terminationGracePeriodSeconds ?? 1,
            imagePullSecrets: args.imagePullSecrets,
            node: args.node,
        });
        switch (kind) {
            case "Pod":
                // The API lets a pod's image be changed in place, and the program would start anew in the old pod, its log
                // gone. Its name is the provider's choice, so that the new one can be there before the old one goes.
                return new kubernetes.core.v1.Pod(
                    `${name}-pod`,
                    { metadata, spec: template.spec },
                    { ...opts, replaceOnChanges: ["spec"] },
                );
            case "Deployment":
                return new kubernetes.apps.v1.Deployment(
                    `${name}-deployment`,
                    {
                        metadata,
                        spec: {
                            replicas: args.replicas ?? 1,
                            selector: { matchLabels: { app: appName } },
                            template,
                        },
                    },
                    opts,
                );
            case "Job":
                return new kubernetes.batch.v1.Job(`${name}-job`, { metadata, spec: { template } }, opts);
        }
    }
}
