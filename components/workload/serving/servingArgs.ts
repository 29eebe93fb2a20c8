import type * as pulumi from "@pulumi/pulumi";

/** Where a Service is reached. */
export const ServiceType = {
    /** In the cluster, at an address of the Service's own. */
    ClusterIP: "ClusterIP",
    /** There, and at a port of each node that runs kube-proxy. */
    NodePort: "NodePort",
} as const;
export type ServiceType = (typeof ServiceType)[keyof typeof ServiceType];

/** The port at which a program answers HTTP requests, or may listen by sockets of its own. */
export interface WasmPortArgs {
    /**
     * The port, at the pod's own address where nodes give it one (`podAddresses`). Elsewhere it is at the node's: one pod's alone on a node,
     * which the scheduler is told (`hostPort`). Required. Example: 8080.
     */
    containerPort: pulumi.Input<number>;
    /** Its name. Default: none. Example: `http`. */
    name?: pulumi.Input<string>;
}

/** A GET request, which a status from 200 to 399 answers well. */
export interface WasmHttpGetArgs {
    /** What is asked for. Default: `/`. Example: `/healthz`. */
    path?: pulumi.Input<string>;
}

/** A call of gRPC's health service. */
export interface WasmGrpcArgs {
    /** Whose health is asked for. Default: that of all. Example: `shop.Cart`. */
    service?: pulumi.Input<string>;
}

/** A connection, which a program that listens takes. There is nothing to say of it. */
// eslint-disable-next-line @typescript-eslint/no-empty-object-type -- a named type is what the schema of components can tell
export interface WasmTcpSocketArgs {}

/** How the node asks a program whether it is well, at its own port. Exactly one of `httpGet`, `grpc` and `tcpSocket` is given. */
export interface WasmProbeArgs {
    /** By a GET request. Example: `{ path: "/healthz" }`. */
    httpGet?: WasmHttpGetArgs;
    /** By gRPC's health service. Example: `{}`. */
    grpc?: WasmGrpcArgs;
    /** By a connection: for a program that listens by a socket of its own, as the node listens for all others. Example: `{}`. */
    tcpSocket?: WasmTcpSocketArgs;
    /** How long it waits with the first try, in seconds. Default: 0. */
    initialDelaySeconds?: pulumi.Input<number>;
    /** How long it is from one try to the next, in seconds. Default: 10. */
    periodSeconds?: pulumi.Input<number>;
    /** How long an answer may take, in seconds. Default: 1. */
    timeoutSeconds?: pulumi.Input<number>;
    /** How many tries in a row must fail. Default: 3. */
    failureThreshold?: pulumi.Input<number>;
}

/** The probe that says whether a program is to get requests. */
export interface WasmReadinessProbeArgs extends WasmProbeArgs {
    /** How many tries in a row must go well after one that failed. Default: 1. */
    successThreshold?: pulumi.Input<number>;
}

/** A probe that ends a program which is not well, so that it starts again. */
export interface WasmLivenessProbeArgs extends WasmProbeArgs {
    /** How long the requests under way may take then, in seconds. Default: the pod's own time. */
    terminationGracePeriodSeconds?: pulumi.Input<number>;
}

/** What the node asks of a program. */
export interface WasmProbesArgs {
    /** Until it has gone well once there are no others; if it does not, the program starts again. Default: none. */
    startup?: WasmLivenessProbeArgs;
    /** As long as it fails the Service sends no requests. Default: none, and the program is ready when it runs. */
    readiness?: WasmReadinessProbeArgs;
    /** When it fails the program starts again. Default: none. */
    liveness?: WasmLivenessProbeArgs;
}

/** The Service that leads to a workload's pods. */
export interface WasmServiceArgs {
    /** Its name, and so its host name in the namespace. Another one makes another Service. Default: the label `app` of the pods. */
    name?: pulumi.Input<string>;
    /** `ClusterIP` or `NodePort`. Default: `ClusterIP`. */
    type?: pulumi.Input<ServiceType>;
    /** Port of the Service. Default: that of the program. Example: 80. */
    port?: pulumi.Input<number>;
    /** Port of the nodes, of a `NodePort`. Default: one that the cluster chooses, from 30000 to 32767. Example: 30080. */
    nodePort?: pulumi.Input<number>;
}

/** Of a program that listens and so stays: a pod, a deployment, a daemon set. */
export interface WasmServingArgs {
    /**
     * Where the program answers HTTP requests (docs/serving.md), or may listen by TCP sockets of its own (docs/sockets.md): one port. The
     * program must be a component that does. Default: none. Example: `[{ containerPort: 8080 }]`.
     */
    ports?: WasmPortArgs[];
    /** How the node asks whether it is well: startup, readiness and liveness. Default: none. */
    probes?: WasmProbesArgs;
    /** The Service that leads to it. Default: none. Example: `{ port: 80 }`. */
    service?: WasmServiceArgs;
    /**
     * Tells that each node that it may run on gives pods that serve addresses of their own, which makes no node do so (NodeSettings,
     * `podAddresses`): any number of them may have the same port then, and of a Pod or a Deployment new ones come before old ones go.
     * Default: false, in a stack what its nodes do. Example: `true`.
     */
    podAddresses?: boolean;
}

/** Of a deployment: how many pods come and go at a time in a roll-out. */
export interface WasmRollingUpdateArgs {
    /** How many more than `replicas` there may be. Default: Kubernetes' own, a quarter; 0 with `ports` without `podAddresses`. */
    maxSurge?: pulumi.Input<number>;
    /** How many fewer than `replicas` may be available. Default: Kubernetes' own, a quarter; 1 with `ports` without `podAddresses`. */
    maxUnavailable?: pulumi.Input<number>;
}

/** Whether a program answers requests, as far as its arguments say so. */
export function serves({ ports }: Pick<WasmServingArgs, "ports">): boolean {
    // What holds an Output is one itself when it has been checked, and has no length yet.
    return ports !== undefined && !(Array.isArray(ports) && ports.length === 0);
}

/** Whether its port is one pod's alone on a node. */
export function holdsPort(args: Pick<WasmServingArgs, "ports" | "podAddresses">): boolean {
    return serves(args) && args.podAddresses !== true;
}
