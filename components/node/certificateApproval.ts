import * as pulumi from "@pulumi/pulumi";
import * as rules from "../rules";
import { stepResource } from "../step";
import { checkArgs, integer, required, text } from "../validation";

export interface CertificateApprovalArgs {
    /** Admin kubeconfig (YAML) of the cluster; it may approve certificate requests. Secret. Required. */
    kubeconfig: pulumi.Input<string>;
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
    /** How long both requests may take to turn up, in seconds. Default: 60. */
    timeoutSeconds?: pulumi.Input<number>;
}

/**
 * Approves the two certificate requests of a node (client and serving), and nobody else's: each must be the node's own in
 * every respect, down to the public key that the agent handed over by file. See steps/approveCertificates.ts.
 *
 * Deleting it deletes the node's certificate requests, not the node's certificates.
 */
export class CertificateApproval extends pulumi.ComponentResource {
    /** Name of the approved client certificate request; null where the node had a certificate already. */
    readonly clientRequest: pulumi.Output<string | null>;
    /** Name of the approved serving certificate request; null where the node had a certificate already. */
    readonly servingRequest: pulumi.Output<string | null>;

    constructor(name: string, args: CertificateApprovalArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:CertificateApproval", name, {}, opts);
        const checked = checkArgs("CertificateApproval", name, args, {
            kubeconfig: required(text, "cluster.kubeconfig"),
            clusterIdentity: required(text, "cluster.identity"),
            nodeName: required(rules.nodeName, '"krustlet"'),
            nodeIp: required(rules.ipv4, "cluster.gatewayAddress"),
            bootstrapGroup: required(text, "bootstrap.group"),
            stateDir: required(text, '"~/nodes/krustlet"'),
            agentPid: integer(1, 2 ** 31),
            timeoutSeconds: rules.seconds,
        });

        const approval = stepResource(
            `${name}-approval`,
            {
                create: "approveCertificates",
                delete: "deleteCertificateRequests",
                input: {
                    kubeconfig: pulumi.secret(checked.kubeconfig),
                    nodeName: checked.nodeName,
                    nodeIp: checked.nodeIp,
                    bootstrapGroup: checked.bootstrapGroup,
                    stateDir: checked.stateDir,
                    agentPid: checked.agentPid,
                    timeoutSeconds: checked.timeoutSeconds ?? 60,
                },
                // Not the agent's process: a replacement would delete the requests that the new one has just filed.
                triggers: [checked.clusterIdentity, checked.nodeName],
            },
            // The requests are in the cluster alone, and go with it.
            { parent: this, deletedWith: opts?.deletedWith },
        );
        this.clientRequest = approval.output.client;
        this.servingRequest = approval.output.serving;

        this.registerOutputs({ clientRequest: this.clientRequest, servingRequest: this.servingRequest });
    }
}
