import type * as pulumi from "@pulumi/pulumi";
import type { WorkloadKind } from "../../steps/workload/contract";
import type { WasmRollingUpdateArgs, WasmServingArgs } from "./serving/servingArgs";

/** When the node starts a container again that has ended. */
export const RestartPolicy = {
    /** Whenever it ends. */
    Always: "Always",
    /** When it ends with another exit code than 0. */
    OnFailure: "OnFailure",
    /** Never. */
    Never: "Never",
} as const;
export type RestartPolicy = (typeof RestartPolicy)[keyof typeof RestartPolicy];

/** When the node starts a container of a job again that has ended. */
export const JobRestartPolicy = {
    /** When it ends with another exit code than 0. */
    OnFailure: "OnFailure",
    /** Never: the job makes another pod. */
    Never: "Never",
} as const;
export type JobRestartPolicy = (typeof JobRestartPolicy)[keyof typeof JobRestartPolicy];

/** What a cron job does when its next job is due while the last one runs. */
export const ConcurrencyPolicy = {
    /** Both run. */
    Allow: "Allow",
    /** The new one is left out. */
    Forbid: "Forbid",
    /** The new one takes the place of the last one. */
    Replace: "Replace",
} as const;
export type ConcurrencyPolicy = (typeof ConcurrencyPolicy)[keyof typeof ConcurrencyPolicy];

/** All variables of a config map or a secret. Exactly one of `configMap` and `secret` is given. */
export interface WasmEnvFromArgs {
    /** Name of a ConfigMap in the workload's namespace. Example: `settings`. */
    configMap?: pulumi.Input<string>;
    /** Name of a Secret in the workload's namespace. Example: `credentials`. */
    secret?: pulumi.Input<string>;
    /** Put before each of its keys. Default: none. Example: `DB_`. */
    prefix?: pulumi.Input<string>;
    /** Whether the program may start without it. Default: false. */
    optional?: pulumi.Input<boolean>;
}

/** A variable whose value is a key of a config map or a secret. Exactly one of `configMap` and `secret` is given. */
export interface WasmEnvValueFromArgs {
    /** Name of the variable. Required. Example: `DB_PASSWORD`. */
    name: pulumi.Input<string>;
    /** Name of a ConfigMap in the workload's namespace. */
    configMap?: pulumi.Input<string>;
    /** Name of a Secret in the workload's namespace. Example: `credentials`. */
    secret?: pulumi.Input<string>;
    /** Key of it. Required. Example: `password`. */
    key: pulumi.Input<string>;
    /** Whether the program may start without it. Default: false. */
    optional?: pulumi.Input<boolean>;
}

/** An empty folder that lives as long as its pod. */
export interface WasmEmptyDirArgs {
    /** Most that may be in it, as a quantity of bytes; a pod that goes over it is evicted. Default: none. Example: `64Mi`. */
    sizeLimit?: pulumi.Input<string>;
}

/** A folder that the program sees. Exactly one of `configMap`, `secret`, `emptyDir` and `hostPath` is given. */
export interface WasmVolumeArgs {
    /** Name of the volume. Required. Example: `settings`. */
    name: pulumi.Input<string>;
    /** Where the program sees it: an absolute path. Required. Example: `/etc/settings`. */
    mountPath: pulumi.Input<string>;
    /** Whether the program may only read it. Default: false; config maps and secrets are read-only always. */
    readOnly?: pulumi.Input<boolean>;
    /** Name of a ConfigMap in the workload's namespace, a file for each key. */
    configMap?: pulumi.Input<string>;
    /** Name of a Secret in the workload's namespace, a file for each key. */
    secret?: pulumi.Input<string>;
    /** An empty folder. Example: `{}` or `{ sizeLimit: "64Mi" }`. */
    emptyDir?: WasmEmptyDirArgs;
    /** A folder of the node's host, below one of the node's `allowedHostPaths`. Example: `/srv/data/hello`. */
    hostPath?: pulumi.Input<string>;
}

/** The most that a program may take. What is limited here is reserved for it on the node as well. */
export interface WasmLimitsArgs {
    /** Memory, as a quantity of bytes; a program that goes over it is ended (`OOMKilled`). Default: none. Example: `64Mi`. */
    memory?: pulumi.Input<string>;
    /**
     * Processor time, as a quantity of processors. The node does not hold a program to it: programs give way to each other every
     * ten milliseconds. Default: none. Example: `250m`.
     */
    cpu?: pulumi.Input<string>;
}

/** How a WebAssembly program is run: the same for every kind of workload. */
export interface WasmProgramArgs {
    /** Namespace, which must exist. Default: `default`. */
    namespace?: pulumi.Input<string>;
    /**
     * Labels of the object and of its pods, beside `app`, by which the pods are found. Default: none. Example:
     * `{ "app.kubernetes.io/part-of": "shop" }`.
     */
    labels?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    /**
     * Annotations of the object and of its pods. A change of one is a change of the pods. Default: none. Example:
     * `{ "example.com/owner": "team-a" }`.
     */
    annotations?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    /** Arguments of the program. Default: none. Example: `["--verbose"]`. */
    args?: pulumi.Input<pulumi.Input<string>[]>;
    /** Environment of the program. Default: none. Example: `{ RUST_LOG: "info" }`. */
    env?: pulumi.Input<Record<string, pulumi.Input<string>>>;
    /** Config maps and secrets whose keys are all variables of the program; `env` goes before them. Default: none. */
    envFrom?: WasmEnvFromArgs[];
    /** Variables of the program from single keys of config maps and secrets. Default: none. */
    envValueFrom?: WasmEnvValueFromArgs[];
    /** Folders that the program sees; it sees no others. Default: none. */
    volumes?: WasmVolumeArgs[];
    /** The most that the program may take. Default: what the node has. */
    limits?: WasmLimitsArgs;
    /**
     * Origins that the program may send HTTP requests to: scheme, host and port must all match. Default: none, and every request is
     * refused. `tcp://host:port` and `udp://host:port` are what it may connect sockets to. Example: `["https://catfact.ninja"]`.
     */
    allowedDomains?: pulumi.Input<pulumi.Input<string>[]>;
    /** How many HTTP requests the program may have under way at a time, and how many sockets open. Default: the node's own. Example: 42. */
    maxConcurrentRequests?: pulumi.Input<number>;
    /** Names of Secrets (`kubernetes.io/dockerconfigjson`) in its namespace that let the node pull the module. Default: none. */
    imagePullSecrets?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * How long a deleted pod may go on before it is stopped, in seconds. A WebAssembly program hears no signal, so more than the
     * least is for one that comes to its end by itself, or answers requests, which end meanwhile. Default: 1, with `ports` 30.
     */
    terminationGracePeriodSeconds?: pulumi.Input<number>;
}

/** Of what the update can wait for: every kind but a cron job, whose first job is due when it is due. */
export interface WasmWaitArgs {
    /** Whether the update waits until the workload is Ready or complete, and fails when it does not get there. Default: true. */
    wait?: boolean;
    /** How long it may take to get there, in seconds. Default: 600. */
    waitTimeoutSeconds?: pulumi.Input<number>;
}

/** Of a deployment. */
export interface WasmReplicasArgs extends WasmServingArgs {
    /**
     * How many pods it keeps. 0: none for now. With `ports` and without `podAddresses` there can be one on each node, and more of them wait
     * for a node. Default: 1.
     */
    replicas?: pulumi.Input<number>;
    /**
     * Whether a HorizontalPodAutoscaler of yours says how many pods there are. Each update would undo what that has chosen if `replicas` was
     * set, so that it may not be given then. It goes by what `limits` reserve. Default: false.
     */
    autoscaled?: boolean;
    /**
     * How many pods come and go at a time in a roll-out. Default: Kubernetes' own, new pods before old ones go; with `ports`
     * and without `podAddresses`, where a new pod on the same node would wait for the old one's port for ever, one pod after the other,
     * the old one first. Example:
     * `{ maxSurge: 1, maxUnavailable: 0 }`, where a node is free.
     */
    rollingUpdate?: WasmRollingUpdateArgs;
}

/** Of what comes to an end: a pod, a job, the jobs of a cron job. */
export interface WasmDeadlineArgs {
    /** How long it may take, all tries together, in seconds. Default: no limit. Example: 300. */
    activeDeadlineSeconds?: pulumi.Input<number>;
}

/** Of a job, and of the jobs of a cron job. */
export interface WasmTriesArgs extends WasmDeadlineArgs {
    /** How many times a program that failed is tried again. Default: 6. */
    backoffLimit?: pulumi.Input<number>;
}

/** Of a cron job, beside its `schedule`. */
export interface WasmScheduleArgs {
    /** Time zone of `schedule`. Default: that of the cluster's controller, mostly UTC. Example: `Europe/Berlin`. */
    timeZone?: pulumi.Input<string>;
    /** What is done when a job is due while the last one runs: `Allow`, `Forbid` or `Replace`. Default: `Allow`. */
    concurrencyPolicy?: ConcurrencyPolicy;
    /** Whether no new jobs are begun for now. Default: false. */
    suspend?: pulumi.Input<boolean>;
}

/** A program of any kind, as an item of a list that names its `kind`: only what that kind has may be given. */
export interface WasmAnyProgramArgs
    extends WasmProgramArgs, WasmWaitArgs, WasmReplicasArgs, WasmTriesArgs, WasmScheduleArgs {
    /** `Pod`, `Deployment`, `Job`, `CronJob` or `DaemonSet`. Default: `Pod`. */
    kind?: WorkloadKind;
    /** When a cron job runs, which must have it: see WasmCronJobArgs. Example: `0,30 * * * *`. */
    schedule?: pulumi.Input<string>;
    /** Of a pod, a job and a cron job: `OnFailure`, `Never` and, of a pod, `Always`. Default: `OnFailure`. */
    restartPolicy?: RestartPolicy;
}
