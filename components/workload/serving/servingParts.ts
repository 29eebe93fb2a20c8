import type { types } from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";
import {
    holdsPort,
    serves,
    type WasmLivenessProbeArgs,
    type WasmProbesArgs,
    type WasmReadinessProbeArgs,
    type WasmRollingUpdateArgs,
    type WasmServingArgs,
} from "./servingArgs";

type Container = types.input.core.v1.Container;
type Probe = types.input.core.v1.Probe;

/** How long a pod that serves may go on when it is deleted, in seconds, as Kubernetes has it: requests under way end meanwhile. */
export const SERVING_GRACE_SECONDS = 30;

/** What of a container says where its program answers requests, and how it is probed. */
export function servingParts(
    args: WasmServingArgs,
): Pick<Container, "ports" | "startupProbe" | "readinessProbe" | "livenessProbe"> {
    if (!serves(args)) return {};
    return {
        ports: pulumi.output(args.ports ?? []).apply((ports) =>
            ports.map(({ name, containerPort }) => ({
                name,
                containerPort,
                // Where pods have the node's address it listens there with or without this. By it the scheduler knows, and puts no two such
                // pods on a node, where the second one would wait though another node is free.
                ...(holdsPort(args) && { hostPort: containerPort }),
            })),
        ),
        startupProbe: probeOf("startup", args),
        readinessProbe: probeOf("readiness", args),
        livenessProbe: probeOf("liveness", args),
    };
}

/** No probe at all where there is none, which the SDK's types cannot say of an Output. */
function probeOf(name: keyof WasmProbesArgs, args: WasmServingArgs): pulumi.Output<Probe> | undefined {
    if (args.probes === undefined) return undefined;
    const probe = pulumi.all([containerPortOf(args), pulumi.output(args.probes)]).apply(([port, probes]) => {
        const given: pulumi.Unwrap<WasmLivenessProbeArgs & WasmReadinessProbeArgs> | undefined = probes[name];
        if (given === undefined) return undefined;
        const { httpGet, grpc, tcpSocket, ...numbers } = given;
        return {
            ...numbers,
            ...(httpGet !== undefined && { httpGet: { path: httpGet.path ?? "/", port } }),
            ...(grpc !== undefined && { grpc: { ...grpc, port } }),
            ...(tcpSocket !== undefined && { tcpSocket: { port } }),
        };
    });
    return probe as pulumi.Output<Probe>;
}

/** Where the program answers. The arguments have been checked: it is the one port. */
export function containerPortOf({ ports }: WasmServingArgs): pulumi.Output<number> {
    return pulumi.output(ports ?? []).apply(([{ containerPort }]) => containerPort);
}

/**
 * How a Deployment rolls out; undefined: as Kubernetes does it by itself, new pods first. Where a port is one pod's alone on a node, a new
 * pod would wait for the port of an old one, which goes only when the new one is ready: so the old one goes first.
 */
export function strategyOf(
    args: WasmServingArgs & { rollingUpdate?: WasmRollingUpdateArgs },
): types.input.apps.v1.DeploymentStrategy | undefined {
    const usual = holdsPort(args) ? { maxSurge: 0, maxUnavailable: 1 } : undefined;
    if (usual === undefined && args.rollingUpdate === undefined) return undefined;
    const given: WasmRollingUpdateArgs = args.rollingUpdate ?? {};
    const rollingUpdate = pulumi
        .output(given)
        .apply(({ maxSurge = usual?.maxSurge, maxUnavailable = usual?.maxUnavailable }) => ({
            ...(maxSurge !== undefined && { maxSurge }),
            ...(maxUnavailable !== undefined && { maxUnavailable }),
        }));
    return { type: "RollingUpdate", rollingUpdate };
}
