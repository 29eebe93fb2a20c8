import { describeOwner, isOf, nameOf } from "../lib/claim";
import { LocalClusterTool, NodeRuntime, PortProtocol, type PreflightInput } from "../contract";
import { nameTaken } from "../node/daemon/container";
import { findClusterInput } from "../cluster/existing/existing";
import { portMappings } from "../cluster/kind/kind";
import { describeModuleInput } from "../workload/modules";
import { wantedName } from "../workload/named/named";
import { ownerLabel, type Container, type Volume } from "../lib/docker";
import { expandHome } from "../lib/files";
import { blocking, type Listener } from "./ports";
import {
    boolean,
    clusterName,
    containerName,
    ipv4,
    kubeconfigPath,
    list,
    nodeName,
    object,
    oneOf,
    optional,
    owner,
    port,
    registry,
    text,
} from "../lib/schema";

export const preflightInput = object<PreflightInput>({
    owner,
    cluster: object<PreflightInput["cluster"]>({
        kind: optional(
            object<NonNullable<PreflightInput["cluster"]["kind"]>>({
                name: clusterName,
                mergeKubeconfigFile: optional(text),
                portMappings: optional(portMappings),
            }),
        ),
        existing: optional(findClusterInput),
        local: optional(
            object<NonNullable<PreflightInput["cluster"]["local"]>>({
                tool: oneOf(Object.values(LocalClusterTool)),
                name: text,
            }),
        ),
    }),
    names: optional(list(wantedName)),
    localRegistry: optional(
        object<NonNullable<PreflightInput["localRegistry"]>>({
            containerName,
            port,
            dataVolume: optional(text),
        }),
    ),
    remoteRegistry: optional(
        object<NonNullable<PreflightInput["remoteRegistry"]>>({
            address: registry,
            plainHttp: boolean,
            trustedCaFile: optional(text),
        }),
    ),
    nodes: list(
        object<PreflightInput["nodes"][number]>({
            name: nodeName,
            runtime: optional(oneOf(Object.values(NodeRuntime))),
            ip: optional(ipv4),
            port,
            stateDir: kubeconfigPath,
            program: text,
        }),
    ),
    modules: list(describeModuleInput),
});

/** Programs that the steps of such a stack start, besides the nodes' agents. */
export function neededTools(input: PreflightInput, ofCluster: string[]): string[] {
    return [
        ...new Set([
            ...(input.localRegistry === undefined && !inContainers(input) ? [] : ["docker"]),
            ...ofCluster,
        ]),
        // The image is made by these.
        ...(inContainers(input) ? ["ldd", "tar"] : []),
        ...(input.modules.some(({ source }) => source !== undefined) ? ["cargo"] : []),
    ];
}

/** Whether any node is to be in a container. */
export function inContainers({ nodes }: Pick<PreflightInput, "nodes">): boolean {
    return nodes.some(({ runtime }) => runtime === NodeRuntime.Container);
}

/** What keeps a node's container from its name: any other than its own. */
export function containerFaults(
    nodeName: string,
    container: string,
    whose: string,
    named: Container | undefined,
): string[] {
    if (named === undefined || isOf(named.Config.Labels?.[ownerLabel], whose)) return [];
    return [`KrustletNode "${nodeName}": ${nameTaken(container, named)}`];
}

/** Where Pulumi's docker plugin looks for the daemon when the environment does not say it. */
export const pluginEndpoint = "unix:///var/run/docker.sock";

/** The daemon of the docker command's current context, and the one at `pluginEndpoint`. */
export interface Daemons {
    context: { name: string; host: string };
    /** Ids of the two; undefined: none answers. */
    id: string;
    plugins: string | undefined;
}

/** What is wrong when the cluster would come into one daemon and the registry into another. */
export function daemonFaults(daemons: Daemons | undefined): string[] {
    if (daemons === undefined || daemons.plugins === daemons.id) return [];
    const { context, plugins } = daemons;
    const other = plugins === undefined ? "where no daemon answers" : "which is another daemon";
    return [
        `Docker: the docker command goes by its context "${context.name}" to ${context.host}, Pulumi's docker plugin to ` +
            `${pluginEndpoint}, ${other}; tell both: \`export DOCKER_HOST=${context.host}\``,
    ];
}

/** What keeps the local registry from its name or its port: anything but its own container. */
export function registryFaults(
    { containerName, port }: NonNullable<PreflightInput["localRegistry"]>,
    whose: string,
    named: Container | undefined,
    listening: Listener[],
): string[] {
    const found = named?.Config.Labels?.[ownerLabel];
    if (named && !isOf(found, whose)) {
        return [
            `LocalRegistry.containerName: a container "${containerName}" exists and ${found ? `belongs to ${describeOwner(found)}` : "was not made by this stack"}; ` +
                `choose another name, or remove it with \`docker rm --force ${containerName}\` if nobody needs it`,
        ];
    }
    const other = publishes(named, port) ? undefined : blocking(listening, "127.0.0.1", port);
    if (!other) return [];
    return [
        `LocalRegistry.port: ${port} is in use: something other than container "${containerName}" listens on ` +
            `${other.address}:${other.port}; end it (\`ss -ltnp\` names it) or choose another port`,
    ];
}

/** Whether a container has this host listen on a port. */
function publishes(container: Container | undefined, port: number): boolean {
    return Object.values(container?.NetworkSettings.Ports ?? {}).some((bindings) =>
        (bindings ?? []).some(({ HostPort }) => HostPort === String(port)),
    );
}

/** What keeps kind's nodes from ports of this host: anything but the cluster's own nodes, which give theirs up to those that follow. */
export function portMappingFaults(
    { portMappings = [] }: NonNullable<PreflightInput["cluster"]["kind"]>,
    own: Container[],
    listening: Listener[],
): string[] {
    return portMappings.flatMap(({ hostPort, listenAddress, protocol }, index) => {
        if (protocol !== PortProtocol.TCP || own.some((node) => publishes(node, hostPort))) return [];
        const other = blocking(listening, listenAddress, hostPort);
        if (!other) return [];
        return [
            `KindCluster.portMappings[${index}].hostPort: ${hostPort} is in use: something listens on ${other.address}:${other.port}; end it ` +
                "(`ss -ltnp` names it) or choose another port",
        ];
    });
}

/** What keeps the local registry from the volume of its data: whoever else made it. Docker would hand it over unasked. */
export function volumeFaults({ Name, Labels }: Volume, whose: string): string[] {
    const found = Labels?.[ownerLabel];
    // It outlives the claim that made it: the next one of that name finds its data.
    if (found === nameOf(whose)) return [];
    return [
        `LocalRegistry.keepData: a volume "${Name}" exists and ${found ? `belongs to ${describeOwner(found)}` : "was not made by this stack"}; ` +
            `choose another containerName, or remove it with \`docker volume rm ${Name}\` if nobody needs it`,
    ];
}

/** What to say of an answer that is no registry's. */
export function noRegistry(address: string, plainHttp: boolean, status: number): string {
    return (
        `Registry: ${address} does not answer as a registry (HTTP ${status}; expected 200 or 401 at /v2/); check its name and the network` +
        otherProtocol(plainHttp, `HTTP ${status}`)
    );
}

/** What to try when a registry seems to speak HTTPS where plain HTTP was expected, or the other way round. */
export function otherProtocol(plainHttp: boolean, answer: string): string {
    if (plainHttp && answer === "HTTP 400")
        return "; perhaps it speaks HTTPS: set registryPlainHttp to false";
    if (!plainHttp && /InvalidContentType/.test(answer))
        return "; perhaps it speaks plain HTTP: set registryPlainHttp to true";
    return "";
}

/** `~` may be a folder whose name holds a ":", which the agent's KUBECONFIG cannot have. */
export function folderFaults({ name, stateDir }: PreflightInput["nodes"][number]): string[] {
    const folder = expandHome(stateDir);
    if (!folder.includes(":")) return [];
    return [`KrustletNode "${name}": stateDir ${folder} holds a ":"; give the node a folder without one`];
}

/** A node's port as it stands: who would hold it. */
export interface NodePort {
    name: string;
    /** Where it listens; undefined: at the gateway. */
    ip?: string;
    port: number;
    /** The node's own agent runs and listens there. */
    heldByItsAgent: boolean;
}

/** What keeps nodes from their ports. `address` is undefined while it is not known where the cluster will be. */
export function nodePortFaults(
    nodes: NodePort[],
    address: string | undefined,
    listening: Listener[],
): string[] {
    return nodes.flatMap(({ name, ip = address, port, heldByItsAgent }, index) => {
        const twin = nodes.slice(0, index).find((one) => one.port === port && (one.ip ?? address) === ip);
        if (twin)
            return [
                `KrustletNode "${name}": port ${port} is node "${twin.name}"'s already; give each node its own`,
            ];
        const other = heldByItsAgent ? undefined : blocking(listening, ip, port);
        if (!other) return [];
        return [
            `KrustletNode "${name}": port ${port} is in use: something listens on ${other.address}:${other.port}; end it ` +
                "(`ss -ltnp` names it) or give the node another port",
        ];
    });
}
