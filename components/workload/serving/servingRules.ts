import * as rules from "../../rules";
import {
    boolean,
    integer,
    list,
    object,
    oneOf,
    plain,
    required,
    text,
    type Problem,
    type Rules,
} from "../../validation";
import type { WasmAnyProgramArgs } from "../programArgs";
import {
    ServiceType,
    holdsPort,
    serves,
    type WasmGrpcArgs,
    type WasmHttpGetArgs,
    type WasmLivenessProbeArgs,
    type WasmPortArgs,
    type WasmProbeArgs,
    type WasmProbesArgs,
    type WasmReadinessProbeArgs,
    type WasmRollingUpdateArgs,
    type WasmServiceArgs,
    type WasmServingArgs,
    type WasmTcpSocketArgs,
} from "./servingArgs";

const probe: Rules<WasmProbeArgs> = {
    httpGet: object({ path: rules.urlPath } satisfies Rules<WasmHttpGetArgs>),
    grpc: object({ service: text } satisfies Rules<WasmGrpcArgs>),
    tcpSocket: object({} satisfies Rules<WasmTcpSocketArgs>),
    initialDelaySeconds: integer(0, 3600),
    periodSeconds: rules.seconds,
    timeoutSeconds: rules.seconds,
    failureThreshold: integer(1, 1000),
};

const ending = object({
    ...probe,
    terminationGracePeriodSeconds: rules.seconds,
} satisfies Rules<WasmLivenessProbeArgs>);

/** A rule for each argument of a program that answers requests. */
export const servingRules: Rules<WasmServingArgs> = {
    ports: list(
        object({
            containerPort: required(rules.port, "8080"),
            name: rules.portName,
        } satisfies Rules<WasmPortArgs>),
    ),
    probes: object({
        startup: ending,
        readiness: object({
            ...probe,
            successThreshold: integer(1, 1000),
        } satisfies Rules<WasmReadinessProbeArgs>),
        liveness: ending,
    } satisfies Rules<WasmProbesArgs>),
    service: object({
        name: rules.serviceName,
        type: oneOf(Object.values(ServiceType)),
        port: rules.port,
        nodePort: rules.port,
    } satisfies Rules<WasmServiceArgs>),
    podAddresses: boolean,
};

export const rollingUpdate = object({
    maxSurge: integer(0, 1000),
    maxUnavailable: integer(0, 1000),
} satisfies Rules<WasmRollingUpdateArgs>);

/** What is wrong with arguments of a program that answers requests which do not go together. */
export function servingProblems(args: WasmAnyProgramArgs, at: (property: string) => string): Problem[] {
    const portless = (["probes", "service", "podAddresses"] as const)
        .filter((property) => args[property] !== undefined && !serves(args))
        .map((property) =>
            plain(
                at(property),
                "needs ports, which say where the program answers; for example [{ containerPort: 8080 }]",
            ),
        );
    const more = rules
        .items(args.ports)
        .slice(1)
        .map((_, index) =>
            plain(at(`ports[${index + 1}]`), "is one too many: a program answers at one port; leave it out"),
        );
    return [
        ...more,
        ...portless,
        ...probesProblems(args, at),
        ...serviceProblems(args, at),
        ...rollOutProblems(args, at),
    ];
}

/** Says that more pods are to serve at a port than there are addresses of nodes. */
export function crowded(path: string, pods: number, port: number, addresses: number): Problem {
    const there = addresses === 1 ? "is 1" : `are ${addresses}`;
    const message =
        `${pods} pods that serve at port ${port} need as many addresses of nodes, and there ${there}: each has its node's own, and ` +
        'more of them would wait; have fewer, or more nodes for them, or nodes with runtime "container", which give each pod an address';
    return { path, message };
}

/** What is wrong with a deployment that is to have several pods at one port of the one node that it names. */
export function crowdProblems(args: WasmServingArgs & { replicas?: unknown; node?: unknown }): Problem[] {
    const { replicas, node } = args;
    const port: unknown = rules.items(args.ports).at(0)?.containerPort;
    if (
        node === undefined ||
        !holdsPort(args) ||
        typeof port !== "number" ||
        typeof replicas !== "number" ||
        replicas < 2
    )
        return [];
    return [crowded("replicas", replicas, port, 1)];
}

function probesProblems({ probes }: WasmAnyProgramArgs, at: (property: string) => string): Problem[] {
    const given = Object(probes) as WasmProbesArgs;
    return (["startup", "readiness", "liveness"] as const).flatMap((name) => {
        const [probe] = rules.items([given[name] as object]);
        return probe === undefined
            ? []
            : rules.exactlyOne(probe, ["httpGet", "grpc", "tcpSocket"], at(`probes.${name}`), "is needed");
    });
}

function serviceProblems({ service }: WasmAnyProgramArgs, at: (property: string) => string): Problem[] {
    const { type = ServiceType.ClusterIP, nodePort } = Object(service) as WasmServiceArgs;
    if (nodePort === undefined || typeof type !== "string" || type === ServiceType.NodePort) return [];
    return [plain(at("service.nodePort"), 'is for a Service of the type "NodePort"; set type to that')];
}

/** Neither one more nor one less: nothing could ever roll out. */
function rollOutProblems(args: WasmAnyProgramArgs, at: (property: string) => string): Problem[] {
    const given = Object(args.rollingUpdate) as WasmRollingUpdateArgs;
    const usual = holdsPort(args) ? 0 : undefined;
    if (given.maxUnavailable !== 0 || (given.maxSurge ?? usual) !== 0) return [];
    return [
        plain(
            at("rollingUpdate"),
            "lets no pod come before one has gone, and none go; give maxSurge (which at a port of the node's own needs a node that is free) or maxUnavailable",
        ),
    ];
}
