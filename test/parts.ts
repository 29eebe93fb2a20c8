// Real things that several tests share: a registry, a cluster, a node. Each is made before and always removed after.
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { REGISTRY_ENVIRONMENT } from "../components/defaults";
import { stepPath, type ClusterOutput, type KindClusterInput, type Steps } from "../steps/contract";
import { run } from "../steps/lib/run";
import { NODE_IMAGE, REGISTRY_IMAGE } from "../common/versions";
import { removeTestCluster } from "./killedRun";
import type { SuiteContext } from "./suites";

export interface TestRegistry {
    /** Name of the container. */
    name: string;
    /** Loopback port. */
    port: number;
    /** Who may use it, as a line of an htpasswd file (bcrypt). Default: everybody. */
    htpasswd?: string;
    /** Certificate and key (PEM) that it speaks HTTPS with. Default: plain HTTP. */
    tls?: { certificate: string; privateKey: string };
    /** More of its settings, as `NAME=value`. Default: those that the stack's own registry has, alone. */
    settings?: string[];
    /** Files in its root folder, by name. Default: none. */
    files?: Record<string, string>;
}

/** The registry that the Rust tests push to. */
export const RUST_REGISTRY: TestRegistry = { name: "krustlet-stack-test-registry", port: 5199 };

/** Runs `use` with the address (host:port) of a registry that starts empty. */
export async function withTestRegistry<T>(
    { env }: Pick<SuiteContext, "env">,
    registry: TestRegistry,
    use: (address: string) => Promise<T>,
): Promise<T> {
    const address = await startTestRegistry(env, registry);
    try {
        return await use(address);
    } finally {
        await removeTestRegistry(env, registry);
    }
}

/** What a test registry's login and certificate come to: its settings and its files. */
function accessOf({ htpasswd, tls }: TestRegistry): { settings: string[]; files: Record<string, string> } {
    return {
        settings: [
            ...(htpasswd === undefined
                ? []
                : [
                      "REGISTRY_AUTH=htpasswd",
                      "REGISTRY_AUTH_HTPASSWD_REALM=test",
                      "REGISTRY_AUTH_HTPASSWD_PATH=/htpasswd",
                  ]),
            ...(tls === undefined
                ? []
                : ["REGISTRY_HTTP_TLS_CERTIFICATE=/tls.crt", "REGISTRY_HTTP_TLS_KEY=/tls.key"]),
        ],
        files: {
            ...(htpasswd !== undefined && { htpasswd: `${htpasswd}\n` }),
            ...(tls && { "tls.crt": tls.certificate, "tls.key": tls.privateKey }),
        },
    };
}

/** Starts a registry that is empty, and returns its address (host:port). */
export async function startTestRegistry(
    env: Record<string, string>,
    registry: TestRegistry,
): Promise<string> {
    const { name, port, settings = [], files = {} } = registry;
    // What a killed run left.
    await removeTestRegistry(env, registry);
    const access = accessOf(registry);
    const variables = [...REGISTRY_ENVIRONMENT, ...settings, ...access.settings];
    const options = variables.flatMap((variable) => ["--env", variable]);
    const image = `${REGISTRY_IMAGE.name}:${REGISTRY_IMAGE.tag}`;
    const publish = `127.0.0.1:${port}:5000`;
    await run(["docker", "create", "--name", name, "--publish", publish, ...options, image], { env });
    try {
        const copied = Object.entries({ ...files, ...access.files });
        for (const [file, content] of copied) await copyInto(env, name, file, content);
        await run(["docker", "start", name], { env });
        return `localhost:${port}`;
    } catch (error) {
        await removeTestRegistry(env, registry);
        throw error;
    }
}

export async function removeTestRegistry(env: Record<string, string>, { name }: TestRegistry): Promise<void> {
    await run(["docker", "rm", "--force", "--volumes", name], { env, allowFailure: true });
}

/** Puts a file into a container: the daemon may be on another machine, where no folder of this one could be mounted. */
async function copyInto(
    env: Record<string, string>,
    container: string,
    file: string,
    content: string,
): Promise<void> {
    const dir = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-test-"));
    try {
        await fs.writeFile(path.join(dir, file), content);
        await run(["docker", "cp", path.join(dir, file), `${container}:/${file}`], { env });
    } finally {
        await fs.rm(dir, { recursive: true, force: true });
    }
}

/** Runs one of the project's own steps, as the components do. */
export async function runStep<N extends keyof Steps>(
    { root, env }: Pick<SuiteContext, "root" | "env">,
    step: N,
    input: Steps[N]["input"],
): Promise<Steps[N]["output"]> {
    const { stdout } = await run([process.execPath, "step.cjs", stepPath(step)], {
        cwd: root,
        env,
        input: JSON.stringify(input),
        timeoutSeconds: 300,
    });
    return JSON.parse(stdout) as Steps[N]["output"];
}

/** Runs `use` with a kind cluster of one node. */
export async function withTestCluster<T>(
    context: SuiteContext,
    name: string,
    use: (cluster: ClusterOutput) => Promise<T>,
): Promise<T> {
    const dir = await fs.mkdtemp(path.join(os.tmpdir(), `${name}-`));
    const input: KindClusterInput = {
        name,
        kubeconfigFile: path.join(dir, "kubeconfig"),
        owner: `krustlet-stack/${name}`,
        waitSeconds: 180,
        image: `${NODE_IMAGE.name}:${NODE_IMAGE.tag}`,
        kubeadmConfigPatches: [],
        containerdConfigPatches: [],
    };
    const progress = context.report.start(`kind cluster ${name}`);
    try {
        // What a killed run left: its pods and namespaces would be there.
        await removeTestCluster(name, context.env);
        const cluster = await runStep(context, "createKindCluster", input);
        progress.done();
        return await use(cluster);
    } finally {
        await runStep(context, "deleteKindCluster", input);
        await fs.rm(dir, { recursive: true, force: true });
    }
}
