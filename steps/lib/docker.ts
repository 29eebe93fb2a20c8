import { mkdir } from "node:fs/promises";
import { join } from "node:path";
import type { Claim } from "../contract";
import { claimFolderOf, currentClaim } from "./claim";
import { StepError, isMissing } from "./errors";
import { readOptional, writePrivate } from "./files";
import { run, RunError } from "./run";

/** What the Docker daemon tells about its host. */
export interface DockerHost {
    /** Another daemon has another one. */
    id: string;
    serverVersion: string;
    /** `1` or `2` */
    cgroupVersion: string;
    /** Hostname of the daemon's machine. */
    name: string;
    kernelVersion: string;
    /** What it confines containers by, and whether it has root's rights: `name=seccomp,profile=default`, `name=rootless`. */
    securityOptions: string[];
}

/** Label of the containers that the stack makes itself; its value is the owner. */
export const ownerLabel = "krustlet-stack.owner";

/** A container as `docker inspect` shows it: the parts that decide whose it is and how it fares. */
export interface Container {
    Id: string;
    Name: string;
    Config: { Image: string; Labels: Record<string, string> | null };
    /** A container that is paused runs, too; so does one that Docker is about to start again. */
    State: {
        Running: boolean;
        Paused?: boolean;
        Restarting?: boolean;
        FinishedAt?: string;
        ExitCode?: number;
        /** Of its first process, on the daemon's machine; 0 where there is none. */
        Pid?: number;
    };
    /** `NetworkMode`: name of the network that it was made on; it may have been connected to others since. */
    HostConfig: { NetworkMode: string };
    Mounts: { Type: string; Name?: string; Destination: string }[];
    NetworkSettings: {
        Networks: Record<string, { IPAddress?: string; Aliases?: string[] | null }>;
        Ports: Record<string, { HostPort: string }[] | null> | null;
    };
}

/** A Docker network as `docker network inspect` shows it. */
export interface Network {
    Name: string;
    Options: Record<string, string> | null;
    Labels: Record<string, string> | null;
    IPAM: { Config: { Subnet?: string; Gateway?: string }[] | null };
}

/** A Docker volume as `docker volume inspect` shows it. */
export interface Volume {
    Name: string;
    Labels: Record<string, string> | null;
}

/** The daemon's host; an error says what to do when no daemon answers. */
export async function dockerHost(): Promise<DockerHost> {
    const info = await dockerInfo();
    if (!info.ServerVersion) throw new StepError(dockerDown(info.ServerErrors?.join("; ") ?? "no answer"));
    await checkDaemon(info.ID ?? "");
    return {
        id: info.ID ?? "",
        serverVersion: info.ServerVersion,
        cgroupVersion: info.CgroupVersion ?? "",
        name: info.Name ?? "",
        kernelVersion: info.KernelVersion ?? "",
        securityOptions: info.SecurityOptions ?? [],
    };
}

/** Remembers which daemon a stack's containers are in, and fails where another one answers: they are not there, and not gone. */
async function checkDaemon(id: string): Promise<void> {
    const claim = currentClaim();
    if (claim === undefined || id === "") return;
    const known = await daemonOf(claim);
    if (known === undefined) {
        await mkdir(claimFolderOf(claim), { recursive: true, mode: 0o700 });
        await writePrivate(daemonFile(claim), `${id}\n`);
    }
    if (known === undefined || known === id) return;
    throw new StepError(
        `Docker: this stack (${claim.owner}) is in the daemon with the id ${known}, and the one with the id ${id} answers; set DOCKER_HOST, or ` +
            "`docker context use`, to the first one (`docker info` shows the id)",
    );
}

/** The claim whose daemon has been seen to be the one that answers: which one a process speaks to does not change. */
let seen: { folder: string; passed: Promise<DockerHost> } | undefined;

/**
 * Fails where another daemon answers than the one that a stack's containers are known to be in, or none: what that one does not have is not
 * gone. Every look at what Docker has comes after this.
 */
export async function needOwnDaemon(): Promise<void> {
    const claim = currentClaim();
    if (claim !== undefined && (await daemonOf(claim)) !== undefined) await seeOwnDaemon(claim);
}

/** As `dockerHost`, and what comes after it does not ask once more which daemon this is. */
export function needDaemon(): Promise<DockerHost> {
    const claim = currentClaim();
    return claim === undefined ? dockerHost() : seeOwnDaemon(claim);
}

function seeOwnDaemon({ folder }: Pick<Claim, "folder">): Promise<DockerHost> {
    if (seen?.folder !== folder) {
        const passed = dockerHost();
        seen = { folder, passed };
        passed.catch(() => {
            seen = undefined;
        });
    }
    return seen.passed;
}

/** Id of the daemon that a stack's containers are in; undefined before one was needed. */
export async function daemonOf(claim: Pick<Claim, "folder">): Promise<string | undefined> {
    return (await readOptional(daemonFile(claim)))?.trim();
}

/** Holds the id of the daemon that a stack's containers are in; not there before one was needed. */
export function daemonFile(claim: Pick<Claim, "folder">): string {
    return join(claimFolderOf(claim), "docker");
}

type DockerInfo = Partial<
    Record<"ID" | "ServerVersion" | "CgroupVersion" | "Name" | "KernelVersion", string> &
        Record<"ServerErrors" | "SecurityOptions", string[] | null>
>;

async function dockerInfo(): Promise<DockerInfo> {
    let printed: { stdout: string; stderr: string };
    try {
        printed = await run(["docker", "info", "--format", "{{json .}}"], { timeoutSeconds: 15 });
    } catch (error) {
        if (error instanceof RunError && isPodman(error.result.stderr)) throw new StepError(podman);
        throw isMissing(error) ? error : new StepError(dockerDown(error), { cause: error });
    }
    return infoIn(printed);
}

const podman =
    "Docker: the docker command is Podman's stand-in, which kind clusters of this stack do not run on; install Docker " +
    "(https://docs.docker.com/engine/install/) and put its docker command first on PATH";

/** Podman's stand-in says on standard error what it is; its own words also name it where it fails. */
function isPodman(stderr: string): boolean {
    return /\bpodman\b/i.test(stderr);
}

/** What `docker info --format {{json .}}` tells. */
export function infoIn({ stdout, stderr }: { stdout: string; stderr: string }): DockerInfo {
    let info: DockerInfo & { host?: unknown; store?: unknown };
    try {
        info = JSON.parse(stdout) as typeof info;
    } catch {
        const first = stdout.trim().split("\n")[0].slice(0, 200);
        throw new StepError(
            isPodman(stdout)
                ? podman
                : `Docker: \`docker info --format '{{json .}}'\` must print JSON alone, and printed: ${first || "nothing"}; make the ` +
                      "docker command that is first on PATH print nothing of its own (a warning belongs on standard error)",
        );
    }
    // These are the fields of Podman's own.
    if (!info.ServerVersion && info.host !== undefined && info.store !== undefined)
        throw new StepError(podman);
    if (isPodman(stderr) && !info.ServerVersion) throw new StepError(podman);
    return info;
}

/** The endpoint that the docker command speaks to by its current context; undefined where the environment names one. */
export async function contextEndpoint(
    environment: NodeJS.ProcessEnv = process.env,
): Promise<{ name: string; host: string } | undefined> {
    // Both the command and Pulumi's plugin go by these.
    if (environment.DOCKER_HOST || environment.DOCKER_CONTEXT) return undefined;
    const format = '{"name":{{json .Name}},"host":{{json .Endpoints.docker.Host}}}';
    const found = await run(["docker", "context", "inspect", "--format", format], {
        timeoutSeconds: 15,
        allowFailure: true,
    });
    return found.exitCode === 0 ? (JSON.parse(found.stdout) as { name: string; host: string }) : undefined;
}

/** Id of the daemon at an endpoint; undefined when none answers. */
export async function daemonAt(host: string): Promise<string | undefined> {
    const found = await run(["docker", "info", "--format", "{{.ID}}"], {
        env: { DOCKER_HOST: host },
        timeoutSeconds: 15,
        allowFailure: true,
    });
    return found.exitCode === 0 ? found.stdout.trim() : undefined;
}

function dockerDown(cause: unknown): string {
    const output = cause instanceof RunError ? cause.result.stderr.trim().split("\n").pop() : String(cause);
    return `Docker: no daemon answers (${output}); start it, or set DOCKER_HOST to one, and make sure that \`docker info\` answers`;
}

/** Every container that `filters` (docker's own, such as `label=a=b`) select, running or not. */
export async function containers(...filters: string[]): Promise<Container[]> {
    await needOwnDaemon();
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
    const inspect = ["docker", "inspect", "--type=container", ...ids];
    const inspected = await run(inspect, { timeoutSeconds: 30, allowFailure: true });
    // A container that ends between the two calls makes inspect fail but is printed no more: it is gone. Whatever else fails prints an empty
    // list, too, and says nothing of any container.
    const faults = inspected.stderr
        .split("\n")
        .filter((line) => line.trim() && !/no such (object|container)/i.test(line));
    if (inspected.exitCode !== 0 && (faults.length > 0 || inspected.stderr.trim() === ""))
        throw new RunError(inspect, inspected, `exit code ${inspected.exitCode}`);
    return JSON.parse(inspected.stdout) as Container[];
}

/** The container of exactly that name; undefined when there is none. */
export async function containerNamed(name: string): Promise<Container | undefined> {
    // Docker takes the name for a regular expression.
    const pattern = name.replace(/[^A-Za-z0-9_-]/g, "\\$&");
    const found = await containers(`name=^/?${pattern}$`);
    return found.find(({ Name }) => Name === `/${name}`);
}

/** Whether a container does nothing: it has stopped, or is paused. */
export function standsStill({ State }: Pick<Container, "State">): boolean {
    return !State.Running || State.Paused === true;
}

/** Lets a container that stands still go on. */
export async function startAgain({ Id, State }: Pick<Container, "Id" | "State">): Promise<void> {
    await run(["docker", State.Paused ? "unpause" : "start", Id], { timeoutSeconds: 60 });
}

/** The containers on the network of exactly that name, running or not. */
export async function containersOn(network: string): Promise<Container[]> {
    const found = await containers(`network=${network}`);
    return found.filter(({ NetworkSettings }) => network in NetworkSettings.Networks);
}

/** A volume by its exact name; undefined when there is none. */
export function volume(name: string): Promise<Volume | undefined> {
    return inspected<Volume>("volume", name);
}

/** A network by its exact name; undefined when there is none. */
export function network(name: string): Promise<Network | undefined> {
    return inspected<Network>("network", name);
}

async function inspected<T>(kind: "volume" | "network", name: string): Promise<T | undefined> {
    await needOwnDaemon();
    const argv = ["docker", kind, "inspect", name];
    const found = await run(argv, { timeoutSeconds: 30, allowFailure: true });
    if (found.exitCode === 0) return (JSON.parse(found.stdout) as T[])[0];
    if (/no such (volume|network)|(volume|network) .+ not found/i.test(found.stderr)) return undefined;
    throw new RunError(argv, found, `exit code ${found.exitCode}`);
}

/**
 * IPv4 address of the host on a network. kind's network has an IPv6 part too, which may come first; a gateway that Docker
 * chose by itself is missing in some versions and is the subnet's first address.
 */
export function gatewayOf({ Name, IPAM }: Pick<Network, "Name" | "IPAM">): string {
    for (const { Subnet = "", Gateway = "" } of IPAM.Config ?? []) {
        if (/^[\d.]+$/.test(Gateway)) return Gateway;
        const first = Gateway === "" && /^(\d+\.\d+\.\d+)\.(\d+)\/\d+$/.exec(Subnet);
        if (first) return `${first[1]}.${Number(first[2]) + 1}`;
    }
    throw new StepError(
        `Docker: network ${Name} has no IPv4 address of the host; remove the network, and kind makes it anew`,
    );
}

/** Removes containers, running or not, with their anonymous volumes. */
export async function removeContainers(ids: string[]): Promise<void> {
    if (ids.length > 0) await run(["docker", "rm", "--force", "--volumes", ...ids], { timeoutSeconds: 120 });
}
