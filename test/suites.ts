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
        const { exitCode } = await stream(argv, { ...options, shown: (output) => output });
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
    atOnce?: number;
    /** Files that take longest, by the ends of their names: they begin first. Default: none. */
    longest?: string[];
    /** Files that others would disturb, or that would disturb others: they come last, one by one. Default: none. */
    alone?: string[];
    /** Variables beside the suite's own. Default: none. */
    env?: Record<string, string>;
}

/** Runs all the Node.js tests in folders of the project. */
async function testsIn(
    context: SuiteContext,
    folders: string[],
    { longest = [], alone = [], atOnce, ...options }: TestOptions,
): Promise<Counts> {
    const files = await testFiles(...folders.map((folder) => path.join(context.root, folder)));
    const named = (names: string[]) =>
        names.map((name) => {
            const found = files.find((file) => file.endsWith(`/${name}.test.ts`));
            if (found === undefined) throw new Error(`no test file is called ${name}`);
            return found;
        });
    const [first, last] = [named(longest), named(alone)];
    const others = files.filter((file) => !first.includes(file) && !last.includes(file));
    const run = {
        ...options,
        report: context.report,
        cwd: context.root,
        env: { ...context.env, ...options.env },
    };
    const beside = await nodeTests([...first, ...others], { ...run, atOnce });
    return last.length === 0 ? beside : add(beside, await nodeTests(last, run));
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
    run: (context) => testsIn(context, ["test/unit", "airgap/test"], { timeoutMinutes: 10, atOnce: 2 }),
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
                // One test that fails is not to hide what the others show.
                "--no-fail-fast",
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
    title: "the air-gapped stand-ins, plugins and node image against a real cluster and a real Docker",
    airgapOnly: true,
    run: (context) =>
        withTestCluster(context, "krustlet-plugins-test", async ({ kubeconfigFile }) => {
            const runtime = await goTests(context, "airgap/docker/oci-runtime");
            const docker = await goTests(context, "airgap/go", RECIPES["pulumi-resource-docker"].build);
            const node = await testsIn(context, ["airgap/standins", "airgap/go", "test/nodeImage"], {
                env: { KRUSTLET_TEST_KUBECONFIG: kubeconfigFile },
                timeoutMinutes: 15,
                // They have namespaces and names of their own, and wait half of the time.
                atOnce: 2,
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

const node: Suite = {
    name: "node",
    title: "the node agent against a real API server, and who gets in: certificates, tokens, the log port",
    run: (context) =>
        withTestNode(context, (file) =>
            testsIn(context, ["test/node", "test/security"], {
                env: { [UNDER_TEST]: file },
                timeoutMinutes: 20,
                // Each has a namespace of its own, and this one waits most of the time.
                atOnce: 2,
                longest: ["node/workloads"],
                // They end the agent or the API server, look at all of its files, measure it, bring another node, or keep the
                // machine busy with containers: `node/kubelet` after the one that begins with a kubelet without a certificate.
                alone: [
                    "security/files",
                    "security/servingCertificates",
                    "node/kubelet",
                    "node/api",
                    "node/resilience",
                    "node/outages",
                    "hostile/hostFaults",
                    "measured/figures",
                    "measured/scale",
                    "measured/serverFigures",
                    "hostile/clients",
                    "hostile/tenants",
                    "security/renewal",
                ],
            }),
        ),
};

const stack: Suite = {
    name: "stack",
    title: "the whole stack: up, up again, change, destroy",
    // Each file has names and ports of its own, and looks for what it left by those.
    run: (context) =>
        testsIn(context, ["test/stack"], {
            timeoutMinutes: 40,
            // A stack in the making takes a processor nearly all of the time: more at once would only wait for one.
            atOnce: 2,
            longest: [
                "faults/mended",
                "stack/workloads",
                "faults/changed",
                "stack/upgrade",
                "faults/ended",
                "stack/containerNode",
            ],
        }),
};

const packageSuite: Suite = {
    name: "package",
    title: "the archives that are published: what they hold, and strangers' stacks that use them",
    run: (context) =>
        withPackages(context, (env) => testsIn(context, ["test/package"], { env, timeoutMinutes: 15 })),
};

/** In the order in which they run, those of a stage beside each other: what is quick to fail first. */
export const stages: readonly (readonly Suite[])[] = [
    [setUp],
    [lint, unit, supply],
    // What is compiled takes all processors; what has a cluster of its own takes nearly one.
    [rust],
    [plugins],
    [steps],
    [registries],
    [node],
    // It looks at all there is on this host: nothing comes or goes beside it.
    [packageSuite],
    [stack],
];
