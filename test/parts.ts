// Real things that several tests share: a registry and a cluster. Each is made before and always removed after.
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { run } from "../steps/lib/run";
import { NODE_IMAGE } from "../tools/versions";
import type { SuiteContext } from "./suites";

/** Loopback port of the registry that the Rust tests push to. */
const REGISTRY_PORT = 5199;
const REGISTRY_NAME = "krustlet-stack-test-registry";

/** Runs `use` with the address (host:port) of a registry that starts empty. */
export async function withTestRegistry<T>(
    { env }: SuiteContext,
    image: string,
    use: (address: string) => Promise<T>,
): Promise<T> {
    const remove = () =>
        run(["docker", "rm", "--force", "--volumes", REGISTRY_NAME], { env, allowFailure: true });
    // What a killed run left.
    await remove();
    const publish = `127.0.0.1:${REGISTRY_PORT}:5000`;
    const options = [
        "--name",
        REGISTRY_NAME,
        "--publish",
        publish,
        "--env",
        "REGISTRY_STORAGE_DELETE_ENABLED=true",
    ];
    await run(["docker", "run", "--detach", ...options, image], { env });
    try {
        return await use(`localhost:${REGISTRY_PORT}`);
    } finally {
        await remove();
    }
}

const CLUSTER_NAME = "krustlet-plugins-test";

/** Runs one of the project's own steps, as the components do. */
export async function runStep(
    { root, env }: Pick<SuiteContext, "root" | "env">,
    step: string,
    input: unknown,
): Promise<unknown> {
    const file = path.join(root, "steps", `${step}.ts`);
    const { stdout } = await run([process.execPath, "--require", "./typescript.cjs", file], {
        cwd: root,
        env,
        input: JSON.stringify(input),
        timeoutSeconds: 300,
    });
    return JSON.parse(stdout);
}

/** Runs `use` with the path of an admin kubeconfig of a kind cluster of one node. */
export async function withTestCluster<T>(
    context: SuiteContext,
    use: (kubeconfigFile: string) => Promise<T>,
): Promise<T> {
    const input = {
        name: CLUSTER_NAME,
        owner: "krustlet-stack/plugins-test",
        waitSeconds: 180,
        image: `${NODE_IMAGE.name}:${NODE_IMAGE.tag}`,
        kubeadmConfigPatches: [],
        containerdConfigPatches: [],
    };
    const dir = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-plugins-test-"));
    const progress = context.report.start(`kind cluster ${CLUSTER_NAME}`);
    try {
        const { kubeconfig } = (await runStep(context, "createKindCluster", input)) as { kubeconfig: string };
        const file = path.join(dir, "kubeconfig");
        await fs.writeFile(file, kubeconfig, { mode: 0o600 });
        progress.done();
        return await use(file);
    } finally {
        await fs.rm(dir, { recursive: true, force: true });
        await runStep(context, "deleteKindCluster", input);
    }
}
