/**
 * The package in a stranger's hands, by the real engine. Two runs cover all axes: installed by npm, run by the CLI on a kind cluster of its
 * own, in a project that is moved; installed by pnpm, run from an Automation API program, whose workspace is a temporary folder, on a
 * cluster that plain kind made.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import * as typescript from "typescript";
import { runStep } from "../parts";
import { createPlainCluster } from "../plainCluster";
import { leftovers, type Leftovers } from "../stack/stackUnderTest";
import { packages, readmeProgram, root, withParts } from "./packed";
import { Stranger } from "./stranger";

const clusterName = "krustlet-package-test";
const plainName = "krustlet-package-plain";

const packed = packages();
let program: string;
let hello: string;
let atFirst: Leftovers;
before(async () => {
    atFirst = await leftovers();
    program = withParts(await readmeProgram(), {
        '"demo"': JSON.stringify(clusterName),
        "5002": "5097",
        "3001": "3097",
    });
    const source = path.join(root, "workloads/hello-world");
    hello = (await runStep({ root, env: process.env as Record<string, string> }, "buildModule", { source }))
        .file;
});

interface StoredCommand {
    urn: string;
    type: string;
    inputs: { interpreter: string[]; create: string; delete?: string; environment: Record<string, string> };
}

/** How the commands of a state find their steps, by the commands' names. */
function stepsOf(state: string): Record<string, unknown> {
    const { deployment } = JSON.parse(state) as { deployment: { resources: StoredCommand[] } };
    return Object.fromEntries(
        deployment.resources
            .filter(({ type }) => type === "command:local:Command")
            .map(({ urn, inputs }) => {
                const { interpreter, create, delete: undo, environment } = inputs;
                return [urn.slice(urn.lastIndexOf("::") + 2), { interpreter, create, undo, environment }];
            }),
    );
}
const stored: Record<string, unknown>[] = [];

/** What each run must come to once it is up. */
async function isUp(stranger: Stranger, state: string, outputs: Record<string, string>): Promise<void> {
    const log = await stranger.run("sh", "-c", `KUBECONFIG='${outputs.admin}' ${outputs.logs}`);
    assert.equal(log.stdout, "Hello, World!\n");
    const steps = stepsOf(state);
    const text = JSON.stringify(steps);
    for (const place of [packed.folder, root, process.env.HOME ?? root])
        assert.ok(!text.includes(place), text);
    stored.push(steps);
}

void describe("installed by npm, run by the CLI, on a cluster of its own", { timeout: 900_000 }, () => {
    let stranger: Stranger;
    before(async () => {
        stranger = await Stranger.create("by-npm", packed);
        await stranger.write("index.ts", program);
        await stranger.write("Pulumi.yaml", "name: strangers\nruntime: nodejs\n");
        await fs.copyFile(hello, path.join(stranger.folder, "hello.wasm"));
        await stranger.install("npm", packed);
        await stranger.run("pulumi", "stack", "init", "npm");
    });
    after(() => stranger.run("pulumi", "destroy", "--yes", "--skip-preview", "--stack", "npm"));

    void it("has types, however TypeScript resolves modules", async () => {
        const { ModuleResolutionKind, resolveModuleName, sys } = typescript;
        const { Node10, Node16, NodeNext, Bundler } = ModuleResolutionKind;
        for (const moduleResolution of [Node10, Node16, NodeNext, Bundler]) {
            const importer = path.join(stranger.folder, "index.ts");
            const { resolvedModule } = resolveModuleName(
                "krustlet-stack",
                importer,
                { moduleResolution },
                sys,
            );
            const file = path.join(stranger.folder, "node_modules/krustlet-stack/dist/components/index.d.ts");
            assert.equal(resolvedModule?.resolvedFileName, file, ModuleResolutionKind[moduleResolution]);
        }
        // The oldest way here, the newest in the other run: each time the compiler reads all types of Pulumi's SDKs.
        const wrong = 'import { KindCluster } from "krustlet-stack";\nnew KindCluster("c", { name: 5 });\n';
        await stranger.write("wrong.ts", wrong);
        const options = { module: "commonjs", moduleResolution: "node10" };
        const said = await stranger.typeErrors(options, "index.ts", "wrong.ts");
        assert.match(said, /^wrong\.ts\(2,\d+\): error TS2322: [^\n]*\n( {2}[^\n]*\n)*$/);
    });

    void it("is imported by an ECMAScript module, by name", async () => {
        await stranger.write(
            "names.mjs",
            'import { KrustletNode } from "krustlet-stack";\nconsole.log(KrustletNode.name);\n',
        );
        assert.equal((await stranger.run(process.execPath, "names.mjs")).stdout, "KrustletNode\n");
    });

    void it("comes up, has nothing to do when it was moved, and goes", async () => {
        await stranger.run("pulumi", "up", "--yes", "--skip-preview");
        const outputs = JSON.parse(
            (await stranger.run("pulumi", "stack", "output", "--json")).stdout,
        ) as Record<string, string>;
        const state = (await stranger.run("pulumi", "stack", "export", "--show-secrets")).stdout;
        await isUp(stranger, state, outputs);
        for (const place of [packed.folder, root]) assert.ok(!state.includes(place));
        await stranger.move("moved");
        await stranger.run("pulumi", "preview", "--expect-no-changes", "--stack", "npm");
        await stranger.run("pulumi", "destroy", "--yes", "--skip-preview", "--stack", "npm");
        assert.deepEqual(await leftovers(), atFirst);
    });
});

void describe(
    "installed by pnpm, run from an Automation API program, on a cluster that plain kind made",
    { timeout: 900_000 },
    () => {
        let stranger: Stranger;
        let kubeconfig: string;
        let removeCluster: () => Promise<void>;
        before(async () => {
            kubeconfig = path.join(packed.folder, "kubeconfig");
            stranger = await Stranger.create("by-pnpm", packed);
            await fs.copyFile(hello, path.join(stranger.folder, "hello.wasm"));
            const existing = withParts(program, {
                "import { KindCluster,": "import { ExistingCluster,",
                [`new KindCluster("cluster", { name: "${clusterName}" })`]: `new ExistingCluster("cluster", { context: "kind-${plainName}", kubeconfigFile: "${kubeconfig}" })`,
            });
            await stranger.write("main.ts", inline(existing));
            await stranger.install("pnpm", packed);
            const compiled = await stranger.typeErrors({ module: "nodenext", noEmit: false }, "main.ts");
            assert.equal(compiled, "");
            removeCluster = await createPlainCluster(plainName, kubeconfig);
        });
        after(async () => {
            await stranger.run(process.execPath, "main.js", "destroy");
            await removeCluster();
        });

        void it("comes up, stores the same commands, and goes", async () => {
            const withCluster = await leftovers();
            const { stdout } = await stranger.run(process.execPath, "main.js", "up");
            const { state, outputs } = JSON.parse(stdout) as {
                state: object;
                outputs: Record<string, string>;
            };
            await isUp(stranger, JSON.stringify(state), outputs);
            const [first, second] = stored.map(({ ...steps }) => {
                for (const name of Object.keys(steps)) if (name.startsWith("cluster")) delete steps[name];
                return steps;
            });
            assert.ok(Object.keys(second).length >= 6, Object.keys(second).join(", "));
            assert.deepEqual(second, first);
            await stranger.run(process.execPath, "main.js", "destroy");
            assert.deepEqual(await leftovers(), withCluster);
        });
    },
);

/** README's program as the function of an Automation API program, which does what its argument says. */
function inline(text: string): string {
    const [imports, body] = [/^import .*$/gm, /^(?!import ).*$/gm].map((lines) =>
        (text.match(lines) ?? []).join("\n"),
    );
    const names = [...body.matchAll(/^export const (\w+)/gm)].map((match) => match[1]);
    return `${imports}
import { LocalWorkspace } from "@pulumi/pulumi/automation";
async function program() {
${body.replaceAll("export const", "const").replaceAll('"hello.wasm"', "`${__dirname}/hello.wasm`")}
    return { ${names.join(", ")} };
}
async function main() {
    const stack = await LocalWorkspace.createOrSelectStack({ stackName: "pnpm", projectName: "strangers", program });
    if (process.argv[2] === "destroy") return void (await stack.destroy());
    const { outputs } = await stack.up();
    const values = Object.fromEntries(Object.entries(outputs).map(([name, { value }]) => [name, value as unknown]));
    console.log(JSON.stringify({ state: await stack.exportStack(), outputs: values }));
}
void main();
`;
}
