import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import type * as kubernetes from "@pulumi/kubernetes";
import { LocalClusterTool } from "../../steps/cluster/contract";
import * as rules from "../rules";
import { checkArgs, text, type Rules } from "../validation";
import { clusterChildren, goesWith, type Cluster, type InCluster } from "./cluster";
import { localCluster } from "./localCluster";

export interface MicroK8sClusterArgs {
    /** Channel of the snap. Another one makes another cluster. Default: `latest/stable`. Example: `1.36/stable`. */
    channel?: pulumi.Input<string>;
    /** How long it may take to be Ready, in seconds. Default: 300. */
    waitSeconds?: pulumi.Input<number>;
    /**
     * File in which the cluster's admin kubeconfig is kept, of this cluster alone (mode 0600). It goes with the cluster. `~` is the
     * home folder. Default: `~/.local/state/krustlet-stack/kubeconfig/<project>-<stack>-microk8s-<name>`.
     */
    kubeconfigFile?: pulumi.Input<string>;
}

/** Channel of the snap where none is given. */
export const MICROK8S_CHANNEL = "latest/stable";

/** What each argument may be. */
export const microK8sClusterRules: Rules<MicroK8sClusterArgs> = {
    channel: text,
    waitSeconds: rules.seconds,
    kubeconfigFile: text,
};

/**
 * A Kubernetes cluster made by MicroK8s: the snap is installed by `snap`, as root, and removed with the cluster. There is one on a
 * machine; one that is there already is never touched: the update fails and says so. docs/clusters.md says what has been tried.
 *
 * @example
 * const cluster = new MicroK8sCluster("cluster", { channel: "1.36/stable" });
 */
export class MicroK8sCluster extends pulumi.ComponentResource implements Cluster {
    /** Name of the cluster. */
    readonly name!: pulumi.Output<string>;
    /** Absolute path of the file with the admin kubeconfig. */
    readonly kubeconfigFile!: pulumi.Output<string>;
    /** The context in the kubeconfig: `microk8s`. */
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

    constructor(name: string, args: MicroK8sClusterArgs = {}, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:MicroK8sCluster", name, {}, opts);
        const checked = checkArgs("MicroK8sCluster", name, args, microK8sClusterRules);
        const outputs = localCluster(this, name, {
            tool: LocalClusterTool.MicroK8s,
            name: "microk8s",
            version: checked.channel ?? MICROK8S_CHANNEL,
            waitSeconds: checked.waitSeconds,
            kubeconfigFile: checked.kubeconfigFile,
        });
        this.registerOutputs(outputs);
    }

    /** The Command that makes the cluster: `<name>-microk8s`. */
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
