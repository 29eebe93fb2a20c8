// Makes what a recorded state tells of stand on this host, with the old version's own inputs: its cluster, its registry with what was pushed, and
// its objects. Nothing of it is written down in the claim's folder. The node's processes are gone, as after a reboot.
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
            if (name === "createKindCluster") {
                kubeconfig = String(is.kubeconfigFile);
                await podsAreTaken(kubeconfig);
            }
        } else if (type === "docker:index/remoteImage:RemoteImage") {
            const { stdout } = await run([
                "docker",
                "image",
                "inspect",
                "--format={{.Id}}",
                String(recorded.name),
            ]);
            again(outputs.imageId, stdout.trim());
        } else if (type === "docker:index/container:Container") {
            again(
                outputs.id,
                await container(JSON.parse(now(JSON.stringify(recorded))) as RecordedContainer),
            );
        } else if (type.startsWith("kubernetes:")) {
            const made = await object(kubeconfig, now(JSON.stringify(recorded)));
            again((outputs.metadata as { uid: string }).uid, made.metadata.uid);
        }
    }
    return now(state);
}

/** Runs a step for no claim: nothing of it is written down, as where the notes were lost. */
async function step(name: keyof Steps, stdin: string): Promise<Record<string, unknown>> {
    const input = JSON.stringify({ ...(JSON.parse(stdin) as object), claim: undefined });
    const argv = [process.execPath, "step.cjs", stepPath(name)];
    const { stdout } = await run(argv, { cwd: root, input, timeoutSeconds: 300 });
    return JSON.parse(stdout) as Record<string, unknown>;
}

interface RecordedContainer {
    name: string;
    image: string;
    envs: string[];
    labels: { label: string; value: string }[];
    ports: { ip: string; external: number; internal: number }[];
}

/** The registry's container. */
async function container({ name, image, envs, labels, ports }: RecordedContainer): Promise<string> {
    const { stdout } = await run([
        ...["docker", "run", "--detach", `--name=${name}`, "--restart=unless-stopped"],
        ...envs.map((value) => `--env=${value}`),
        ...labels.map(({ label, value }) => `--label=${label}=${value}`),
        ...ports.map(({ ip, external, internal }) => `--publish=${ip}:${external}:${internal}`),
        image,
    ]);
    return stdout.trim();
}

/** A new cluster refuses pods until a controller has made their service account. */
async function podsAreTaken(kubeconfig: string): Promise<void> {
    const account = ["serviceaccount/default", "--namespace=default", "--for=create", "--timeout=60s"];
    await run(["kubectl", `--kubeconfig=${kubeconfig}`, "wait", ...account], { timeoutSeconds: 70 });
}

async function object(kubeconfig: string, input: string): Promise<{ metadata: { uid: string } }> {
    const as = "--field-manager=pulumi-kubernetes-recorded";
    const argv = ["kubectl", `--kubeconfig=${kubeconfig}`, "create", as, "--filename=-", "--output=json"];
    const { stdout } = await run(argv, { input });
    return JSON.parse(stdout) as { metadata: { uid: string } };
}
