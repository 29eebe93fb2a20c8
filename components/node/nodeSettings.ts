import type * as pulumi from "@pulumi/pulumi";
import * as rules from "../rules";
import { NodeRuntime } from "../../steps/contract";
import { boolean, oneOf, text, type Rules } from "../validation";

/** What may be said of a Wasm node, on its own or in a stack. */
export interface NodeSettings {
    /**
     * How the node's agent and its approver run: `process`, on this host, or `container`, two containers on the Docker network of a kind
     * cluster, which Docker starts again after a reboot too. Another one joins the node anew under its name. Default: `process`.
     */
    runtime?: NodeRuntime;
    /** Port of the node's API, where the API server gets logs. Default: 3000. */
    port?: pulumi.Input<number>;
    /** Most pods that the node takes. Default: 110. */
    maxPods?: pulumi.Input<number>;
    /** Labels of the node, beside Krustlet's own. Default: none. Example: `{ "example.com/zone": "desk" }`. */
    labels?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    /**
     * PEM file of certificate authorities that the node trusts beside this host's own, for registries and for the HTTP requests of
     * programs; `~` is the home folder. Default: none, in a stack the registry's; one that is given there must hold that authority
     * too. Example: `/etc/ssl/team-ca.pem`.
     */
    trustedCaFile?: pulumi.Input<string>;
    /**
     * Docker's config file with the logins that the node itself pulls with, for pods that bring none; `~` is the home folder.
     * Default: in a stack without pull secrets the registry's, else Docker's own, `$DOCKER_CONFIG/config.json` or
     * `~/.docker/config.json`. Example: `~/logins/config.json`.
     */
    dockerConfigFile?: pulumi.Input<string>;
    /**
     * Folders of this host (absolute paths) below which pods may mount `hostPath` volumes; with an empty list every such pod is
     * refused. Default: none. Example: `["/srv/data"]`.
     */
    allowedHostPaths?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Addresses and ranges of them that pods may send HTTP requests to though they are the node's own, loopback, link-local or a
     * cloud's metadata service; all of those are closed to pods otherwise, whatever their `allowedDomains` say, but for ports where
     * pods of the node listen. Default: none.
     * Example: `["127.0.0.1"]`.
     */
    allowedEgress?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Whether each pod that serves has an address of its own, of the range that the cluster has given the node (`spec.podCIDR`), for
     * `runtime: container` alone. The cluster's own nodes must have a route to that range by the node's own address, as kind's network
     * program makes it. Without it pods that serve have the node's address, and a port is one pod's alone. Default: whether kind's network
     * program runs in the cluster. Example: `true`.
     */
    podAddresses?: boolean;
    /**
     * Whether the node runs components of WASI 0.3, which is not bounded in all places yet: for nodes where all who may make pods are trusted
     * with the node. Default: false.
     */
    wasi03?: pulumi.Input<boolean>;
    /**
     * Where the node sends spans of the HTTP requests that its pods answer: the base URL of a collector's OTLP over HTTP, to which
     * `/v1/traces` is added. It is looked up where the agent runs (`localhost` of `runtime: container` is that container); the name of a
     * Service of the cluster, with its namespace and `.svc`, leads to its pods, where the node reaches them. It is sent no credentials.
     * Default: nowhere, and nothing is recorded.
     * Example: `http://otel-collector.observability.svc:4318`.
     */
    otlpEndpoint?: pulumi.Input<string>;
    /**
     * Share of the traces that begin at the node's pods of which spans are recorded, from 0 to 1; one that began elsewhere is recorded where
     * its `traceparent` says so. Default: 1. Example: `0.1`.
     */
    otlpSamplingRatio?: pulumi.Input<number>;
    /**
     * Folder for all that the node leaves on this host: keys, certificates, modules, logs. It goes with the node. `~` is the
     * home folder. Another folder makes another node. Default:
     * `~/.local/state/krustlet-stack/nodes/<project>-<stack>-<node name>`.
     */
    stateDir?: pulumi.Input<string>;
    /** The agent: a name on PATH or a path. Default: `krustlet-wasi`. */
    program?: pulumi.Input<string>;
    /** Life of the token that the node joins with, in seconds. Default: 600. */
    tokenTtlSeconds?: pulumi.Input<number>;
    /**
     * Life that the node asks for in its two certificates, in seconds, from 600 to 31622400. It renews them itself, long before
     * they end. Default: the signer's own, a year. Example: `86400`, a day.
     */
    certificateDurationSeconds?: pulumi.Input<number>;
    /**
     * Share of a certificate's life after which the node renews it, in percent, from 1 to 95. Default: 80 (the agent's own
     * default). Example: `50`.
     */
    certificateRenewalPercent?: pulumi.Input<number>;
    /** How long the node may take to be Ready once its certificates are approved, in seconds. Default: 120. */
    readyTimeoutSeconds?: pulumi.Input<number>;
    /**
     * How long the pods of the node may take to leave it before it is removed, in seconds: each is evicted, which respects
     * PodDisruptionBudgets (as long as another Wasm node takes pods) and its grace. What is left then ends with the node. 0: nothing is
     * evicted. Default: 60.
     */
    drainTimeoutSeconds?: pulumi.Input<number>;
}

export const nodeSettingsRules: Rules<NodeSettings> = {
    runtime: oneOf(Object.values(NodeRuntime)),
    port: rules.port,
    maxPods: rules.maxPods,
    labels: rules.labels,
    trustedCaFile: text,
    dockerConfigFile: text,
    allowedHostPaths: rules.hostPaths,
    allowedEgress: rules.egressRanges,
    podAddresses: boolean,
    wasi03: boolean,
    otlpEndpoint: rules.otlpEndpoint,
    otlpSamplingRatio: rules.share,
    stateDir: rules.kubeconfigPath,
    program: text,
    tokenTtlSeconds: rules.tokenSeconds,
    certificateDurationSeconds: rules.certificateSeconds,
    certificateRenewalPercent: rules.renewalPercent,
    readyTimeoutSeconds: rules.seconds,
    drainTimeoutSeconds: rules.drainSeconds,
};
