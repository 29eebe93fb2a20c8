// Makes what a recorded state tells of stand on this host, with the old version's own inputs: its cluster, its registry with what was pushed, and
// its objects. The node's processes are gone, as after a reboot.
import { stepPath, type Steps } from "../../../steps/contract";
import { run } from "../../../steps/lib/run";
import { root, type StateResource } from "../stackUnderTest";

type Recorded = StateResource & { inputs: Record<string, unknown>; outputs: Record<string, unknown> };

/** What is made again; the rest is of the node, or waits for it. */
const standing = ["createKindCluster", "buildModule", "pushArtifact", "connectRegistry"];

/** Makes it, and gives the state as it would be if all had been made here: with the ids, addresses and digests of this time. */
export async function stand(state: string): Promise<string> {
    const { deployment } = JSON.parse(state) as { deployment: { resources: Recorded[] } };
    const pairs = new Map<string, string>();
    const now = (text: string) => [...pairs].reduce((all, [was, is]) => all.replaceAll(was, is), text);
    const again = (was: unknown, is: unknown) => {
        if (typeof was === "string" && typeof is === "string" && was !== is) pairs.set(was, is);
    };
    let kubeconfig = "";
    for (const { type, inputs: recorded, outputs } of deployment.resources) {
        if (type === "command:local:Command") {
            const name = String(recorded.create).split("/").at(-1) as keyof Steps;
            if (!standing.includes(name)) continue;
            const was = JSON.parse(String(outputs.stdout)) as Record<string, unknown>;
            const is = await step(name, now(String(recorded.stdin)));
            for (const key of Object.keys(was)) again(was[key], is[key]);
            if (name === "createKindCluster") kubeconfig = String(is.kubeconfigFile);
        } else if (type === "docker:index/container:Container") {
            again(outputs.id, await container(recorded));
        } else if (type.startsWith("kubernetes:")) {
            const made = await object(kubeconfig, now(JSON.stringify(recorded)));
            again((outputs.metadata as { uid: string }).uid, made.metadata.uid);
        }
    }
    return now(state);
}

async function step(name: keyof Steps, input: string): Promise<Record<string, unknown>> {
    const argv = [process.execPath, "step.cjs", stepPath(name)];
    const { stdout } = await run(argv, { cwd: root, input, timeoutSeconds: 300 });
    return JSON.parse(stdout) as Record<string, unknown>;
}

interface RecordedContainer {
    name: string;
    envs: string[];
    labels: { label: string; value: string }[];
    ports: { ip: string; external: number; internal: number }[];
}

/** The registry's container; its image is the one that is there by the name that the state's image has. */
async function container(inputs: Record<string, unknown>): Promise<string> {
    const { name, envs, labels, ports } = inputs as unknown as RecordedContainer;
    const { stdout } = await run([
        ...["docker", "run", "--detach", `--name=${name}`, "--restart=unless-stopped"],
        ...envs.map((value) => `--env=${value}`),
        ...labels.map(({ label, value }) => `--label=${label}=${value}`),
        ...ports.map(({ ip, external, internal }) => `--publish=${ip}:${external}:${internal}`),
        String(inputs.image),
    ]);
    return stdout.trim();
}

async function object(kubeconfig: string, input: string): Promise<{ metadata: { uid: string } }> {
    const argv = ["kubectl", `--kubeconfig=${kubeconfig}`, "create", "--filename=-", "--output=json"];
    const { stdout } = await run(argv, { input });
    return JSON.parse(stdout) as { metadata: { uid: string } };
}
