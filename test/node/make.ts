// Makes what the suite `node` tests: a cluster, registries with modules in them, and a Wasm node that has joined.
import { readFileSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import type { BootstrapTokenInput, ClusterOutput, ProcessNodeInput } from "../../steps/contract";
import { bootstrapRights, nodeRights } from "../bootstrapRights";
import { targetFolder } from "../../steps/workload/buildModule";
import { sha256OfFile } from "../../steps/lib/files";
import { run } from "../../steps/lib/run";
import { cacheRoot } from "../../common/cache";
import { runStep, withTestCluster, withTestRegistry, type TestRegistry } from "../parts";
import type { SuiteContext } from "../suites";
import { buildProgram, pushContainerImage } from "./lib/containerImage";
import { metricsServer } from "./lib/metricsServer";
import { pushArtifact, pushIndex, WASM } from "./lib/scriptedRegistry";
import type { NodeUnderTest, PushedModule } from "./underTest";

const NAME = "krustlet-node-test";
const OWNER = `krustlet-stack/${NAME}`;
const NODE = { nodeName: "krustlet-under-test", port: 3933 };
const GROUP = "system:bootstrappers:krustlet-stack:node-test";
const TOKEN_SECONDS = 600;

const REGISTRY: TestRegistry = { name: `${NAME}-registry`, port: 5196 };
const LOGIN = { username: "probe", password: "probe-password" };
const PRIVATE_REGISTRY: TestRegistry = {
    name: `${NAME}-private-registry`,
    port: 5197,
    // bcrypt of the password above: `htpasswd -B` writes such a line.
    htpasswd: `${LOGIN.username}:$2b$05$920xD3zbUkOp8f7p.F5EFefQNrDGFv417CS/Q/CgcypIOfzvqQcWm`,
};
/** Nobody listens there: neither the API server nor a registry of this machine may be asked through it. */
const NO_WAY = { HTTP_PROXY: "http://127.0.0.1:9", HTTPS_PROXY: "http://127.0.0.1:9", NO_PROXY: "" };
const SCRIPTED_REGISTRY = { host: "127.0.0.1", port: 5198 };
/** Nobody listens there but for the test of traces, and what comes with no trace begins none: the others hear nothing of it. */
const TRACES = { otlpEndpoint: "http://127.0.0.1:5199", otlpSamplingRatio: 0 };
const LOG_ROTATION = { maxBytes: 256 * 1024, maxFiles: 5 };

/** Runs `use` with the path of a file that tells of a node (NodeUnderTest). Everything is removed afterwards. */
export async function withTestNode<T>(context: SuiteContext, use: (file: string) => Promise<T>): Promise<T> {
    // A place that the next run finds again: an agent that a killed run left is ended there.
    const folder = path.join(cacheRoot(), NAME);
    const modules = build(context);
    // Who needs them sees the error.
    modules.catch(() => undefined);
    // Before anything is measured: what a test finds in the cache takes no processor from others.
    await metricsServer(context.report);
    return withTestCluster(context, NAME, (cluster) =>
        withTestRegistry(context, REGISTRY, (registry) =>
            withTestRegistry(context, PRIVATE_REGISTRY, async (privateRegistry) => {
                const input = nodeInput(folder, cluster);
                const remove = async () => {
                    await runStep(context, "stopNode", input);
                    await fs.rm(folder, { recursive: true, force: true });
                };
                await remove();
                try {
                    await prepare(folder);
                    const known: NodeUnderTest = {
                        clusterName: cluster.name,
                        kubeconfigFile: cluster.kubeconfigFile,
                        node: input,
                        kindNodeName: await connect(context, cluster, registry),
                        registry,
                        privateRegistry: {
                            address: privateRegistry,
                            knownToNode: `127.0.0.1:${PRIVATE_REGISTRY.port}`,
                            ...LOGIN,
                        },
                        scriptedRegistry: SCRIPTED_REGISTRY,
                        hostPath: path.join(folder, "host"),
                        logRotation: LOG_ROTATION,
                        modules: await push(context, registry, await modules),
                    };
                    await pushPrivately(context, folder, (await modules).hello);
                    await join({ root: context.root, env: { ...context.env, ...NO_WAY } }, input);
                    const file = path.join(folder, "under-test.json");
                    await fs.writeFile(file, JSON.stringify(known), { mode: 0o600 });
                    return await use(file);
                } finally {
                    await remove();
                }
            }),
        ),
    );
}

function nodeInput(folder: string, { kubeconfigFile, nodeAddress }: ClusterOutput): ProcessNodeInput {
    const stateDir = path.join(folder, "node");
    return {
        kubeconfigFile,
        owner: OWNER,
        program: path.join(folder, "agent"),
        ...NODE,
        nodeIp: nodeAddress,
        maxPods: 120,
        labels: {},
        insecureRegistries: [
            `localhost:${REGISTRY.port}`,
            `localhost:${PRIVATE_REGISTRY.port}`,
            `127.0.0.1:${PRIVATE_REGISTRY.port}`,
            `${SCRIPTED_REGISTRY.host}:${SCRIPTED_REGISTRY.port}`,
        ],
        allowedHostPaths: [path.join(folder, "host")],
        // The tests' HTTP servers. What else is the node's own stays closed.
        allowedEgress: ["127.0.0.1"],
        ...TRACES,
        stateDir,
        bootstrapFile: path.join(stateDir, "bootstrap.kubeconfig"),
        bootstrapGroup: GROUP,
        tokenTtlSeconds: TOKEN_SECONDS,
    };
}

/** Files of the host that the tests need: what pods may mount, logins, and the agent with flags that no step has. */
async function prepare(folder: string): Promise<void> {
    await fs.mkdir(path.join(folder, "host", "data"), { recursive: true, mode: 0o700 });
    await fs.writeFile(path.join(folder, "host", "data", "file"), "of the host\n");
    await fs.symlink("/etc", path.join(folder, "host", "link-to-etc"));
    const auth = Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString("base64");
    const logins = (registry: string) => JSON.stringify({ auths: { [registry]: { auth } } });
    const nodesLogins = path.join(folder, "registry-logins.json");
    await fs.writeFile(nodesLogins, logins(`127.0.0.1:${PRIVATE_REGISTRY.port}`), { mode: 0o600 });
    await fs.mkdir(path.join(folder, "docker"));
    await fs.writeFile(
        path.join(folder, "docker", "config.json"),
        logins(`localhost:${PRIVATE_REGISTRY.port}`),
        { mode: 0o600 },
    );
    const flags = [
        `--registry-config='${nodesLogins}'`,
        // Small, so that a test can fill them quickly.
        `--container-log-max-size-bytes=${LOG_ROTATION.maxBytes}`,
        `--container-log-max-files=${LOG_ROTATION.maxFiles}`,
        // Which it does not by itself.
        "--wasi-0-3",
    ];
    const script = `#!/bin/sh\nexec krustlet-wasi "$@" ${flags.join(" ")}\n`;
    await fs.writeFile(path.join(folder, "agent"), script, { mode: 0o700 });
}

type Modules = Record<keyof NodeUnderTest["modules"] | "program", string>;

/** Builds the modules, and the probe as a program of this host; each one's file. */
async function build(context: SuiteContext): Promise<Modules> {
    const source = (name: string) => path.join(context.root, "workloads", name);
    const built = async (name: string) =>
        (await runStep(context, "buildModule", { source: source(name) })).file;
    const [hello, ticker] = [await built("hello-world"), await built("ticker")];
    const probe = await built("probe");
    const [catFacts, catFactsComponent] = [await built("cat-facts"), await built("cat-facts-component")];
    const [helloHttp, visits] = [await built("hello-http"), await built("visits")];
    // The step builds the probe for preview 1. A second target in the same folder, which is the step's own.
    const target = "wasm32-wasip2";
    const env = { ...context.env, CARGO_TARGET_DIR: targetFolder(source("probe"), context.env) };
    const argv = ["cargo", "build", "--release", "--locked", `--target=${target}`];
    const options = { cwd: source("probe"), env, timeoutSeconds: 600 };
    await run(argv, options);
    const component = path.join(env.CARGO_TARGET_DIR, target, "release", "probe.wasm");
    const program = await buildProgram(source("probe"), env);
    return { hello, ticker, probe, component, program, catFacts, catFactsComponent, helloHttp, visits };
}

async function push(
    context: SuiteContext,
    registry: string,
    files: Modules,
): Promise<NodeUnderTest["modules"]> {
    const byStep = async (name: string, file: string): Promise<PushedModule> => {
        const reference = `${registry}/${name}:v1`;
        const sha256 = await sha256OfFile(file);
        const input = { file, sha256, reference, insecureRegistries: [registry] };
        const pushed = await runStep(context, "pushArtifact", input);
        return { image: reference, imageId: pushed.reference, file };
    };
    // The step takes modules alone.
    const component = async (name: string, file: string): Promise<PushedModule> => {
        const { digest } = await pushArtifact(registry, name, "v1", readFileSync(file));
        return { image: `${registry}/${name}:v1`, imageId: `${registry}/${name}@${digest}`, file };
    };
    // One name for both nodes: each takes what is for it.
    const everywhere = async (name: string, file: string, program: string): Promise<PushedModule> => {
        const module = await pushArtifact(registry, name, "wasm", readFileSync(file));
        const container = await pushContainerImage(registry, name, "container", program);
        const { digest } = await pushIndex(registry, name, "v1", [{ ...module, platform: WASM }, container]);
        return { image: `${registry}/${name}:v1`, imageId: `${registry}/${name}@${digest}`, file };
    };
    return {
        hello: await byStep("hello-world", files.hello),
        ticker: await byStep("ticker", files.ticker),
        probe: await everywhere("probe", files.probe, files.program),
        catFacts: await byStep("cat-facts", files.catFacts),
        component: await component("component", files.component),
        catFactsComponent: await component("cat-facts-component", files.catFactsComponent),
        helloHttp: await everywhere("hello-http", files.helloHttp, files.program),
        visits: await component("visits", files.visits),
    };
}

/** A tag for each case: one that has been fetched by leave of a login would be there for those without. */
async function pushPrivately(context: SuiteContext, folder: string, file: string): Promise<void> {
    const registry = `localhost:${PRIVATE_REGISTRY.port}`;
    const env = { ...context.env, DOCKER_CONFIG: path.join(folder, "docker") };
    const sha256 = await sha256OfFile(file);
    for (const tag of ["none", "wrong", "secret", "node"]) {
        await runStep({ root: context.root, env }, "pushArtifact", {
            file,
            sha256,
            reference: `${registry}/private:${tag}`,
            insecureRegistries: [registry],
        });
    }
}

/** Lets kind's own node pull from a registry, by the name that the Wasm node knows too; that node's name. */
async function connect(context: SuiteContext, cluster: ClusterOutput, address: string): Promise<string> {
    const { nodes } = await runStep(context, "connectRegistry", {
        clusterName: cluster.name,
        owner: OWNER,
        network: "kind",
        containerName: REGISTRY.name,
        containerPort: 5000,
        address,
    });
    return nodes[0];
}

/** A copy of the bootstrap kubeconfig that a node joined with: the original may go with its token. */
export function usedBootstrapFile(input: ProcessNodeInput): string {
    return `${input.stateDir}-joined-with.kubeconfig`;
}

/** The node joins as it does in a stack. */
export async function join(
    context: Pick<SuiteContext, "root" | "env">,
    input: ProcessNodeInput,
): Promise<void> {
    const { kubeconfigFile, owner, nodeName, nodeIp, stateDir } = input;
    const token: BootstrapTokenInput = {
        kubeconfigFile,
        owner,
        nodeName,
        group: GROUP,
        tokenTtlSeconds: TOKEN_SECONDS,
        file: input.bootstrapFile,
    };
    await runStep(context, "createBootstrapToken", token);
    await fs.copyFile(input.bootstrapFile, usedBootstrapFile(input));
    await allow(context, kubeconfigFile, bootstrapRights("krustlet-stack:node-test", GROUP));
    await allow(context, kubeconfigFile, nodeRights(nodeName));
    await runStep(context, "launchNode", input);
    const approval = {
        kubeconfigFile,
        owner,
        nodeName,
        nodeIp,
        bootstrapGroup: GROUP,
        stateDir,
        timeoutSeconds: 60,
    };
    await runStep(context, "approveCertificates", approval);
    await runStep(context, "awaitNode", { kubeconfigFile, nodeName, stateDir, timeoutSeconds: 60 });
}

async function allow(
    { env }: Pick<SuiteContext, "env">,
    kubeconfigFile: string,
    rights: object,
): Promise<void> {
    const argv = ["kubectl", `--kubeconfig=${kubeconfigFile}`, "apply", "--filename=-"];
    await run(argv, { env, input: JSON.stringify(rights) });
}
