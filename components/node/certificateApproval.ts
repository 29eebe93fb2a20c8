import type { local } from "@pulumi/command";
import * as kubernetes from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import { Children } from "../children";
import { owner } from "../claim";
import { clusterObjectOptions, withoutDeletedWith } from "../options";
import * as rules from "../rules";
import { stepInvoke, stepResource } from "../step";
import { checkArgs, integer, required, text } from "../validation";

export interface CertificateApprovalArgs {
    /** File of the cluster\'s admin kubeconfig; it may approve certificate requests. Required. Example: `cluster.kubeconfigFile`. */
    kubeconfigFile: pulumi.Input<string>;
    /** What tells this cluster from any other, made before or after it: `KindCluster.identity`. Required. */
    clusterIdentity: pulumi.Input<string>;
    /** Name of the node whose requests are decided. Required. Example: `krustlet`. */
    nodeName: pulumi.Input<string>;
    /** IPv4 address that the serving certificate may name. Required. Example: `172.18.0.1`. */
    nodeIp: pulumi.Input<string>;
    /** Group of the node's bootstrap token: `KrustletBootstrap.group`. Required. */
    bootstrapGroup: pulumi.Input<string>;
    /** The node's folder: `data/keys` in it holds the public keys that the requests must be for. Required. */
    stateDir: pulumi.Input<string>;
    /** Process id of the node's agent: another one may have new requests, which are decided then. Default: none. */
    agentPid?: pulumi.Input<number>;
    /**
     * Life that the node's requests must ask for, in seconds, from 600 to 31622400: what `KrustletNode` tells its agent to ask
     * for. Default: any within these bounds, or none. Example: `86400`.
     */
    certificateDurationSeconds?: pulumi.Input<number>;
    /** How long both requests may take to turn up, in seconds. Default: 60. */
    timeoutSeconds?: pulumi.Input<number>;
    /**
     * Docker network of the node's container: the approver then is in one beside it. Default: none, and the approver is a process on
     * this host.
     */
    network?: pulumi.Input<string>;
}

/** The only signers whose requests an approver may decide on. */
const SIGNERS = ["kubernetes.io/kube-apiserver-client-kubelet", "kubernetes.io/kubelet-serving"];

/** Where the approver's ServiceAccount is: it acts on the cluster as a whole, as all that is there does. */
const NAMESPACE = "kube-system";

/** Life of the approver's tokens in seconds. It renews them when half of it is over. */
const TOKEN_SECONDS = 86_400;

const children = new Children<{
    approval: local.Command;
    approver: local.Command;
    approverAccount: kubernetes.core.v1.ServiceAccount;
    approverRole: kubernetes.rbac.v1.ClusterRole;
    approverRoleBinding: kubernetes.rbac.v1.ClusterRoleBinding;
    approverTokenRole: kubernetes.rbac.v1.Role;
    approverTokenRoleBinding: kubernetes.rbac.v1.RoleBinding;
}>();

/**
 * Approves the two certificate requests of a node (client and serving), and nobody else's: each must be the node's own in
 * every respect, down to the public key that the agent handed over by file. Then it starts an approver, a process beside the
 * agent, which does the same with the node's renewals. Whatever else is asked for in the node's name is denied. See
 * steps/node/certificates/approveCertificates.ts and docs/decisions/0009-renewal-approver.md.
 *
 * Deleting it ends the approver and deletes the node's certificate requests, not the node's certificates.
 *
 * @example
 * new CertificateApproval("certificates", { kubeconfigFile: cluster.kubeconfigFile, clusterIdentity: cluster.identity,
 *     nodeName: "krustlet", nodeIp: cluster.nodeAddress, bootstrapGroup: join.group, stateDir: "~/nodes/krustlet" },
 *     cluster.inCluster());
 */
export class CertificateApproval extends pulumi.ComponentResource {
    /** Name of the approved client certificate request; undefined where the node had a certificate already. */
    readonly clientRequest: pulumi.Output<string | undefined>;
    /** Name of the approved serving certificate request; undefined where the node had a certificate already. */
    readonly servingRequest: pulumi.Output<string | undefined>;
    /** File that the approver logs its decisions to. */
    readonly approverLogFile: pulumi.Output<string>;

    /**
     * @param opts `provider` must be the cluster's Kubernetes provider. `deletedWith` is for the objects in the cluster; the
     * approver on this host is always stopped.
     */
    constructor(name: string, args: CertificateApprovalArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:CertificateApproval", name, {}, withoutDeletedWith(opts));
        const checked = checkArgs("CertificateApproval", name, args, {
            kubeconfigFile: required(text, "cluster.kubeconfigFile"),
            clusterIdentity: required(text, "cluster.identity"),
            nodeName: required(rules.nodeName, '"krustlet"'),
            nodeIp: required(rules.ipv4, "cluster.nodeAddress"),
            bootstrapGroup: required(text, "bootstrap.group"),
            stateDir: required(text, '"~/nodes/krustlet"'),
            agentPid: integer(1, 2 ** 31),
            certificateDurationSeconds: rules.certificateSeconds,
            timeoutSeconds: rules.seconds,
            network: text,
        });
        const node = {
            kubeconfigFile: checked.kubeconfigFile,
            owner: owner(),
            nodeName: checked.nodeName,
            nodeIp: checked.nodeIp,
            bootstrapGroup: checked.bootstrapGroup,
            stateDir: checked.stateDir,
            agentPid: checked.agentPid,
            certificateDurationSeconds: checked.certificateDurationSeconds,
        };

        const approval = stepResource(
            `${name}-approval`,
            {
                create: "approveCertificates",
                delete: "deleteCertificateRequests",
                input: { ...node, timeoutSeconds: checked.timeoutSeconds ?? 60 },
                // Not the agent's process: a replacement would delete the requests that the new one has just filed.
                triggers: [checked.clusterIdentity, checked.nodeName],
            },
            // The requests are in the cluster alone, and go with it.
            { parent: this, deletedWith: opts?.deletedWith },
        );
        const inCluster = clusterObjectOptions(this, "CertificateApproval", name, opts);
        const account = approverAccount(name, checked.nodeName, inCluster);
        const { approverAccount: serviceAccount, approverRoleBinding, approverTokenRoleBinding } = account;
        const observed = stepInvoke(
            "observeApprover",
            { resource: `${name}-approver`, nodeName: checked.nodeName, stateDir: checked.stateDir },
            { parent: this },
        );
        const approver = stepResource(
            `${name}-approver`,
            {
                create: "launchApprover",
                delete: "stopApprover",
                input: {
                    ...node,
                    namespace: NAMESPACE,
                    // Once it has its rights.
                    serviceAccount: pulumi
                        .all([
                            serviceAccount.metadata.name,
                            approverRoleBinding.id,
                            approverTokenRoleBinding.id,
                        ])
                        .apply(([account]) => account),
                    tokenSeconds: TOKEN_SECONDS,
                    network: checked.network,
                    because: observed.because,
                },
                triggers: [checked.clusterIdentity, checked.nodeName, checked.stateDir],
            },
            // After the first two approvals: these are not its to give.
            { parent: this, dependsOn: [approval.command] },
        );
        this.clientRequest = approval.output.client.apply((known) => known ?? undefined);
        this.servingRequest = approval.output.serving.apply((known) => known ?? undefined);
        this.approverLogFile = approver.output.logFile;
        children.keep(this, { approval: approval.command, approver: approver.command, ...account });

        this.registerOutputs({
            clientRequest: this.clientRequest,
            servingRequest: this.servingRequest,
            approverLogFile: this.approverLogFile,
        });
    }

    /** The Command that approves the first two requests: `<name>-approval`. */
    get approval(): local.Command {
        return children.of(this).approval;
    }

    /** The Command that runs the approver of renewals: `<name>-approver`. */
    get approver(): local.Command {
        return children.of(this).approver;
    }

    /** Who the approver is: `<name>-approver-account`. */
    get approverAccount(): kubernetes.core.v1.ServiceAccount {
        return children.of(this).approverAccount;
    }

    /** What it may do: `<name>-approver-role`. */
    get approverRole(): kubernetes.rbac.v1.ClusterRole {
        return children.of(this).approverRole;
    }

    /** That it may: `<name>-approver-role-binding`. */
    get approverRoleBinding(): kubernetes.rbac.v1.ClusterRoleBinding {
        return children.of(this).approverRoleBinding;
    }

    /** That it may renew its own token: `<name>-approver-token-role`. */
    get approverTokenRole(): kubernetes.rbac.v1.Role {
        return children.of(this).approverTokenRole;
    }

    /** That it may: `<name>-approver-token-role-binding`. */
    get approverTokenRoleBinding(): kubernetes.rbac.v1.RoleBinding {
        return children.of(this).approverTokenRoleBinding;
    }
}

/**
 * The ServiceAccount that a node's approver is at the API server, with all the rights that it has.
 * RBAC can limit neither whose requests it sees nor whose it approves, only of which signers.
 */
function approverAccount(name: string, nodeName: pulumi.Input<string>, opts: pulumi.CustomResourceOptions) {
    const roleName = pulumi.interpolate`krustlet-stack:approver:${nodeName}`;
    const account = new kubernetes.core.v1.ServiceAccount(
        `${name}-approver-account`,
        {
            metadata: { name: pulumi.interpolate`krustlet-approver-${nodeName}`, namespace: NAMESPACE },
            // No pod is to run as it.
            automountServiceAccountToken: false,
        },
        opts,
    );
    const subjects = [{ kind: "ServiceAccount", name: account.metadata.name, namespace: NAMESPACE }];
    const apiGroup = "rbac.authorization.k8s.io";
    const certificates = "certificates.k8s.io";
    const role = new kubernetes.rbac.v1.ClusterRole(
        `${name}-approver-role`,
        {
            metadata: { name: roleName },
            rules: [
                {
                    apiGroups: [certificates],
                    resources: ["certificatesigningrequests"],
                    verbs: ["get", "list", "watch"],
                },
                {
                    apiGroups: [certificates],
                    resources: ["certificatesigningrequests/approval"],
                    verbs: ["update"],
                },
                {
                    apiGroups: [certificates],
                    resources: ["signers"],
                    resourceNames: SIGNERS,
                    verbs: ["approve"],
                },
            ],
        },
        opts,
    );
    const binding = new kubernetes.rbac.v1.ClusterRoleBinding(
        `${name}-approver-role-binding`,
        {
            metadata: { name: roleName },
            roleRef: { apiGroup, kind: "ClusterRole", name: role.metadata.name },
            subjects,
        },
        opts,
    );
    const tokenRole = new kubernetes.rbac.v1.Role(
        `${name}-approver-token-role`,
        {
            metadata: { name: roleName, namespace: NAMESPACE },
            rules: [
                {
                    // It renews its own credential, and can get nobody else's.
                    apiGroups: [""],
                    resources: ["serviceaccounts/token"],
                    resourceNames: [account.metadata.name],
                    verbs: ["create"],
                },
            ],
        },
        opts,
    );
    const tokenBinding = new kubernetes.rbac.v1.RoleBinding(
        `${name}-approver-token-role-binding`,
        {
            metadata: { name: roleName, namespace: NAMESPACE },
            roleRef: { apiGroup, kind: "Role", name: tokenRole.metadata.name },
            subjects,
        },
        opts,
    );
    return {
        approverAccount: account,
        approverRole: role,
        approverRoleBinding: binding,
        approverTokenRole: tokenRole,
        approverTokenRoleBinding: tokenBinding,
    };
}
