// A program of a node's in a container on the cluster's network. Docker starts it again, after a reboot too.
import { createHash } from "node:crypto";
import { StepError, messageOf } from "../../lib/errors";
import { currentClaim, describeOwner, isOf, nameOf } from "../../lib/claim";
import * as dockerLib from "../../lib/docker";
import { ownerLabel, removeContainers, type Container } from "../../lib/docker";
import { processOf, type ProcessId } from "../../lib/processes";
import { findProgram, needProgram } from "../../lib/programs/programs";
import { run, RunError } from "../../lib/run";
import { imageOf, placeInImage } from "./image";

/** Which program of a node. */
export type Part = "agent" | "approver";

/** Whose a container is: Docker may be other machines' and users' too, whose nodes have folders of the same names. */
export interface Whose {
    owner: string;
    /** The node's folder. */
    stateDir: string;
    /** Which of its programs. */
    part: Part;
}

/** Where a program runs that is no process of this host's own. */
export interface ContainerPlace extends Whose {
    /** Name of the container, by which others on its network find it. */
    name: string;
    /** Docker network: the cluster's. */
    network: string;
    /** What `docker create` is told beside this. No secret is in it. */
    options: string[];
    /** What krustlet-supervisor is told in there. Unset: nothing. */
    supervisorFlags?: string[];
}

/** A container that was started. */
export interface InContainer {
    name: string;
    id: string;
    network: string;
    /** IPv4 address on that network, as it was then: each start may bring another one. */
    address: string;
}

/** A folder or file of this host that is in the container too, at the same place. */
export interface Mount {
    path: string;
    readOnly: boolean;
}

/**
 * How long a program may take to end that was told to, in seconds: an agent gives its pods their grace (5 s), waits for them and signs its
 * node off. Docker gives it as long when it ends by itself what it has.
 */
export const endSeconds = 20;

const folderLabel = "krustlet-stack.node";
const partLabel = "krustlet-stack.part";

/** Where a part of a host's name must end: by a longer one no container can be asked for. */
const longestName = 63;

/** Name of a node's container. One that would be too long is cut, and made another one for each node by a hash. */
export function containerName(owner: string, nodeName: string, part: Part): string {
    const whole = `${nameOf(owner).replaceAll("/", "-")}-${nodeName}`;
    const end = `-${part}`;
    if (whole.length + end.length <= longestName) return whole + end;
    const hash = `-${createHash("sha256").update(whole).digest("hex").slice(0, 8)}`;
    const beginning = whole.slice(0, longestName - hash.length - end.length).replace(/[-._]+$/, "");
    return beginning + hash + end;
}

/**
 * What krustlet-supervisor has in a container whose routes are to be changed: it leaves the first to a process of its own, and gives up all
 * of them by the others, before it starts anything else.
 */
const rightsAtFirst = ["NET_ADMIN", "SETGID", "SETPCAP", "SETUID"];

/**
 * How far a container of a node's is shut in, and what of this host is in it. `podRoutes` is a file by which its program may ask for routes
 * in the container's own network.
 */
export async function shutIn(
    mounts: Mount[],
    hostname?: string,
    podRoutes?: string,
): Promise<Pick<ContainerPlace, "options" | "supervisorFlags">> {
    const { securityOptions } = await dockerLib.dockerHost();
    const has = (name: string) => securityOptions.some((one) => one.split(",").includes(`name=${name}`));
    // The node's folder is this user's. To a rootless daemon this user is root.
    const user = has("rootless") ? "0:0" : `${process.getuid?.()}:${process.getgid?.()}`;
    const options = [
        ...(hostname === undefined ? [] : [`--hostname=${hostname}`]),
        "--restart=unless-stopped",
        `--user=${podRoutes === undefined ? user : "0:0"}`,
        // Where the daemon has other users in containers (userns-remap), none of them has a right to that folder.
        ...(has("userns") ? ["--userns=host"] : []),
        "--read-only",
        "--tmpfs=/tmp:rw,noexec,nosuid,nodev,size=64m",
        "--cap-drop=ALL",
        ...(podRoutes === undefined ? [] : rightsAtFirst.map((right) => `--cap-add=${right}`)),
        "--security-opt=no-new-privileges",
        // Else what is mounted would have to be labelled anew, which is the host's.
        ...(has("selinux") ? ["--security-opt=label=disable"] : []),
        ...mounts.map(mountOption),
    ];
    return podRoutes === undefined
        ? { options }
        : { options, supervisorFlags: [`--user=${user}`, `--pod-routes=${podRoutes}`] };
}

/** A mount in Docker's words: values separated by commas, as CSV has them. */
export function mountOption({ path, readOnly }: Mount): string {
    const fields = ["type=bind", `source=${path}`, `target=${path}`, ...(readOnly ? ["readonly"] : [])];
    const quoted = (field: string) => (/[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field);
    return `--mount=${fields.map(quoted).join(",")}`;
}

/** A program as it is to be run. */
interface Program {
    /** What it is called in messages. */
    title: string;
    argv: string[];
    env: Record<string, string>;
    logFile: string;
}

/** Starts a program in a container, under krustlet-supervisor, which writes its log. */
export async function startContainer(
    place: ContainerPlace,
    { title, argv: [program, ...args], env, logFile }: Program,
): Promise<ProcessId & { container: InContainer }> {
    const supervisor = await needProgram("krustlet-supervisor", title);
    await makeRoom(place, title);
    const flags = [...(place.supervisorFlags ?? []), `--log-file=${logFile}`];
    const command = [placeInImage(supervisor), ...flags, "--", placeInImage(program), ...args];
    const id = await create(place, [program, supervisor], command, env);
    let found: Container | undefined;
    try {
        await run(["docker", "start", id], { timeoutSeconds: 60 });
        found = (await dockerLib.containers(`id=${id}`)).at(0);
    } catch (error) {
        await removeContainers([id]);
        throw new StepError(`${title}: container ${place.name} does not start: ${messageOf(error)}`, {
            cause: error,
        });
    }
    const pid = found?.State.Pid ?? 0;
    const { name, network } = place;
    const address = found === undefined ? "" : addressOn(found, network);
    // Docker's daemon may be in a machine of its own, whose processes are not to be seen from here.
    return { pid, startTime: processOf(pid)?.startTime ?? "", container: { name, id, network, address } };
}

async function create(
    { name, network, owner, stateDir, part, options }: ContainerPlace,
    programs: string[],
    command: string[],
    environment: Record<string, string>,
): Promise<string> {
    // This host's other programs are not there.
    const env = {
        ...noProxies(environment),
        ...Object.fromEntries(Object.entries(environment).filter(([name]) => name !== "PATH")),
    };
    const labels = { [ownerLabel]: owner, [folderLabel]: stateDir, [partLabel]: part };
    const make = async () => [
        ...["docker", "create", "--pull=never", `--name=${name}`, `--network=${network}`],
        ...Object.entries(labels).map(([label, value]) => `--label=${label}=${value}`),
        `--stop-timeout=${endSeconds}`,
        ...options,
        // Their values, which may be secret, are in the docker command's own environment.
        ...Object.keys(env).map((variable) => `--env=${variable}`),
        await imageOf(programs),
        ...command,
    ];
    for (let tries = 1; ; tries++) {
        try {
            return (await run(await make(), { env, timeoutSeconds: 60 })).stdout.trim();
        } catch (error) {
            // Another stack may have removed what was in no container's use.
            const isGone = error instanceof RunError && /no such image/i.test(error.result.stderr);
            if (!isGone || tries > 1) throw error;
        }
    }
}

/** What keeps the docker command from adding the proxies of its own configuration: a node asks by those of its environment. */
export function noProxies(environment: Record<string, string>): Record<string, string> {
    const all = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FTP_PROXY", "ALL_PROXY"];
    return Object.fromEntries(
        all.flatMap((name) => {
            const both = [name, name.toLowerCase()];
            // Whoever reads them may take the first one that is set, though it be empty.
            const given = both.map((one) => environment[one]).find((value) => value !== undefined) ?? "";
            return both.map((one) => [one, given]);
        }),
    );
}

/** A container of that name which a run that was ended left is removed; one of anybody else's is an error. */
async function makeRoom(place: ContainerPlace, title: string): Promise<void> {
    const { name, stateDir } = place;
    const found = await dockerLib.containerNamed(name);
    if (found === undefined) return;
    if (found.Config.Labels?.[folderLabel] === stateDir && isOwn(found, place))
        return removeContainers([found.Id]);
    throw new StepError(`${title}: ${nameTaken(name, found)}`);
}

function isOwn({ Config }: Pick<Container, "Config">, { owner }: Pick<Whose, "owner">): boolean {
    return isOf(Config.Labels?.[ownerLabel], owner);
}

/** What to say of a container that has a name which a node's is to have. */
export function nameTaken(name: string, { Config }: Pick<Container, "Config">): string {
    const whose = Config.Labels?.[ownerLabel];
    return (
        `a container "${name}" exists and ${whose ? `belongs to ${describeOwner(whose)}` : "was not made by this stack"}; ` +
        `give the node another name, or remove it with \`docker rm --force ${name}\` if nobody needs it`
    );
}

/** IPv4 address of a container on a network; empty where it has none, as when it has stopped. */
export function addressOn({ NetworkSettings }: Pick<Container, "NetworkSettings">, network: string): string {
    return NetworkSettings.Networks[network]?.IPAddress ?? "";
}

/** A container that runs as it was started, with its address now; undefined: it does not, or not by itself (Docker starts it again). */
export async function running({ id, network }: InContainer): Promise<{ address: string } | undefined> {
    const found = (await dockerLib.containers(`id=${id}`)).at(0);
    if (found === undefined || dockerLib.standsStill(found) || found.State.Restarting) return undefined;
    const address = addressOn(found, network);
    // One that was taken off its network is of no use there: it is started again.
    return address === "" ? undefined : { address };
}

/** The last that a container printed itself, which is what its program could not write into its log; empty where Docker has nothing. */
export async function printedBy({ id }: Pick<InContainer, "id">): Promise<string> {
    const options = { allowFailure: true, timeoutSeconds: 30 };
    const found = await run(["docker", "logs", "--tail=15", id], options).catch(() => undefined);
    return found?.exitCode === 0 ? `${found.stdout}${found.stderr}`.trimEnd() : "";
}

/** Whether there may be a container that nobody recorded. None is made before its daemon is known to the claim. */
async function mayBeInDocker(): Promise<boolean> {
    const claim = currentClaim();
    if (claim !== undefined && (await dockerLib.daemonOf(claim)) === undefined) return false;
    return (await findProgram("docker")) !== undefined;
}

/** Ends and removes the containers of a node's program. `isKnown`: there is one, so that Docker must answer. */
export async function endContainers(
    whose: Whose,
    isKnown: boolean,
    note: (line: string) => void,
): Promise<void> {
    if (!isKnown && !(await mayBeInDocker())) return;
    const { stateDir, part } = whose;
    const filters = [`label=${folderLabel}=${stateDir}`, `label=${partLabel}=${part}`];
    const found = await dockerLib.containers(...filters).catch((error: unknown): Container[] => {
        if (isKnown) throw error;
        return [];
    });
    const own = found.filter((one) => isOwn(one, whose));
    await Promise.all(
        own.map(async ({ Id, Name }) => {
            // In its own time: pods have their grace. Once more where that was cut off by a signal to this step, or Docker was busy.
            const argv = ["docker", "stop", "-t", String(endSeconds), Id];
            const stop = () => run(argv, { timeoutSeconds: 60, allowFailure: true });
            if ((await stop()).exitCode !== 0) await stop();
            await removeContainers([Id]);
            note(`${part} in container ${Name.slice(1)} has ended`);
        }),
    );
}
