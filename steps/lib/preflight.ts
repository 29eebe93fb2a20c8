import type { PreflightInput } from "../contract";
import { describeModuleInput } from "./modules";
import type { Container } from "./docker";
import { blocking, type Listener } from "./ports";
import { list, nodeName, object, optional, owner, port, registry, text } from "./schema";

export const preflightInput = object<PreflightInput>({
    owner,
    cluster: object<PreflightInput["cluster"]>({ name: text }),
    localRegistry: optional(
        object<NonNullable<PreflightInput["localRegistry"]>>({ containerName: text, port }),
    ),
    remoteRegistry: optional(registry),
    nodes: list(
        object<PreflightInput["nodes"][number]>({ name: nodeName, port, stateDir: text, program: text }),
    ),
    modules: list(describeModuleInput),
});

/** Programs that the steps of such a stack start, besides the nodes' agents. */
export function neededTools(input: PreflightInput): string[] {
    return [
        "docker",
        "kind",
        "kubectl",
        ...(input.modules.length > 0 ? ["wasm-oci"] : []),
        ...(input.modules.some(({ source }) => source !== undefined) ? ["cargo"] : []),
    ];
}

/** The one message of what is missing. */
export function missingTools(missing: string[]): string[] {
    if (missing.length === 0) return [];
    const what = missing.length === 1 ? `${missing[0]} is` : `${missing.join(", ")} are`;
    return [`Tools: ${what} not on PATH; \`npm run doctor\` shows what to do`];
}

/** What keeps the local registry from its port: something else than its own container. */
export function registryFaults(
    { containerName, port }: NonNullable<PreflightInput["localRegistry"]>,
    sameName: Container[],
    listening: Listener[],
): string[] {
    const own = sameName.find(({ Name }) => Name === `/${containerName}`);
    const published = Object.values(own?.NetworkSettings.Ports ?? {}).some((bindings) =>
        (bindings ?? []).some(({ HostPort }) => HostPort === String(port)),
    );
    const other = published ? undefined : blocking(listening, "127.0.0.1", port);
    if (!other) return [];
    return [
        `LocalRegistry.port: ${port} is in use: something other than container "${containerName}" listens on ` +
            `${other.address}:${other.port}; end it (\`ss -ltnp\` names it) or choose another port`,
    ];
}

/** A node's port as it stands: who would hold it. */
export interface NodePort {
    name: string;
    port: number;
    /** The node's own agent runs and listens there. */
    heldByItsAgent: boolean;
}

/** What keeps nodes from their ports. `gateway` is undefined while the cluster's network does not exist. */
export function nodePortFaults(
    nodes: NodePort[],
    gateway: string | undefined,
    listening: Listener[],
): string[] {
    return nodes.flatMap(({ name, port, heldByItsAgent }, index) => {
        const twin = nodes.slice(0, index).find((one) => one.port === port);
        if (twin)
            return [
                `KrustletNode "${name}": port ${port} is node "${twin.name}"'s already; give each node its own`,
            ];
        const other = heldByItsAgent ? undefined : blocking(listening, gateway, port);
        if (!other) return [];
        return [
            `KrustletNode "${name}": port ${port} is in use: something listens on ${other.address}:${other.port}; end it ` +
                "(`ss -ltnp` names it) or give the node another port",
        ];
    });
}
