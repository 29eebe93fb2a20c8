import { WorkloadKind } from "../../steps/workload/contract";
import * as rules from "../rules";
import {
    boolean,
    integer,
    list,
    object,
    plain,
    oneOf,
    required,
    type Problem,
    type Rule,
    type Rules,
} from "../validation";
import { origin } from "./origin";
import {
    ConcurrencyPolicy,
    JobRestartPolicy,
    RestartPolicy,
    type WasmAnyProgramArgs,
    type WasmEmptyDirArgs,
    type WasmEnvFromArgs,
    type WasmEnvValueFromArgs,
    type WasmLimitsArgs,
    type WasmVolumeArgs,
} from "./programArgs";
import { ALLOWED_DOMAINS, APP_LABEL, MAX_REQUESTS, WAIT_FOR } from "./podTemplate";
import { schedule, timeZone } from "./schedule";
import { rollingUpdate, servingProblems, servingRules } from "./serving/servingRules";

/** Arguments that only some kinds have. */
const onlyFor: Partial<Record<keyof WasmAnyProgramArgs, readonly WorkloadKind[]>> = {
    replicas: ["Deployment"],
    autoscaled: ["Deployment"],
    rollingUpdate: ["Deployment"],
    // One that answers requests does not come to an end.
    ports: ["Pod", "Deployment", "DaemonSet"],
    probes: ["Pod", "Deployment", "DaemonSet"],
    service: ["Pod", "Deployment", "DaemonSet"],
    podAddresses: ["Pod", "Deployment", "DaemonSet"],
    schedule: ["CronJob"],
    timeZone: ["CronJob"],
    concurrencyPolicy: ["CronJob"],
    suspend: ["CronJob"],
    backoffLimit: ["Job", "CronJob"],
    activeDeadlineSeconds: ["Pod", "Job", "CronJob"],
    // Of the others Kubernetes takes "Always" alone.
    restartPolicy: ["Pod", "Job", "CronJob"],
    // A cron job is there when it is made.
    wait: ["Pod", "Deployment", "Job", "DaemonSet"],
    waitTimeoutSeconds: ["Pod", "Deployment", "Job", "DaemonSet"],
};

type ProgramArgs = Omit<WasmAnyProgramArgs, "kind">;

/** The kinds of workloads. */
export const kind = oneOf(Object.values(WorkloadKind));

/** A rule for each argument of any kind. */
const programRules: Rules<ProgramArgs> = {
    namespace: rules.dnsLabel,
    labels: besideOurs(rules.labels, {
        [APP_LABEL]:
            "the pods are found by it; it is the component's appName, in a stack the workload's name",
    }),
    annotations: besideOurs(rules.annotations, {
        [ALLOWED_DOMAINS]: "give allowedDomains",
        [MAX_REQUESTS]: "give maxConcurrentRequests",
        [WAIT_FOR]: "give wait and waitTimeoutSeconds",
    }),
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
    maxConcurrentRequests: rules.concurrentRequests,
    imagePullSecrets: list(rules.objectName),
    ...servingRules,
    replicas: integer(0, 1000),
    autoscaled: boolean,
    rollingUpdate,
    schedule,
    timeZone,
    concurrencyPolicy: oneOf(Object.values(ConcurrencyPolicy)),
    suspend: boolean,
    backoffLimit: integer(0, 1000),
    activeDeadlineSeconds: integer(1, 31_536_000),
    restartPolicy: oneOf(Object.values(RestartPolicy)),
    // 0 takes the pod out of the API server while the node still runs it.
    terminationGracePeriodSeconds: integer(1, 3600),
    wait: boolean,
    waitTimeoutSeconds: integer(1, 86_400),
};

/** The rules for a program of a kind. What only others have is refused by name; without a kind, nothing is. */
export function rulesOf(kind: WorkloadKind | undefined): Rules<ProgramArgs> {
    if (kind === undefined) return programRules;
    const foreign = Object.entries(onlyFor).filter(([, kinds]) => !kinds.includes(kind));
    return {
        ...programRules,
        ...(kind === "CronJob" && { schedule: required(schedule, '"0 * * * *", each hour') }),
        ...(kind !== "Pod" && { restartPolicy: oneOf(Object.values(JobRestartPolicy)) }),
        ...(Object.fromEntries(
            foreign.map(([property, kinds]) => [property, onlyIn(kinds, kind)]),
        ) as object),
    };
}

/** The kind of a program, where it is one. */
export function kindOf({ kind = "Pod" }: { kind?: WorkloadKind }): WorkloadKind | undefined {
    return Object.values(WorkloadKind).find((one) => one === kind);
}

function onlyIn(kinds: readonly WorkloadKind[], kind: WorkloadKind): Rule<never> {
    const message = `only a ${kinds.join(", ")} has it, not a ${kind}`;
    return (value, path) => (value === undefined ? [] : [plain(path, message)]);
}

/** A map beside the names that are a component's own. `ours` says what to do instead. */
function besideOurs<T>(next: Rule<T>, ours: Record<string, string>): Rule<T> {
    return (value, path) => [
        ...next(value, path),
        ...Object.keys(ours)
            .filter((name) => typeof value === "object" && value !== null && name in value)
            .map((name) => plain(`${path}.${name}`, `is the component's own: ${ours[name]}`)),
    ];
}

/** The arguments of a program among those of something that has more, but for its kind. */
export function programOf(args: ProgramArgs): ProgramArgs {
    const names = Object.keys(programRules) as (keyof ProgramArgs)[];
    const given = names.filter((name) => args[name] !== undefined).map((name) => [name, args[name]]);
    return Object.fromEntries(given) as ProgramArgs;
}

/** What is wrong with arguments that do not go together. */
export function programProblems(args: WasmAnyProgramArgs, path = ""): Problem[] {
    const at = (property: string) => (path ? `${path}.${property}` : property);
    const problems: Problem[] = [];
    if (args.wait === false && args.waitTimeoutSeconds !== undefined)
        problems.push(plain(at("waitTimeoutSeconds"), "is for a workload that is waited for; wait is false"));
    if (args.autoscaled === true && args.replicas !== undefined) {
        const message = "is the autoscaler's to say (minReplicas, maxReplicas); leave it out, or autoscaled";
        problems.push(plain(at("replicas"), message));
    }
    return [
        ...problems,
        ...sourceProblems(args, at),
        ...servingProblems(args, at),
        ...variableProblems(args, at),
        ...volumeProblems(args, at),
    ];
}

/** Each of these has exactly one source. */
const sources = {
    envFrom: ["configMap", "secret"],
    envValueFrom: ["configMap", "secret"],
    volumes: ["configMap", "secret", "emptyDir", "hostPath"],
} as const;

function sourceProblems(args: WasmAnyProgramArgs, at: (property: string) => string): Problem[] {
    return (Object.keys(sources) as (keyof typeof sources)[]).flatMap((property) =>
        rules
            .items<object>(args[property])
            .flatMap((item, index) =>
                item === undefined
                    ? []
                    : rules.exactlyOne(item, sources[property], at(`${property}[${index}]`), "is needed"),
            ),
    );
}

function variableProblems(args: WasmAnyProgramArgs, at: (property: string) => string): Problem[] {
    const names = rules.items(args.envValueFrom).map((item) => item?.name);
    const env = typeof args.env === "object" && args.env !== null ? Object.keys(args.env) : [];
    const path = (index: number) => at(`envValueFrom[${index}].name`);
    const both = names.flatMap((name, index) =>
        typeof name === "string" && env.includes(name)
            ? [{ path: path(index), message: `${JSON.stringify(name)} is set by env, too; leave one out` }]
            : [],
    );
    return [...both, ...rules.duplicates(path, names, "leave one out")];
}

function volumeProblems(args: WasmAnyProgramArgs, at: (property: string) => string): Problem[] {
    const volumes = rules.items(args.volumes);
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
    args: WasmAnyProgramArgs,
    node: { name: string; allowedHostPaths?: unknown },
    path = "",
): Problem[] {
    const allowed: unknown = node.allowedHostPaths ?? [];
    // Folders that are still to come may be the right ones.
    if (!Array.isArray(allowed) || allowed.some((folder) => typeof folder !== "string")) return [];
    return rules.items(args.volumes).flatMap((volume, index) => {
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
