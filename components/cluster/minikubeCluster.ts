import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type * as kubernetes from "@pulumi/kubernetes";
import { LocalClusterTool } from "../../steps/cluster/contract";
import { CLUSTER_NAME } from "../defaults";
import * as rules from "../rules";
import { checkArgs, integer, text, type Rules } from "../validation";
import { clusterChildren, goesWith, type Cluster, type InCluster } from "./cluster";
import type { KindPortMappingArgs } from "./kindCluster";
import { portMappingProblems, portMappingsRule } from "./kindRules";
import { localCluster } from "./localCluster";

export interface MinikubeClusterArgs {
    /** Name of the cluster, which minikube calls its profile. Another name makes another cluster. Default: `krustlet`. */
    name?: pulumi.Input<string>;
    /** Kubernetes version. Another one makes another cluster. Default: minikube's own. Example: `v1.36.4`. */
    kubernetesVersion?: pulumi.Input<string>;
    /**
     * What the nodes are: a container (`docker`) or a virtual machine (`kvm2`, `virtualbox`, `qemu2`). Another one makes another
     * cluster. Default: minikube's own choice.
     */
    driver?: pulumi.Input<string>;
    /** How many nodes, from 1 to 20. Another number makes another cluster. Default: 1. */
    nodes?: pulumi.Input<number>;
    /**
     * Ports of the nodes, with the driver `docker`, that this host listens on too. Others make another cluster. Default: none. Example:
     * `[{ containerPort: 30080, hostPort: 8080 }]`.
     */
    portMappings?: pulumi.Input<pulumi.Input<KindPortMappingArgs>[]>;
    /** How long it may take to be Ready, in seconds. Default: 300. */
    waitSeconds?: pulumi.Input<number>;
    /**
     * File in which the cluster's admin kubeconfig is kept, of this cluster alone (mode 0600). It goes with the cluster. `~` is the
     * home folder. Default: `~/.local/state/krustlet-stack/kubeconfig/<project>-<stack>-minikube-<name>`.
     */
    kubeconfigFile?: pulumi.Input<string>;
}

/** What each argument may be. */
export const minikubeClusterRules: Rules<MinikubeClusterArgs> = {
    name: rules.localClusterName,
    kubernetesVersion: rules.kubernetesVersion,
    driver: text,
    nodes: integer(1, 20),
    portMappings: portMappingsRule,
    waitSeconds: rules.seconds,
    kubeconfigFile: text,
};

/**
 * A Kubernetes cluster made by minikube, which must be on PATH. A profile of that name that another stack or person made is never
 * touched: the update fails and says so. docs/clusters.md says what has been tried.
 *
 * @example
 * const cluster = new MinikubeCluster("cluster", { driver: "docker" });
 */
export class MinikubeCluster extends pulumi.ComponentResource implements Cluster {
    /** Name of the cluster. */
    readonly name!: pulumi.Output<string>;
    /** Absolute path of the file with the admin kubeconfig. */
    readonly kubeconfigFile!: pulumi.Output<string>;
    /** The context in the kubeconfig: `<name>`. */
    readonly context!: pulumi.Output<string>;
    /** URL of the API server. */
    readonly server!: pulumi.Output<string>;
    /** Kubernetes version of the control plane. */
    readonly kubernetesVersion!: pulumi.Output<string>;
    /** Docker network of the cluster's nodes, where they are on one of this host's. */
    readonly network!: pulumi.Output<string | undefined>;
    /** IPv4 address of this host by which the cluster reaches a Wasm node here. */
    readonly nodeAddress!: pulumi.Output<string>;
    /** UID of the cluster's kube-system namespace. */
    readonly identity!: pulumi.Output<string>;

    constructor(name: string, args: MinikubeClusterArgs = {}, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:MinikubeCluster", name, {}, opts);
        const checked = checkArgs(
            "MinikubeCluster",
            name,
            args,
            minikubeClusterRules,
            portMappingProblems(args.portMappings, "portMappings"),
        );
        const outputs = localCluster(this, name, {
            tool: LocalClusterTool.Minikube,
            name: checked.name ?? CLUSTER_NAME,
            version: checked.kubernetesVersion,
            driver: checked.driver,
            servers: checked.nodes,
            portMappings: checked.portMappings,
            waitSeconds: checked.waitSeconds,
            kubeconfigFile: checked.kubeconfigFile,
        });
        this.registerOutputs(outputs);
    }

    /** The Command that makes the cluster: `<name>-minikube`. */
    get command(): local.Command {
        return clusterChildren.of(this).command;
    }

    /** Kubernetes provider for the objects in this cluster: `<name>-provider`. */
    get provider(): kubernetes.Provider {
        return clusterChildren.of(this).provider;
    }

    /** What is in the cluster goes with it. */
    inCluster(): InCluster {
        return goesWith(this);
    }
}
