import type { local } from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { claimResource, owner } from "../claim";
import { bootstrapGroup, defaultStateDir } from "../names";
import { clusterObjectOptions, withoutDeletedWith } from "../options";
import * as rules from "../rules";
import { stepResource } from "../step";
import { checkArgs, required, text } from "../validation";

export interface KrustletBootstrapArgs {
    /** File of the cluster\'s admin kubeconfig; it may create Secrets in kube-system. Required. Example: `cluster.kubeconfigFile`. */
    kubeconfigFile: pulumi.Input<string>;
    /** What tells this cluster from any other, made before or after it: `KindCluster.identity`. Required. */
    clusterIdentity: pulumi.Input<string>;
    /** Name of the node that is to join. Required. Example: `krustlet`. */
    nodeName: pulumi.Input<string>;
    /**
     * Where the bootstrap kubeconfig is written, mode 0600. Default:
     * `~/.local/state/krustlet-stack/nodes/<project>-<stack>-<node name>/bootstrap.kubeconfig`.
     */
    file?: pulumi.Input<string>;
    /** Life of the token in seconds, from 60 to 86400. Default: 600. */
    tokenTtlSeconds?: pulumi.Input<number>;
    /** Docker network that the node reaches the cluster from. Default: none, and it does from this host. Example: `cluster.network`. */
    network?: pulumi.Input<string>;
}

const children = new Children<{
    role: kubernetes.rbac.v1.ClusterRole;
    roleBinding: kubernetes.rbac.v1.ClusterRoleBinding;
    token: local.Command;
}>();

/**
 * What a node needs to ask for its first certificate: a short-lived bootstrap token in a group of its own, which may
 * file certificate requests and read one by its name, and nothing else, and a kubeconfig file that holds it.
 *
 * The token is in that file alone: no argument, output or state holds it. It is revoked and the file removed as soon as the node
 * has its certificate (CertificateApproval does that), so what the outputs tell is of the past then.
 *
 * @example
 * new KrustletBootstrap("join", { kubeconfigFile: cluster.kubeconfigFile, clusterIdentity: cluster.identity, nodeName: "krustlet" },
 *     cluster.inCluster());
 */
export class KrustletBootstrap extends pulumi.ComponentResource {
    /** Path of the bootstrap kubeconfig. */
    readonly file: pulumi.Output<string>;
    /** The token's group: `system:bootstrappers:krustlet-stack:<node name>`. */
    readonly group: pulumi.Output<string>;
    /** The user that the token stands for: `system:bootstrap:<token id>`. */
    readonly username: pulumi.Output<string>;
    /** When the token ends (RFC 3339). */
    readonly expiresAt: pulumi.Output<string>;

    /**
     * @param opts `provider` must be the cluster's Kubernetes provider. `deletedWith` is for the objects in the cluster; the
     * file on this host is always removed.
     */
    constructor(name: string, args: KrustletBootstrapArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:KrustletBootstrap", name, {}, withoutDeletedWith(opts));
        const checked = checkArgs("KrustletBootstrap", name, args, {
            kubeconfigFile: required(text, "cluster.kubeconfigFile"),
            clusterIdentity: required(text, "cluster.identity"),
            nodeName: required(rules.nodeName, '"krustlet"'),
            file: text,
            tokenTtlSeconds: rules.tokenSeconds,
            network: text,
        });
        const inCluster = clusterObjectOptions(this, "KrustletBootstrap", name, opts);
        const nodeName = pulumi.output(checked.nodeName);
        this.group = nodeName.apply(bootstrapGroup);
        const roleName = pulumi.interpolate`krustlet-stack:bootstrap:${nodeName}`;

        const role = new kubernetes.rbac.v1.ClusterRole(
            `${name}-role`,
            {
                metadata: { name: roleName },
                rules: [
                    {
                        apiGroups: ["certificates.k8s.io"],
                        resources: ["certificatesigningrequests"],
                        // It asks after its own request by name; what others ask for is none of its business.
                        verbs: ["create", "get"],
                    },
                ],
            },
            inCluster,
        );
        const binding = new kubernetes.rbac.v1.ClusterRoleBinding(
            `${name}-role-binding`,
            {
                metadata: { name: roleName },
                roleRef: {
                    apiGroup: "rbac.authorization.k8s.io",
                    kind: "ClusterRole",
                    name: role.metadata.name,
                },
                subjects: [{ apiGroup: "rbac.authorization.k8s.io", kind: "Group", name: this.group }],
            },
            inCluster,
        );
        const token = stepResource(
            `${name}-token`,
            {
                create: "createBootstrapToken",
                delete: "deleteBootstrapToken",
                input: {
                    kubeconfigFile: checked.kubeconfigFile,
                    owner: owner(),
                    nodeName,
                    group: this.group,
                    tokenTtlSeconds: checked.tokenTtlSeconds ?? 600,
                    file:
                        checked.file ??
                        nodeName.apply((node) => `${defaultStateDir(node)}/bootstrap.kubeconfig`),
                    network: checked.network,
                },
                triggers: [checked.clusterIdentity, nodeName],
            },
            // Where the whole stack goes with its cluster, the token goes with that, and the file by the claim's end.
            { parent: this, deletedWith: opts?.deletedWith && claimResource() },
        );
        // Without the binding the token is worth nothing: whoever waits for the file waits for both.
        this.file = pulumi.all([token.output.file, binding.id]).apply(([file]) => file);
        this.username = token.output.username;
        this.expiresAt = token.output.expiresAt;
        children.keep(this, { role, roleBinding: binding, token: token.command });

        this.registerOutputs({
            file: this.file,
            group: this.group,
            username: this.username,
            expiresAt: this.expiresAt,
        });
    }

    /** What the token may do: `<name>-role`. */
    get role(): kubernetes.rbac.v1.ClusterRole {
        return children.of(this).role;
    }

    /** Who may do it: `<name>-role-binding`. */
    get roleBinding(): kubernetes.rbac.v1.ClusterRoleBinding {
        return children.of(this).roleBinding;
    }

    /** The Command that makes the token: `<name>-token`. */
    get token(): local.Command {
        return children.of(this).token;
    }
}
