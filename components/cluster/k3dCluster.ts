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

export interface K3dClusterArgs {
    /** Name of the cluster; its network is `k3d-<name>`. Another name makes another cluster. Default: `krustlet`. */
    name?: pulumi.Input<string>;
    /** k3s image. Another one makes another cluster. Default: k3d's own. Example: `rancher/k3s:v1.36.4-k3s1`. */
    image?: pulumi.Input<string>;
    /** How many servers (control planes), from 1 to 20. Another number makes another cluster. Default: 1. */
    servers?: pulumi.Input<number>;
    /** How many agents (workers), from 0 to 20. Another number makes another cluster. Default: 0. */
    agents?: pulumi.Input<number>;
    /**
     * Ports of the first server that this host listens on too. Others make another cluster. Default: none. Example:
     * `[{ containerPort: 30080, hostPort: 8080 }]`.
     */
    portMappings?: pulumi.Input<pulumi.Input<KindPortMappingArgs>[]>;
    /** How long it may take to be Ready, in seconds. Default: 300. */
    waitSeconds?: pulumi.Input<number>;
    /**
     * File in which the cluster's admin kubeconfig is kept, of this cluster alone (mode 0600). It goes with the cluster. `~` is the
     * home folder. Default: `~/.local/state/krustlet-stack/kubeconfig/<project>-<stack>-k3d-<name>`.
     */
    kubeconfigFile?: pulumi.Input<string>;
}

/** What each argument may be. */
export const k3dClusterRules: Rules<K3dClusterArgs> = {
    name: rules.localClusterName,
    image: rules.image,
    servers: integer(1, 20),
    agents: integer(0, 20),
    portMappings: portMappingsRule,
    waitSeconds: rules.seconds,
    kubeconfigFile: text,
};

/**
 * A Kubernetes cluster of k3s in Docker, made by k3d, which must be on PATH. A cluster of that name that another stack or person made
 * is never touched: the update fails and says so. docs/clusters.md says what has been tried.
 *
 * @example
 * const cluster = new K3dCluster("cluster", { agents: 1 });
 */
export class K3dCluster extends pulumi.ComponentResource implements Cluster {
    /** Name of the cluster. */
    readonly name!: pulumi.Output<string>;
    /** Absolute path of the file with the admin kubeconfig. */
    readonly kubeconfigFile!: pulumi.Output<string>;
    /** The context in the kubeconfig: `k3d-<name>`. */
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

    constructor(name: string, args: K3dClusterArgs = {}, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:K3dCluster", name, {}, opts);
        const checked = checkArgs(
            "K3dCluster",
            name,
            args,
            k3dClusterRules,
            portMappingProblems(args.portMappings, "portMappings"),
        );
        const outputs = localCluster(this, name, {
            tool: LocalClusterTool.K3d,
            name: checked.name ?? CLUSTER_NAME,
            version: checked.image,
            servers: checked.servers,
            agents: checked.agents,
            portMappings: checked.portMappings,
            waitSeconds: checked.waitSeconds,
            kubeconfigFile: checked.kubeconfigFile,
        });
        this.registerOutputs(outputs);
    }

    /** The Command that makes the cluster: `<name>-k3d`. */
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
