import { StepError, isMissing } from "./errors";
import { run, RunError } from "./run";

/** What the Docker daemon tells about its host. */
export interface DockerHost {
    serverVersion: string;
    /** `1` or `2` */
    cgroupVersion: string;
    /** Hostname of the daemon's machine. */
    name: string;
    kernelVersion: string;
}

/** A container as `docker inspect` shows it: the parts that decide whose it is and how it fares. */
export interface Container {
    Id: string;
    Name: string;
    Config: { Image: string; Labels: Record<string, string> | null };
    State: { Running: boolean };
    Mounts: { Type: string; Name?: string; Destination: string }[];
    NetworkSettings: {
        Networks: Record<string, { IPAddress?: string; Aliases?: string[] | null }>;
        Ports: Record<string, { HostPort: string }[] | null> | null;
    };
}

/** A Docker network as `docker network inspect` shows it. */
export interface Network {
    Name: string;
    IPAM: { Config: { Subnet?: string; Gateway?: string }[] | null };
}

/** A Docker volume as `docker volume inspect` shows it. */
export interface Volume {
    Name: string;
    Labels: Record<string, string> | null;
}

/** The daemon's host; an error says what to do when no daemon answers. */
export async function dockerHost(): Promise<DockerHost> {
    let stdout: string;
    try {
        ({ stdout } = await run(["docker", "info", "--format", "{{json .}}"], { timeoutSeconds: 15 }));
    } catch (error) {
        throw isMissing(error) ? error : new StepError(dockerDown(error), { cause: error });
    }
    const info = JSON.parse(stdout) as Partial<
        Record<"ServerVersion" | "CgroupVersion" | "Name" | "KernelVersion", string> &
            Record<"ServerErrors", string[] | null>
    >;
    if (!info.ServerVersion) throw new StepError(dockerDown(info.ServerErrors?.join("; ") ?? "no answer"));
    return {
        serverVersion: info.ServerVersion,
        cgroupVersion: info.CgroupVersion ?? "",
        name: info.Name ?? "",
        kernelVersion: info.KernelVersion ?? "",
    };
}

function dockerDown(cause: unknown): string {
    const output = cause instanceof RunError ? cause.result.stderr.trim().split("\n").pop() : String(cause);
    return `Docker: no daemon answers (${output}); start it, or set DOCKER_HOST to one, and make sure that \`docker info\` answers`;
}

/** Every container that `filters` (docker's own, such as `label=a=b`) select, running or not. */
export async function containers(...filters: string[]): Promise<Container[]> {
    const argv = [
        "docker",
        "ps",
        "--all",
        "--quiet",
        "--no-trunc",
        ...filters.map((filter) => `--filter=${filter}`),
    ];
    const ids = (await run(argv, { timeoutSeconds: 30 })).stdout.split("\n").filter(Boolean);
    if (ids.length === 0) return [];
    // A container that ends between the two calls makes inspect fail but is printed no more: it is gone.
    const inspected = await run(["docker", "inspect", "--type=container", ...ids], {
        timeoutSeconds: 30,
        allowFailure: true,
    });
    return JSON.parse(inspected.stdout) as Container[];
}

/** A volume by its exact name; undefined when there is none. */
export async function volume(name: string): Promise<Volume | undefined> {
    const found = await run(["docker", "volume", "inspect", name], {
        timeoutSeconds: 30,
        allowFailure: true,
    });
    return found.exitCode === 0 ? (JSON.parse(found.stdout) as Volume[])[0] : undefined;
}

/** A network by its exact name; undefined when there is none. */
export async function network(name: string): Promise<Network | undefined> {
    const found = await run(["docker", "network", "inspect", name], {
        timeoutSeconds: 30,
        allowFailure: true,
    });
    return found.exitCode === 0 ? (JSON.parse(found.stdout) as Network[])[0] : undefined;
}

/**
 * IPv4 address of the host on a network. kind's network has an IPv6 part too, which may come first; a gateway that Docker
 * chose by itself is missing in some versions and is the subnet's first address.
 */
export function gatewayOf({ Name, IPAM }: Network): string {
    for (const { Subnet = "", Gateway = "" } of IPAM.Config ?? []) {
        if (/^[\d.]+$/.test(Gateway)) return Gateway;
        const first = Gateway === "" && /^(\d+\.\d+\.\d+)\.(\d+)\/\d+$/.exec(Subnet);
        if (first) return `${first[1]}.${Number(first[2]) + 1}`;
    }
    throw new StepError(
        `Docker: network ${Name} has no IPv4 address of the host; remove the network, and kind makes it anew`,
    );
}
