import * as rules from "../rules";
import { boolean, integer, list, object, oneOf, required, type Problem, type Rules } from "../validation";
import { origin } from "./origin";
import type {
    RestartPolicy,
    WasmEmptyDirArgs,
    WasmEnvFromArgs,
    WasmEnvValueFromArgs,
    WasmLimitsArgs,
    WasmProgramArgs,
    WasmVolumeArgs,
    WorkloadKind,
} from "./programArgs";
import { schedule, timeZone } from "./schedule";

/** The kinds, and the restart policies that Kubernetes allows for each; the first is the default. */
export const restartPolicies: Record<WorkloadKind, readonly RestartPolicy[]> = {
    // A program that ends well is complete; one that fails is tried again, ever more slowly.
    Pod: ["OnFailure", "Always", "Never"],
    Deployment: ["Always"],
    Job: ["OnFailure", "Never"],
    CronJob: ["OnFailure", "Never"],
    DaemonSet: ["Always"],
};

export const workloadKinds = Object.keys(restartPolicies) as WorkloadKind[];

/** Arguments that only some kinds have. */
const onlyFor = {
    replicas: ["Deployment"],
    schedule: ["CronJob"],
    timeZone: ["CronJob"],
    concurrencyPolicy: ["CronJob"],
    suspend: ["CronJob"],
    backoffLimit: ["Job", "CronJob"],
    activeDeadlineSeconds: ["Pod", "Job", "CronJob"],
} satisfies Partial<Record<keyof WasmProgramArgs, WorkloadKind[]>>;

/** A rule for each argument. */
export const programRules: Rules<WasmProgramArgs> = {
    kind: oneOf(workloadKinds),
    namespace: rules.dnsLabel,
    args: rules.texts,
    env: rules.environment,
    envFrom: list(
        object({
            configMap: rules.objectName,
            secret: rules.objectName,
            prefix: rules.variable,
            optional: boolean,
        } satisfies Rules<WasmEnvFromArgs>),
    ),
    envValueFrom: list(
        object({
            name: required(rules.variable, '"DB_PASSWORD"'),
            configMap: rules.objectName,
            secret: rules.objectName,
            key: required(rules.dataKey, '"password"'),
            optional: boolean,
        } satisfies Rules<WasmEnvValueFromArgs>),
    ),
    volumes: list(
        object({
            name: required(rules.dnsLabel, '"settings"'),
            mountPath: required(rules.mountPath, '"/etc/settings"'),
            readOnly: boolean,
            configMap: rules.objectName,
            secret: rules.objectName,
            emptyDir: object({ sizeLimit: rules.bytes } satisfies Rules<WasmEmptyDirArgs>),
            hostPath: rules.hostPath,
        } satisfies Rules<WasmVolumeArgs>),
    ),
    limits: object({ memory: rules.bytes, cpu: rules.processors } satisfies Rules<WasmLimitsArgs>),
    allowedDomains: list(origin),
    maxConcurrentRequests: integer(1, 10_000),
    imagePullSecrets: list(rules.objectName),
    replicas: integer(0, 1000),
    schedule,
    timeZone,
    concurrencyPolicy: oneOf(["Allow", "Forbid", "Replace"]),
    suspend: boolean,
    backoffLimit: integer(0, 1000),
    activeDeadlineSeconds: integer(1, 31_536_000),
    restartPolicy: oneOf(["Always", "OnFailure", "Never"]),
    // 0 takes the pod out of the API server while the node still runs it.
    terminationGracePeriodSeconds: integer(1, 3600),
    wait: boolean,
    waitTimeoutSeconds: integer(1, 86_400),
};

/** The arguments of a program among those of something that has more. */
export function programOf(args: WasmProgramArgs): WasmProgramArgs {
    const names = Object.keys(programRules) as (keyof WasmProgramArgs)[];
    const given = names.filter((name) => args[name] !== undefined).map((name) => [name, args[name]]);
    return Object.fromEntries(given) as WasmProgramArgs;
}

/** What is wrong with arguments that do not go together. */
export function programProblems(args: WasmProgramArgs, path = ""): Problem[] {
    const kind = args.kind ?? "Pod";
    const at = (property: string) => (path ? `${path}.${property}` : property);
    // An unknown kind has been said; nothing can be held against it.
    const known = workloadKinds.includes(kind);
    const policies = known ? restartPolicies[kind] : [];
    const problems: Problem[] = [];
    if (args.restartPolicy !== undefined && policies.length > 0 && !policies.includes(args.restartPolicy)) {
        problems.push({
            path: at("restartPolicy"),
            message: `a ${kind} may have ${policies.join(" or ")}, not ${JSON.stringify(args.restartPolicy)}`,
        });
    }
    for (const [property, kinds] of Object.entries(onlyFor) as [keyof typeof onlyFor, WorkloadKind[]][]) {
        if (known && args[property] !== undefined && !kinds.includes(kind))
            problems.push({
                path: at(property),
                message: `only a ${kinds.join(", ")} has it, not a ${kind}`,
            });
    }
    if (kind === "CronJob" && args.schedule === undefined)
        problems.push({ path: at("schedule"), message: 'is missing; for example "0 * * * *", each hour' });
    if (args.wait === false && args.waitTimeoutSeconds !== undefined)
        problems.push({
            path: at("waitTimeoutSeconds"),
            message: "is for a workload that is waited for; wait is false",
        });
    return [
        ...problems,
        ...sourceProblems(args, at),
        ...variableProblems(args, at),
        ...volumeProblems(args, at),
    ];
}

/** The well-formed items of a list; what is wrong with the others has been said. */
function items<T extends object>(given: T[] | undefined): (T | undefined)[] {
    if (!Array.isArray(given)) return [];
    return given.map((item) => (typeof item === "object" && item !== null ? item : undefined));
}

/** Each of these has exactly one source. */
const sources = {
    envFrom: ["configMap", "secret"],
    envValueFrom: ["configMap", "secret"],
    volumes: ["configMap", "secret", "emptyDir", "hostPath"],
} as const;

function sourceProblems(args: WasmProgramArgs, at: (property: string) => string): Problem[] {
    return (Object.keys(sources) as (keyof typeof sources)[]).flatMap((property) =>
        items<object>(args[property]).flatMap((item, index) => {
            if (item === undefined) return [];
            const choices: readonly string[] = sources[property];
            const given = choices.filter((choice) => (item as Record<string, unknown>)[choice] !== undefined);
            if (given.length === 1) return [];
            const names = choices.map((choice) => `"${choice}"`).join(", ");
            const found =
                given.length === 0 ? "none is" : `${given.map((one) => `"${one}"`).join(" and ")} are`;
            return [
                {
                    path: at(`${property}[${index}]`),
                    message: `exactly one of ${names} is needed; ${found} given`,
                },
            ];
        }),
    );
}

function variableProblems(args: WasmProgramArgs, at: (property: string) => string): Problem[] {
    const names = items(args.envValueFrom).map((item) => item?.name);
    const env = typeof args.env === "object" && args.env !== null ? Object.keys(args.env) : [];
    const path = (index: number) => at(`envValueFrom[${index}].name`);
    const both = names.flatMap((name, index) =>
        typeof name === "string" && env.includes(name)
            ? [{ path: path(index), message: `${JSON.stringify(name)} is set by env, too; leave one out` }]
            : [],
    );
    return [...both, ...rules.duplicates(path, names, "leave one out")];
}

function volumeProblems(args: WasmProgramArgs, at: (property: string) => string): Problem[] {
    const volumes = items(args.volumes);
    const of = (property: "name" | "mountPath") =>
        rules.duplicates(
            (index) => at(`volumes[${index}].${property}`),
            volumes.map((volume) => volume?.[property]),
            "give each volume its own",
        );
    return [...of("name"), ...of("mountPath")];
}

/** What of a workload's volumes a node does not let it mount. */
export function hostPathProblems(
    args: WasmProgramArgs,
    node: { name: string; allowedHostPaths?: unknown },
    path = "",
): Problem[] {
    const allowed: unknown = node.allowedHostPaths ?? [];
    // Folders that are still to come may be the right ones.
    if (!Array.isArray(allowed) || allowed.some((folder) => typeof folder !== "string")) return [];
    return items(args.volumes).flatMap((volume, index) => {
        const hostPath = volume?.hostPath;
        if (typeof hostPath !== "string") return [];
        if ((allowed as string[]).some((folder) => isBelow(hostPath, folder))) return [];
        const folders = allowed.length === 0 ? "it allows none" : `it allows ${allowed.join(", ")}`;
        return [
            {
                path: path ? `${path}.volumes[${index}].hostPath` : `volumes[${index}].hostPath`,
                message:
                    `${JSON.stringify(hostPath)} is not below a folder that node "${node.name}" lets pods mount (${folders}); ` +
                    "add it to the node's allowedHostPaths",
            },
        ];
    });
}

function isBelow(path: string, folder: string): boolean {
    const plain = (text: string) => text.replace(/\/+/g, "/").replace(/\/$/, "");
    return plain(path) === plain(folder) || plain(path).startsWith(`${plain(folder)}/`);
}
