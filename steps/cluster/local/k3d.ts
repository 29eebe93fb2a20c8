// k3d, which runs k3s in Docker: https://k3d.io/stable/usage/commands/
import type { LocalClusterInput } from "../../contract";
import { needOwnDaemon } from "../../lib/docker";
import { ask, askForSecret, jsonOf, tell, type LocalTool } from "./tool";

/** Label of the cluster's containers that says whose they are. */
const ownerLabel = "krustlet-stack.owner";

interface ListedCluster {
    name: string;
    nodes?: { role?: string; runtimeLabels?: Record<string, string>; State?: { Running?: boolean } }[];
}

/** Arguments of `k3d cluster create`. */
export function createArgv(input: LocalClusterInput): string[] {
    const { name, owner, waitSeconds, version, servers = 1, agents = 0, portMappings } = input;
    return [
        "k3d",
        "cluster",
        "create",
        name,
        `--servers=${servers}`,
        `--agents=${agents}`,
        "--wait",
        `--timeout=${waitSeconds}s`,
        // The user's own kubeconfig is not touched.
        "--kubeconfig-update-default=false",
        "--kubeconfig-switch-context=false",
        `--runtime-label=${ownerLabel}=${owner}@all`,
        ...(version === undefined ? [] : [`--image=${version}`]),
        ...portMappings.map(
            ({ listenAddress, hostPort, containerPort, protocol }) =>
                `--port=${listenAddress}:${hostPort}:${containerPort}/${protocol.toLowerCase()}@server:0:direct`,
        ),
    ];
}

const removal = (name: string) => ["k3d", "cluster", "delete", name];

export const k3d: LocalTool = {
    component: "K3dCluster",
    programs: ["k3d", "docker"],
    docker: true,
    async find(name) {
        // Of another daemon's it would say that there are none.
        await needOwnDaemon();
        const argv = ["k3d", "cluster", "list", "--output=json"];
        const clusters = jsonOf<ListedCluster[] | null>(
            argv,
            await ask(argv),
            (value) => value === null || Array.isArray(value),
        );
        const found = clusters?.find((cluster) => cluster.name === name);
        if (found === undefined) return undefined;
        const nodes = found.nodes ?? [];
        const servers = nodes.filter(({ role }) => role === "server");
        const owners = new Set(servers.map(({ runtimeLabels }) => runtimeLabels?.[ownerLabel]));
        return {
            owner: owners.size === 1 ? [...owners][0] : undefined,
            running: nodes.every(({ State }) => State?.Running === true),
        };
    },
    async create(input) {
        await tell(createArgv(input), input.waitSeconds + 600);
    },
    async start({ name, waitSeconds }) {
        await tell(
            ["k3d", "cluster", "start", name, "--wait", `--timeout=${waitSeconds}s`],
            waitSeconds + 60,
        );
    },
    async remove(name) {
        await tell(removal(name), 300);
    },
    contextOf: (name) => `k3d-${name}`,
    kubeconfig: (name) => askForSecret(["k3d", "kubeconfig", "get", name]),
    begins: (name) => [
        ["k3d", "cluster", "create", name],
        ["k3d", "cluster", "start", name],
    ],
    removal,
};
