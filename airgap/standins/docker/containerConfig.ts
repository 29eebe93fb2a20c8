// A container's arguments as the Engine API takes them. Pure.
import type { Props, Value } from "../lib/values";
import { at, isProps, listAt, numberAt, textAt } from "../lib/values";
import { labelsToMap } from "./labels";

/** The body of POST /containers/create. */
export function createBody(args: Props): Props {
    const { Binds, Volumes, VolumesFrom } = volumes(args);
    const { ExposedPorts, PortBindings } = ports(args);
    return withoutUndefined({
        Image: textAt(args, "image"),
        Hostname: args.hostname,
        Domainname: args.domainname,
        User: args.user,
        WorkingDir: args.workingDir,
        Tty: args.tty,
        OpenStdin: args.stdinOpen,
        Env: args.envs,
        Cmd: args.command,
        Entrypoint: args.entrypoints,
        StopSignal: args.stopSignal,
        StopTimeout: args.stopTimeout,
        Labels: labelsToMap(args),
        Healthcheck: healthcheck(args.healthcheck),
        ExposedPorts,
        Volumes,
        HostConfig: withoutUndefined({
            ...limits(args),
            Binds,
            VolumesFrom,
            PortBindings,
            Mounts: listAt(args, "mounts").map((mount) => ({
                Type: textAt(mount, "type"),
                Source: textAt(mount, "source"),
                Target: textAt(mount, "target"),
                ReadOnly: at(mount, "readOnly") === true,
            })),
            Tmpfs: args.tmpfs,
            Privileged: args.privileged,
            PublishAllPorts: args.publishAllPorts,
            RestartPolicy: restartPolicy(args),
            AutoRemove: args.rm,
            ReadonlyRootfs: args.readOnly,
            Init: args.init === true,
            Runtime: args.runtime,
            NetworkMode: args.networkMode,
            ExtraHosts: listAt(args, "hosts").map((host) => `${textAt(host, "host")}:${textAt(host, "ip")}`),
            Dns: args.dns,
            DnsOptions: args.dnsOpts,
            DnsSearch: args.dnsSearches,
            CapAdd: at(args, "capabilities", "adds"),
            CapDrop: at(args, "capabilities", "drops"),
            SecurityOpt: args.securityOpts,
            GroupAdd: args.groupAdds,
            Sysctls: args.sysctls,
            IpcMode: args.ipcMode,
            PidMode: args.pidMode,
            UsernsMode: args.usernsMode,
            ShmSize: megabytes(args.shmSize),
            LogConfig: withoutUndefined({ Type: args.logDriver ?? "", Config: args.logOpts }),
            NanoCpus: args.cpus === undefined ? undefined : Math.round(Number(args.cpus) * 1e9),
        }),
    });
}

/** What POST /containers/{id}/update takes: the arguments that change in place. */
export function updateBody(args: Props): Props {
    return withoutUndefined({ ...limits(args), RestartPolicy: restartPolicy(args) });
}

function limits(args: Props): Record<string, Value | undefined> {
    return {
        Memory: megabytes(args.memory),
        MemoryReservation: megabytes(args.memoryReservation),
        MemorySwap: args.memorySwap === -1 ? -1 : megabytes(args.memorySwap),
        CpuShares: args.cpuShares,
        CpusetCpus: args.cpuSet,
    };
}

function restartPolicy(args: Props): Props {
    return { Name: textAt(args, "restart") || "no", MaximumRetryCount: numberAt(args, "maxRetryCount") ?? 0 };
}

function megabytes(value: Value | undefined): number | undefined {
    return typeof value === "number" ? value * 1024 * 1024 : undefined;
}

function ports(args: Props): { ExposedPorts: Props; PortBindings: Props } {
    const ExposedPorts: Props = {};
    const PortBindings: Record<string, Value[]> = {};
    for (const port of listAt(args, "ports")) {
        const key = `${numberAt(port, "internal")}/${textAt(port, "protocol") || "tcp"}`;
        const external = numberAt(port, "external");
        ExposedPorts[key] = {};
        PortBindings[key] ??= [];
        // Without an external port Docker takes a free one.
        PortBindings[key].push({
            HostIp: textAt(port, "ip"),
            HostPort: external === undefined ? "" : String(external),
        });
    }
    return { ExposedPorts, PortBindings };
}

function volumes(args: Props): { Binds: string[]; Volumes: Props; VolumesFrom: string[] } {
    const Binds: string[] = [];
    const Volumes: Props = {};
    const VolumesFrom: string[] = [];
    for (const entry of listAt(args, "volumes")) {
        const from = textAt(entry, "fromContainer");
        const target = textAt(entry, "containerPath");
        const source = textAt(entry, "volumeName") || textAt(entry, "hostPath");
        const label = textAt(entry, "selinuxRelabel");
        if ((from === "") === (target === "")) {
            throw new Error("an entry of volumes needs either containerPath or fromContainer");
        }
        if (from !== "") {
            VolumesFrom.push(from);
            continue;
        }
        Volumes[target] = {};
        if (source !== "") {
            const mode = at(entry, "readOnly") === true ? "ro" : "rw";
            Binds.push(`${source}:${target}:${mode}${label === "" ? "" : `,${label}`}`);
        }
    }
    return { Binds, Volumes, VolumesFrom };
}

function healthcheck(value: Value | undefined): Props | undefined {
    if (!isProps(value)) {
        return undefined;
    }
    return withoutUndefined({
        Test: value.tests,
        Interval: nanoseconds(textAt(value, "interval")),
        Timeout: nanoseconds(textAt(value, "timeout")),
        StartPeriod: nanoseconds(textAt(value, "startPeriod")),
        Retries: value.retries,
    });
}

const units: Record<string, number> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 6e10, h: 3.6e12 };

/** A duration as Go writes it (1m30s, 500ms) in nanoseconds. */
export function nanoseconds(duration: string): number {
    let total = 0;
    for (const [, number, unit] of duration.matchAll(/([\d.]+)(ns|us|µs|ms|s|m|h)/g)) {
        total += Number(number) * units[unit];
    }
    return Math.round(total);
}

/** Nanoseconds as Go writes a duration. */
export function duration(value: number): string {
    if (value === 0) {
        return "0s";
    }
    if (value < 1e9) {
        const unit = value < 1e3 ? "ns" : value < 1e6 ? "µs" : "ms";
        return `${value / units[unit]}${unit}`;
    }
    const hours = Math.floor(value / units.h);
    const minutes = Math.floor((value % units.h) / units.m);
    const seconds = (value % units.m) / units.s;
    return `${hours > 0 ? `${hours}h` : ""}${hours > 0 || minutes > 0 ? `${minutes}m` : ""}${seconds}s`;
}

/** The settings of one network of networksAdvanced, for POST /networks/{id}/connect. */
export function endpoint(network: Value): Props {
    const addresses = withoutUndefined({
        IPv4Address: at(network, "ipv4Address"),
        IPv6Address: at(network, "ipv6Address"),
        LinkLocalIPs: at(network, "linkLocalIps"),
    });
    return withoutUndefined({ Aliases: at(network, "aliases"), IPAMConfig: addresses });
}

function withoutUndefined(record: Record<string, Value | undefined>): Props {
    return Object.fromEntries(
        Object.entries(record).filter((entry): entry is [string, Value] => entry[1] !== undefined),
    );
}
