import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type * as kubernetes from "@pulumi/kubernetes";
import { WorkloadKind } from "../../steps/workload/contract";
import { defaultKubeconfigFile } from "../names";
import * as rules from "../rules";
import { stepInvoke, stepResource } from "../step";
import { boolean, checkArgs, list, object, oneOf, required, text, type Rules } from "../validation";
import { clusterChildren, clusterOutputs, standsBy, type Cluster, type InCluster } from "./cluster";

export interface ExistingClusterArgs {
    /** Name of the context that leads to the cluster. Required. Example: `admin@prod`. */
    context: pulumi.Input<string>;
    /** The kubeconfig file with that context; it is read, never changed. `~` is the home folder. Default: `~/.kube/config`. */
    kubeconfigFile?: pulumi.Input<string>;
    /**
     * IPv4 address of this host by which the cluster reaches a Wasm node here. Default: found, see docs/clusters.md. Example:
     * `192.168.1.10`.
     */
    nodeAddress?: pulumi.Input<string>;
    /**
     * File of the stack's own that the context, and nothing else of its file, is copied to (mode 0600). It goes with this
     * component. Default: `~/.local/state/krustlet-stack/kubeconfig/<project>-<stack>-<context>`.
     */
    copyFile?: pulumi.Input<string>;
    /** What will run there: the rights for it are checked too. Default: a Pod in `default`. */
    workloads?: pulumi.Input<pulumi.Input<WorkloadPlaceArgs>[]>;
    /** Namespaces in which Secrets with the login of a registry will be made. Default: none. */
    pullSecretNamespaces?: pulumi.Input<pulumi.Input<string>[]>;
}

/** What will run in a cluster, and where. */
export interface WorkloadPlaceArgs {
    /** Kind of the workload: `Pod`, `Deployment`, `Job`, `CronJob` or `DaemonSet`. Required. */
    kind: pulumi.Input<WorkloadKind>;
    /** Its namespace. Required. Example: `default`. */
    namespace: pulumi.Input<string>;
    /** Whether it has a Service. Default: false. */
    service?: pulumi.Input<boolean>;
}

/** What each argument may be. */
export const existingClusterRules: Rules<ExistingClusterArgs> = {
    context: required(text, '"admin@prod"'),
    kubeconfigFile: text,
    nodeAddress: rules.ipv4,
    copyFile: text,
    workloads: list(
        object({
            kind: required(oneOf(Object.values(WorkloadKind)), '"Pod"'),
            namespace: required(rules.dnsLabel, '"default"'),
            service: boolean,
        } satisfies Rules<WorkloadPlaceArgs>),
    ),
    pullSecretNamespaces: list(rules.dnsLabel),
};

/**
 * A Kubernetes cluster that is there already. It is never created and never deleted, and nothing in it is changed but what is made
 * there by the components that use it. Each preview and update looks at it first: that it answers, and that the context allows
 * all that a Wasm node and its workloads need.
 *
 * What is in the cluster must be deleted by itself, for the cluster stays: give no `deletedWith`, or use `inCluster()`.
 *
 * @example
 * const cluster = new ExistingCluster("cluster", { context: "admin@prod" });
 * new KrustletNode("node", { kubeconfigFile: cluster.kubeconfigFile, clusterIdentity: cluster.identity,
 *     nodeIp: cluster.nodeAddress }, cluster.inCluster());
 */
export class ExistingCluster extends pulumi.ComponentResource implements Cluster {
    /** The context. */
    readonly name!: pulumi.Output<string>;
    /** Absolute path of the stack's own copy: of this context alone. */
    readonly kubeconfigFile!: pulumi.Output<string>;
    /** The context. */
    readonly context!: pulumi.Output<string>;
    /** URL of the API server. */
    readonly server!: pulumi.Output<string>;
    /** Kubernetes version of the API server: `v1.36.4`. */
    readonly kubernetesVersion!: pulumi.Output<string>;
    /** Docker network of the cluster's nodes, where they are on one of this host's. */
    readonly network!: pulumi.Output<string | undefined>;
    /** IPv4 address of this host by which the cluster reaches a Wasm node here. */
    readonly nodeAddress!: pulumi.Output<string>;
    /** UID of the cluster's kube-system namespace. */
    readonly identity!: pulumi.Output<string>;

    constructor(name: string, args: ExistingClusterArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:ExistingCluster", name, {}, opts);
        const checked = checkArgs("ExistingCluster", name, args, existingClusterRules);
        const look = findInput(checked);
        const found = stepInvoke("findCluster", look, { parent: this });
        const input = {
            source: look.kubeconfigFile,
            context: look.context,
            kubeconfigFile: pulumi.output(
                checked.copyFile ?? pulumi.output(look.context).apply(defaultKubeconfigFile),
            ),
            found,
        };
        const copy = stepResource(
            `${name}-kubeconfig`,
            {
                create: "copyKubeconfig",
                delete: "removeKubeconfig",
                input,
                // Another cluster behind the same context is another cluster.
                triggers: [look.context, found.identity],
            },
            { parent: this },
        );
        // Not before it is there: a preview of what is yet to be made leaves no file.
        const kept = stepInvoke(
            "copyKubeconfig",
            { ...input, kubeconfigFile: copy.output.kubeconfigFile },
            { parent: this },
        );
        this.registerOutputs(standsBy(this, name, copy.command, clusterOutputs(copy.output, kept)));
    }

    /** The Command that copies the context: `<name>-kubeconfig`. */
    get command(): local.Command {
        return clusterChildren.of(this).command;
    }

    /** Kubernetes provider for the objects in this cluster: `<name>-provider`. */
    get provider(): kubernetes.Provider {
        return clusterChildren.of(this).provider;
    }

    /** What is in the cluster is deleted by itself: the cluster stays. */
    inCluster(): InCluster {
        return { provider: this.provider };
    }
}

/** What findCluster is asked. */
export function findInput(args: ExistingClusterArgs) {
    return {
        kubeconfigFile: args.kubeconfigFile ?? "~/.kube/config",
        context: args.context,
        nodeAddress: args.nodeAddress,
        workloads: pulumi.output(args.workloads ?? [{ kind: WorkloadKind.Pod, namespace: "default" }]),
        pullSecretNamespaces: pulumi.output(args.pullSecretNamespaces ?? []),
    };
}
