import * as path from "node:path";
import { RECIPES } from "../airgap/go/recipes";
import { COMPILER_TUNING, GO_ENVIRONMENT, type GoBuild } from "../common/go";
import type { Reporter } from "../common/report";
import { WORKSPACE } from "../tools/sources/agent";
import { buildingIn, cargoTargetDir } from "../tools/sources/cargoTarget";
import { prepareTools } from "../tools/toolchain/prepare";
import { withTestNode } from "./node/make";
import { UNDER_TEST } from "./node/underTest";
import { withPackages } from "./package/packed";
import { RUST_REGISTRY, withTestCluster, withTestRegistry } from "./parts";
import { add, cargoCounts, goCounts, nodeTests, stream, testFiles, type Counts } from "./runners";

/** What every suite gets. The set-up fills in `env`. */
export interface SuiteContext {
    /** The project's folder. */
    root: string;
    report: Reporter;
    /** Environment in which every tool is found. */
    env: Record<string, string>;
    /** Whether parts were made by airgap/: then its own tests run too. */
    airgap: boolean;
}

/** One group of tests. */
export interface Suite {
    name: string;
    title: string;
    /** Tests parts that only a machine without the official releases has, and runs. */
    airgapOnly?: boolean;
    run(context: SuiteContext): Promise<Counts>;
}

/** Runs programs that pass or fail as a whole: each is one test. */
async function checks(context: SuiteContext, commands: { argv: string[]; cwd?: string }[]): Promise<Counts> {
    const counts: Counts = { passed: 0, failed: 0 };
    for (const { argv, cwd } of commands) {
        const shown = argv.map((word) => path.basename(word)).join(" ");
        const begun = Date.now();
        const options = { cwd: path.join(context.root, cwd ?? ""), env: context.env, timeoutMinutes: 30 };
        const { exitCode } = await stream(argv, options);
        const ok = exitCode === 0;
        counts[ok ? "passed" : "failed"] += 1;
        console.log(`${ok ? "✔" : "✖"} ${shown} (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
    }
    return counts;
}

const bin = (root: string, name: string) => path.join(root, "node_modules", ".bin", name);

interface TestOptions {
    timeoutMinutes: number;
    /** How many files are run at once. Default: 1. */
    concurrency?: number;
    /** Variables beside the suite's own. Default: none. */
    env?: Record<string, string>;
}

/** Runs all the Node.js tests in folders of the project. */
async function testsIn(context: SuiteContext, folders: string[], options: TestOptions): Promise<Counts> {
    const files = await testFiles(...folders.map((folder) => path.join(context.root, folder)));
    const env = { ...context.env, ...options.env };
    return nodeTests(files, { ...options, cwd: context.root, env });
}

const setUp: Suite = {
    name: "set-up",
    title: "every tool that the stack needs",
    async run(context) {
        const { env, tools } = await prepareTools(context.report);
        context.env = { ...(process.env as Record<string, string>) };
        for (const [name, value] of Object.entries(env)) {
            if (value === undefined) delete context.env[name];
            else context.env[name] = value;
        }
        // All that is compiled goes to the user's cache, so that a second clone finds it.
        context.env.CARGO_TARGET_DIR = await cargoTargetDir(WORKSPACE);
        context.airgap = Object.values(tools).some((tool) => tool.from === "airgap");
        return { passed: 1, failed: 0 };
    },
};

const lint: Suite = {
    name: "lint",
    title: "types, lint and format of TypeScript and Rust",
    run: (context) =>
        buildingIn(WORKSPACE, () =>
            checks(context, [
                { argv: [bin(context.root, "tsc"), "--noEmit"] },
                { argv: [bin(context.root, "eslint"), "."] },
                { argv: [bin(context.root, "prettier"), "--check", "--log-level=warn", "."] },
                { argv: ["cargo", "fmt", "--all", "--check"], cwd: "krustlet" },
                { argv: ["cargo", "fmt", "--all", "--check"], cwd: "workloads" },
                {
                    argv: ["cargo", "clippy", "--workspace", "--all-targets", "--locked", "--quiet"].concat([
                        "--",
                        "-D",
                        "warnings",
                    ]),
                    cwd: "workloads",
                },
                {
                    argv: [
                        "cargo",
                        "clippy",
                        "--release",
                        "--workspace",
                        "--all-targets",
                        "--all-features",
                        "--locked",
                    ].concat(["--quiet", "--", "-D", "warnings"]),
                    cwd: "krustlet",
                },
            ]),
        ),
};

const unit: Suite = {
    name: "unit",
    title: "components with mocks, and every pure decision",
    run: (context) => testsIn(context, ["test/unit", "airgap/test"], { timeoutMinutes: 10, concurrency: 2 }),
};

const supply: Suite = {
    name: "supply",
    title: "what we depend on: sources, licences, pins, advisories where they can be had",
    run: (context) => testsIn(context, ["test/supply"], { timeoutMinutes: 10 }),
};

const rust: Suite = {
    name: "rust",
    title: "node agent, runtime and artifact tool",
    run: (context) =>
        withTestRegistry(context, RUST_REGISTRY, async (address) => {
            const argv = [
                "cargo",
                "test",
                "--release",
                "--workspace",
                // Some tests make network namespaces, which only root may.
                ...(process.getuid?.() === 0
                    ? ["--all-features"]
                    : ["krustlet-wasi", "krustlet-oci", "wasm-oci"].map(
                          (crate) => `--features=${crate}/registry-tests`,
                      )),
                "--locked",
                "--quiet",
            ];
            const { output, exitCode } = await buildingIn(WORKSPACE, () =>
                stream(argv, {
                    cwd: WORKSPACE,
                    env: { ...context.env, KRUSTLET_TEST_REGISTRY: address },
                    timeoutMinutes: 40,
                }),
            );
            return add(cargoCounts(output, exitCode), await workloadTests(context));
        }),
};

/** What the workloads share has tests of its own, which run on this machine and need no WebAssembly. */
async function workloadTests(context: SuiteContext): Promise<Counts> {
    const argv = ["cargo", "test", "--locked", "--quiet", "--package", "cat-facts-core"];
    const { output, exitCode } = await stream(argv, {
        cwd: path.join(context.root, "workloads"),
        env: { ...context.env, CARGO_TARGET_DIR: path.join(context.env.CARGO_TARGET_DIR, "workloads") },
        timeoutMinutes: 10,
    });
    return cargoCounts(output, exitCode);
}

/** Go's tests in a folder; of what airgap/ builds, with the build's own flags, so that what is compiled already serves. */
async function goTests(context: SuiteContext, folder: string, build?: GoBuild): Promise<Counts> {
    const flags = build
        ? ["-trimpath", "-pgo=off", "-vet=off", `-tags=${build.tags?.join(",")}`, "-ldflags=-s -w"]
        : [];
    const go = await stream(["go", "test", "-v", ...flags, ...(build?.packages ?? ["./..."])], {
        cwd: path.join(context.root, folder),
        env: { ...context.env, ...(build ? { ...GO_ENVIRONMENT, ...COMPILER_TUNING } : {}) },
        timeoutMinutes: 10,
    });
    return goCounts(go.output, go.exitCode);
}

const plugins: Suite = {
    name: "plugins",
    title: "the air-gapped stand-ins and plugins against a real cluster and a real Docker",
    airgapOnly: true,
    run: (context) =>
        withTestCluster(context, "krustlet-plugins-test", async ({ kubeconfigFile }) => {
            const runtime = await goTests(context, "airgap/docker/oci-runtime");
            const docker = await goTests(context, "airgap/go", RECIPES["pulumi-resource-docker"].build);
            const node = await testsIn(context, ["airgap/standins", "airgap/go"], {
                env: { KRUSTLET_TEST_KUBECONFIG: kubeconfigFile },
                timeoutMinutes: 15,
                // They have namespaces and names of their own, and wait half of the time.
                concurrency: 2,
            });
            return add(add(runtime, docker), node);
        }),
};

const steps: Suite = {
    name: "steps",
    title: "each step alone, against real things",
    run: (context) => testsIn(context, ["test/steps"], { timeoutMinutes: 15 }),
};

const registries: Suite = {
    name: "registries",
    title: "registries: conformance, logins, other clients",
    run: (context) => testsIn(context, ["test/registries"], { timeoutMinutes: 20 }),
};

/** Runs a folder's tests against a cluster with a node, made for them. */
const onTestNode = (context: SuiteContext, folder: string): Promise<Counts> =>
    withTestNode(context, (file) =>
        testsIn(context, [folder], { env: { [UNDER_TEST]: file }, timeoutMinutes: 20 }),
    );

const node: Suite = {
    name: "node",
    title: "the node agent against a real API server",
    run: (context) => onTestNode(context, "test/node"),
};

const security: Suite = {
    name: "security",
    title: "who gets in: certificates, tokens, the log port",
    run: (context) => onTestNode(context, "test/security"),
};

const stack: Suite = {
    name: "stack",
    title: "the whole stack: up, up again, change, destroy",
    // Each file has names and ports of its own, and looks for what it left by those.
    run: (context) => testsIn(context, ["test/stack"], { timeoutMinutes: 40, concurrency: 2 }),
};

const packageSuite: Suite = {
    name: "package",
    title: "the archives that are published: what they hold, and strangers' stacks that use them",
    run: (context) =>
        withPackages(context, (env) => testsIn(context, ["test/package"], { env, timeoutMinutes: 15 })),
};

/** In the order in which they run: what is quick to fail first. */
export const suites: readonly Suite[] = [
    setUp,
    lint,
    unit,
    supply,
    rust,
    plugins,
    steps,
    registries,
    node,
    security,
    packageSuite,
    stack,
];
