import { createHash } from "node:crypto";
import { dirname, join, resolve } from "node:path";
import type { NodeInput } from "../../contract";
import type { ContainerPlace } from "../daemon/container";
import {
    endProgram,
    logOf,
    readRecordOf,
    seemsToRun,
    writeRecordTo,
    type ProgramRecord,
} from "../daemon/daemon";
import { StepError } from "../../lib/errors";
import { expandHome } from "../../lib/files";
import { isOf } from "../../lib/claim";
import { processesThat, processesWith, type ProcessId } from "../../lib/processes";
import { ownerOf } from "../folder";
import {
    bootstrapGroup,
    certificateSeconds,
    drainSeconds,
    egressRanges,
    boolean,
    hostPaths,
    ipv4,
    kubeconfigPath,
    labels,
    maxPods,
    nodeName,
    object,
    optional,
    otlpEndpoint,
    owner,
    port,
    registries,
    registryMirrors,
    renewalPercent,
    share,
    text,
    tokenSeconds,
} from "../../lib/schema";

export { logOf } from "../daemon/daemon";

/** Input of launchNode and stopNode. */
export const nodeInput = object<NodeInput>({
    kubeconfigFile: text,
    owner,
    program: text,
    nodeName,
    nodeIp: optional(ipv4),
    network: optional(text),
    port,
    maxPods,
    labels,
    insecureRegistries: registries,
    registryMirrors: optional(registryMirrors),
    trustedCaFile: optional(text),
    dockerConfigFile: optional(text),
    allowedHostPaths: optional(hostPaths),
    allowedEgress: optional(egressRanges),
    podAddresses: optional(boolean),
    wasi03: optional(boolean),
    otlpEndpoint: optional(otlpEndpoint),
    otlpSamplingRatio: optional(share),
    stateDir: kubeconfigPath,
    bootstrapFile: text,
    bootstrapGroup,
    tokenTtlSeconds: tokenSeconds,
    certificateDurationSeconds: optional(certificateSeconds),
    certificateRenewalPercent: optional(renewalPercent),
    drainTimeoutSeconds: optional(drainSeconds),
    because: optional(text),
});

/** Where everything of a node is. */
export interface AgentFiles {
    stateDir: string;
    dataDir: string;
    logFile: string;
    pidFile: string;
    kubeconfigFile: string;
    /** Public keys of the certificate requests, as the agent hands them over. */
    publicKeys: { client: string; serving: string };
    servingCertificate: string;
    /** By this it asks for the routes of its pods' addresses. */
    podRoutes: string;
}

export function agentFiles(stateDir: string): AgentFiles {
    const folder = expandHome(stateDir);
    const dataDir = join(folder, "data");
    return {
        stateDir: folder,
        dataDir,
        logFile: join(folder, "agent.log"),
        pidFile: join(folder, "agent.pid"),
        kubeconfigFile: join(folder, "kubeconfig"),
        publicKeys: {
            client: join(dataDir, "keys", "client.pub"),
            serving: join(dataDir, "keys", "serving.pub"),
        },
        servingCertificate: join(dataDir, "config", "krustlet.crt"),
        podRoutes: join(dataDir, "pod-routes"),
    };
}

/** By this argument an agent is known to be of a folder. */
const dataDirFlag = "--data-dir=";

/** The agent's command line; `podRoutes` is the file of AgentFiles where its pods have addresses of their own. */
export function agentArgv(program: string, input: NodeInput, podRoutes?: string): string[] {
    const pairs = (map: Record<string, string>) =>
        Object.entries(map).map(([key, value]) => `${key}=${value}`);
    const labels = pairs(input.labels);
    const mirrors = pairs(input.registryMirrors ?? {});
    return [
        program,
        `--node-name=${input.nodeName}`,
        `--hostname=${input.nodeName}`,
        // In a container it finds its own. The port serves logs: it is reached over the cluster's network and opened nowhere else.
        ...(input.nodeIp === undefined ? [] : [`--node-ip=${input.nodeIp}`, `--addr=${input.nodeIp}`]),
        `--port=${input.port}`,
        `--max-pods=${input.maxPods}`,
        `${dataDirFlag}${agentFiles(input.stateDir).dataDir}`,
        `--bootstrap-file=${expandHome(input.bootstrapFile)}`,
        ...(labels.length > 0 ? [`--node-labels=${labels.join(",")}`] : []),
        ...(input.insecureRegistries.length > 0
            ? [`--insecure-registries=${input.insecureRegistries.join(",")}`]
            : []),
        ...(mirrors.length > 0 ? [`--registry-mirrors=${mirrors.join(",")}`] : []),
        ...(input.trustedCaFile === undefined
            ? []
            : [`--trusted-ca-file=${resolve(expandHome(input.trustedCaFile))}`]),
        ...(input.dockerConfigFile === undefined
            ? []
            : [`--registry-config=${resolve(expandHome(input.dockerConfigFile))}`]),
        ...(input.allowedHostPaths?.length
            ? [`--allowed-host-paths=${input.allowedHostPaths.join(",")}`]
            : []),
        ...(input.allowedEgress?.length ? [`--allowed-egress=${input.allowedEgress.join(",")}`] : []),
        ...(input.wasi03 === true ? ["--wasi-0-3"] : []),
        ...(input.otlpEndpoint === undefined ? [] : [`--otlp-endpoint=${input.otlpEndpoint}`]),
        ...(input.otlpSamplingRatio === undefined
            ? []
            : [`--otlp-sampling-ratio=${input.otlpSamplingRatio}`]),
        ...(podRoutes === undefined ? [] : [`--pod-routes-file=${podRoutes}`]),
        ...(input.certificateDurationSeconds === undefined
            ? []
            : [`--certificate-duration-seconds=${input.certificateDurationSeconds}`]),
        ...(input.certificateRenewalPercent === undefined
            ? []
            : [`--certificate-renewal-percent=${input.certificateRenewalPercent}`]),
    ];
}

/** Files and folders by which registries are known, and their logins: as those know them that push to the same registries. */
const registryPaths = ["DOCKER_CONFIG", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/** By which way they are reached. The agent asks nothing but registries through a proxy. */
const proxies = ["HTTPS_PROXY", "HTTP_PROXY", "NO_PROXY"].flatMap((name) => [name, name.toLowerCase()]);

/** The agent's environment: nothing else of the caller's that could change what it does or leak into its log. */
export function agentEnvironment(
    { stateDir }: { stateDir: string },
    callers: NodeJS.ProcessEnv,
): Record<string, string> {
    return {
        ...keptOf(callers, "PATH", "HOME", "RUST_LOG"),
        ...registryEnvironment(callers),
        KUBECONFIG: agentFiles(stateDir).kubeconfigFile,
    };
}

/** What of the environment says how registries are asked. */
function registryEnvironment(callers: NodeJS.ProcessEnv): Record<string, string> {
    const kept = [
        ...Object.entries(keptOf(callers, ...proxies)),
        // The agent has another working directory.
        ...Object.entries(keptOf(callers, ...registryPaths)).map(([name, path]) => [
            name,
            path && resolve(path),
        ]),
    ];
    return Object.fromEntries(kept.filter(([, value]) => value !== "")) as Record<string, string>;
}

/** By variable, a hash of its value: the address of a proxy may hold a password. */
export function registryVariables(callers: NodeJS.ProcessEnv): Record<string, string> {
    const set = Object.entries(registryEnvironment(callers));
    return Object.fromEntries(set.map(([name, value]) => [name, hashOf(value)]));
}

/** The variables that say how registries are asked, and are others now than when the agent was started. */
export function changedVariables(
    { registryVariables: before }: Pick<AgentRecord, "registryVariables">,
    callers: NodeJS.ProcessEnv,
): string[] {
    const now = registryVariables(callers);
    return [...proxies, ...registryPaths].filter((name) => before[name] !== now[name]);
}

/** Those of the variables that are set. */
export function keptOf(callers: NodeJS.ProcessEnv, ...names: string[]): Record<string, string> {
    return Object.fromEntries(
        names.flatMap((name) => {
            const value = callers[name];
            return value === undefined ? [] : [[name, value]];
        }),
    );
}

/** What an agent is started as. No secret is in it. */
export interface AgentLaunch {
    argv: string[];
    /** The container that it runs in; unset: it is a process of this host's. */
    place?: ContainerPlace;
    /** Where it will listen; unset: in its container, at the address that this gets. */
    nodeIp?: string;
    port: number;
    argvHash: string;
    programSha256: string;
    /** Hash of the certificate authority of the cluster that it was launched for. */
    clusterHash: string;
    bootstrapFile: string;
    /** Life of a bootstrap token, should it need another one, in seconds. */
    tokenTtlSeconds: number;
    /** Whether an agent of this folder had a client certificate of that cluster before: its Node is there by right. */
    joined: boolean;
}

/** `agent.pid`: the running agent, and what it was started as. */
export interface AgentRecord extends ProgramRecord, AgentLaunch {
    /** What of its environment says how registries are asked. */
    registryVariables: ReturnType<typeof registryVariables>;
}

export function hashOf(value: unknown): string {
    return createHash("sha256").update(JSON.stringify(value)).digest("hex");
}

export function readRecord(files: AgentFiles): Promise<AgentRecord | undefined> {
    return readRecordOf<AgentRecord>(files.pidFile);
}

export function writeRecord(files: AgentFiles, record: AgentRecord): Promise<void> {
    return writeRecordTo(files.pidFile, record);
}

/** The running agents of a node's folder: the recorded one, and one that an ended run started but did not record. */
export function runningAgents(files: AgentFiles): ProcessId[] {
    return processesWith(`${dataDirFlag}${files.dataDir}`);
}

/** The running agents of any of the owner's nodes that were started for a port of an address; of any address where it is not given. */
export async function agentsOn(owner: string, ip: string | undefined, port: number): Promise<ProcessId[]> {
    const folders = new Map<number, string>();
    const found = processesThat((argv, pid) => {
        const folder = argv.find((argument) => argument.startsWith(dataDirFlag))?.slice(dataDirFlag.length);
        if (folder === undefined || !argv.includes(`--port=${port}`)) return false;
        folders.set(pid, dirname(folder));
        // One in a container has none, and takes no port of this host's.
        return argv.some((one) =>
            ip === undefined ? one.startsWith("--node-ip=") : one === `--node-ip=${ip}`,
        );
    });
    const ours = await Promise.all(
        found.map(async ({ pid }) =>
            isOf((await ownerOf(folders.get(pid) ?? "").catch(() => undefined))?.owner, owner),
        ),
    );
    return found.filter((_, index) => ours[index]);
}

/** Ends every agent of a node's folder. */
export function endAgents(files: AgentFiles, note: (line: string) => void): Promise<void> {
    return endProgram("agent", files, () => runningAgents(files), note);
}

/** Fails when the node's agent has died, with the end of its log. */
export async function checkAgent(files: AgentFiles, name: string): Promise<AgentRecord> {
    const record = await readRecord(files);
    if (record && (await seemsToRun(record))) return record;
    const what = record ? "has ended" : "was not started";
    throw new StepError(`KrustletNode "${name}": its agent ${what}; ${await logOf(files, record)}`);
}

/** Runs `act`, which ends early when its signal comes, and fails as soon as the agent has died. */
export async function whileAgentLives<T>(
    files: AgentFiles,
    name: string,
    act: (signal: AbortSignal) => Promise<T>,
): Promise<T> {
    const over = new AbortController();
    let death: Error | undefined;
    const record = await readRecord(files);
    let checking = false;
    const check = async () => {
        if (checking) return;
        checking = true;
        try {
            await checkAgent(files, name);
        } catch (error) {
            death = error as Error;
            over.abort();
        } finally {
            checking = false;
        }
    };
    const timer = setInterval(
        () => void check(),
        // Of a container it is Docker who tells, by a process for each question.
        record?.container === undefined ? 100 : 1000,
    );
    try {
        const result = await act(over.signal);
        if (death === undefined) return result;
    } catch (error) {
        // What follows from the agent's end is not the cause.
        if (death === undefined) throw error;
    } finally {
        clearInterval(timer);
    }
    throw death;
}
