import type { ConnectRegistryInput, ConnectRegistryOutput } from "../contract";
import { containerNamed, containers, type Container } from "../lib/docker";
import { StepError } from "../lib/errors";
import { connectRegistryInput, connectedByUs, hostsFiles, inClusterAddress } from "./container/hosting";
import { clusterLabel, nodeContainers, nodeNameOf } from "../cluster/kind/kind";
import { checkOurs } from "../cluster/kind/kindCluster";
import { needTools } from "../lib/programs/programs";
import { run } from "../lib/run";
import { progress, step } from "../lib/step";

/**
 * Lets the nodes of a kind cluster pull from a registry in a container: the container joins their network, and each node's
 * containerd is told that the name which images are pushed under on this host leads there. As kind's documentation does it by
 * hand: https://kind.sigs.k8s.io/docs/user/local-registry/
 */
export async function connectRegistry(input: ConnectRegistryInput): Promise<ConnectRegistryOutput> {
    await needTools("docker");
    const { clusterName, network, containerName } = input;
    const [nodes, registry] = await Promise.all([
        containers(`label=${clusterLabel}=${clusterName}`),
        containerNamed(containerName),
    ]);
    await checkOurs(clusterName, nodes, input.owner);
    if (nodes.length === 0) {
        throw new StepError(
            `RegistryHosting: there is no kind cluster "${clusterName}" whose nodes could be told of the registry`,
        );
    }
    if (registry === undefined) {
        throw new StepError(
            `RegistryHosting.containerName: there is no container "${containerName}"; give the name of the registry's container, as \`docker ps\` shows it`,
        );
    }
    if (!(network in registry.NetworkSettings.Networks)) {
        await run(["docker", "network", "connect", "--alias", connectedByUs, network, registry.Id], {
            timeoutSeconds: 60,
        });
        progress(`container ${containerName} is on network ${network} now`);
    }
    await Promise.all(nodeContainers(nodes).map((node) => tell(node, hostsFiles(input))));
    return {
        inClusterAddress: inClusterAddress(input),
        nodes: nodeContainers(nodes).map(nodeNameOf).sort(),
    };
}

/** Writes each file of the pairs of a path and a content that follow. */
const writeFiles = `set -e; while [ $# -gt 0 ]; do mkdir -p "$(dirname "$1")"; printf %s "$2" > "$1"; shift 2; done`;

/** containerd reads these files at each pull, so it need not be restarted. */
async function tell(node: Container, files: Record<string, string>): Promise<void> {
    const pairs = Object.entries(files).flat();
    await run(["docker", "exec", node.Id, "/bin/sh", "-c", writeFiles, "sh", ...pairs], {
        timeoutSeconds: 30,
    });
}

step(module, "connectRegistry", connectRegistryInput, connectRegistry);
