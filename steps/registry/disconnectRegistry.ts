import { dirname } from "node:path";
import type { ConnectRegistryInput } from "../contract";
import { containerNamed, containers, containersOn, type Container } from "../lib/docker";
import {
    connectRegistryInput,
    hostsFiles,
    inClusterAddress,
    mayDisconnect,
    nodesOfOthers,
} from "./container/hosting";
import { clusterLabel, isOurs, nodeContainers } from "../cluster/kind/kind";
import { run } from "../lib/run";
import { stored } from "../lib/schema";
import { progress, step } from "../lib/step";

/** Undoes connectRegistry: else the cluster's network could not go with the cluster. What is gone already is fine. */
export async function disconnectRegistry(input: ConnectRegistryInput): Promise<Record<string, never>> {
    const { clusterName, network, containerName } = input;
    const [nodes, registry, onNetwork] = await Promise.all([
        containers(`label=${clusterLabel}=${clusterName}`),
        containerNamed(containerName),
        containersOn(network),
    ]);
    if (isOurs(nodes, input.owner)) {
        const folders = Object.keys(hostsFiles(input)).map(dirname);
        const running = nodeContainers(nodes).filter(({ State }) => State.Running);
        await Promise.all(
            running.map(({ Id }) =>
                run(["docker", "exec", Id, "rm", "-rf", ...folders], {
                    timeoutSeconds: 30,
                    // The node may go at the same moment.
                    allowFailure: true,
                }),
            ),
        );
    }
    const told = await Promise.all(
        nodesOfOthers(onNetwork, clusterName).map((node) => isTold(node, inClusterAddress(input))),
    );
    if (registry !== undefined && mayDisconnect(registry, network, told.includes(true))) {
        const result = await run(["docker", "network", "disconnect", "--force", network, registry.Id], {
            timeoutSeconds: 60,
            allowFailure: true,
        });
        progress(
            result.exitCode === 0
                ? `container ${containerName} is off network ${network}`
                : `container ${containerName} stays on network ${network}: ${result.stderr.trim()}`,
        );
    }
    return {};
}

/** Whether a node knows the registry; it need not run. */
async function isTold(node: Container, address: string): Promise<boolean> {
    const folder = `${node.Id}:/etc/containerd/certs.d/${address}`;
    const copy = await run(["docker", "cp", folder, "-"], { timeoutSeconds: 30, allowFailure: true });
    return copy.exitCode === 0;
}

const needed = stored(
    connectRegistryInput,
    "clusterName",
    "owner",
    "network",
    "containerName",
    "containerPort",
    "address",
);

step(module, "disconnectRegistry", needed, disconnectRegistry);
