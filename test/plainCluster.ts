// A cluster that nobody's stack made, by kind and its own commands alone.
import * as fs from "node:fs/promises";
import { hostname, release } from "node:os";
import { NODE_IMAGE } from "../common/versions";
import { KindNodeRole } from "../steps/contract";
import { lostNetwork } from "../steps/cluster/createKindCluster";
import { hostFacts, kindConfig } from "../steps/cluster/kind/kind";
import { dockerHost } from "../steps/lib/docker";
import { run } from "../steps/lib/run";
import { removeTestCluster } from "./killedRun";

/** Makes it, of a control plane and so many workers, with context `kind-<name>` in a kubeconfig file. Returns what removes it. */
export async function createPlainCluster(
    name: string,
    kubeconfig: string,
    workers = 0,
): Promise<() => Promise<void>> {
    await removeTestCluster(name);
    const listed = await run(["docker", "network", "ls", "--format={{.Name}}"]);
    const hadNetwork = listed.stdout.split("\n").includes("kind");
    const procStatus = await fs.readFile("/proc/self/status", "utf8");
    const facts = hostFacts(await dockerHost(), { hostname: hostname(), kernel: release(), procStatus });
    const patches = { kubeadmConfigPatches: [], containerdConfigPatches: [] };
    const input = { name, owner: "nobody", waitSeconds: 60, kubeconfigFile: "unused" };
    const { nodes, kubeadmConfigPatches, ...config } = JSON.parse(
        kindConfig({ ...input, ...patches, verifyKubelets: false }, facts),
    ) as { nodes: { role: string }[]; kubeadmConfigPatches: string[] };
    // What the host needs, all of it the kubelet's, and nothing that a stack has for itself or knows its own by.
    const needed = kubeadmConfigPatches.filter((patch) => patch.includes('"KubeletConfiguration"'));
    const added = Array.from({ length: workers }, () => ({ role: KindNodeRole.Worker }));
    const plain = {
        ...config,
        kubeadmConfigPatches: needed,
        nodes: [...nodes.map(({ role }) => ({ role })), ...added],
    };
    const argv = [
        ...["kind", "create", "cluster", `--name=${name}`, "--config=-", "--wait=120s"],
        ...[`--image=${NODE_IMAGE.name}:${NODE_IMAGE.tag}`, `--kubeconfig=${kubeconfig}`],
    ];
    const create = () => run(argv, { input: JSON.stringify(plain), timeoutSeconds: 300 });
    await create().catch((error: unknown) => {
        if (!lostNetwork(error)) throw error;
        return create();
    });
    return async () => {
        await run(["kind", "delete", "cluster", `--name=${name}`, `--kubeconfig=${kubeconfig}`]);
        // kind leaves its network, and whoever runs kind by hand does too.
        // Another cluster may be on it by now.
        if (!hadNetwork) await run(["docker", "network", "rm", "kind"], { allowFailure: true });
    };
}
