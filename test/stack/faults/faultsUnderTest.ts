// A stack to which things happen between two updates, with things of its user's in it.
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { before, describe, it } from "node:test";
import { presentProgram } from "../../../steps/lib/programs/programs";
import { processesThat, processesWith } from "../../../steps/lib/processes";
import { run } from "../../../steps/lib/run";
import { until } from "../../until";
import { leftovers, nameOf, nothing, root, StackUnderTest, type StackConfig } from "../stackUnderTest";

export async function docker(...args: string[]): Promise<string> {
    return (await run(["docker", ...args], { timeoutSeconds: 120 })).stdout.trim();
}

/** Something that happens, and what becomes of it. Those of one round happen together, and one update mends them all. */
export interface Fault {
    what: string;
    happens: () => Promise<unknown>;
    /** What the preview says of it; unset: nothing. */
    says?: RegExp;
    /** Whether the preview takes more for replaced than is: nothing tells it what a step will print. */
    unsure?: boolean;
    /** What the update prints when it mends it. */
    mends: RegExp[];
    /** What is so afterwards. */
    after?: () => Promise<void>;
}

/** What an update and the previews around it printed. */
interface Round {
    plan: string;
    up: string;
}

export class FaultyStack {
    private constructor(
        readonly stack: StackUnderTest,
        /** Name of its cluster, and the beginning of what it has else. */
        readonly cluster: string,
        private readonly names: string[],
    ) {}

    /** Undoes what was made, by those of its steps that are wanted, in the order that Pulumi would, and tells it nothing. Returns the names. */
    async undo(isWanted: (step: string) => boolean): Promise<string[]> {
        const found = (await this.stack.resources()).filter(
            ({ inputs: { delete: step } = {} }) =>
                typeof step === "string" && isWanted(path.posix.basename(step)),
        );
        for (const { inputs, outputs } of found.reverse()) {
            const [command, ...args] = inputs?.interpreter as string[];
            await run([command, ...args, inputs?.delete as string], {
                cwd: root,
                input: inputs?.stdin as string,
                env: {
                    ...process.env,
                    ...(inputs?.environment as object),
                    KRUSTLET_STACK_HOME: this.stack.home,
                    PULUMI_COMMAND_STDOUT: outputs?.stdout as string,
                },
                timeoutSeconds: 120,
            });
        }
        return found.map(({ urn }) => nameOf(urn));
    }

    /** UID of the cluster's kube-system namespace. */
    private identity = "";
    /** A file in an emptyDir of a pod of the user's. */
    private marker = "";
    /** How many containers hold addresses. */
    private sleepers = 0;

    static async create(name: string, cluster: string): Promise<FaultyStack> {
        const stack = await StackUnderTest.create(name);
        return new FaultyStack(stack, cluster, [cluster, `krustlet-stack-${name}-`, stack.home]);
    }

    get controlPlane(): string {
        return `${this.cluster}-control-plane`;
    }

    async configure(config: StackConfig): Promise<void> {
        await this.stack.configure(config);
    }

    async up(): Promise<string> {
        const { stdout, stderr, exitCode } = await this.stack.npmRun("up");
        assert.equal(exitCode, 0, stdout + stderr);
        return stdout + stderr;
    }

    async down(): Promise<void> {
        const { stdout, stderr, exitCode } = await this.stack.npmRun("down");
        assert.equal(exitCode, 0, stdout + stderr);
        assert.deepEqual(await leftovers(...this.names), nothing);
    }

    async preview(...options: string[]): Promise<string> {
        const { stdout, stderr, exitCode } = await this.stack.pulumi(
            `preview --stack ${this.stack.name} ${options.join(" ")}`,
        );
        assert.equal(exitCode, 0, stdout + stderr);
        return stdout;
    }

    /** Puts something of the user's into the cluster and the registry. */
    async moveIn(node: string, stateDir: string, registry: string, image: string): Promise<void> {
        this.identity = await this.uid();
        await this.stack.kubectl("create", "configmap", "mine", "--from-literal=a=b");
        const pod = {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name: "mine" },
            spec: {
                nodeName: node,
                tolerations: [{ operator: "Exists" }],
                containers: [{ name: "mine", image, volumeMounts: [{ name: "kept", mountPath: "/kept" }] }],
                volumes: [{ name: "kept", emptyDir: {} }],
            },
        };
        const file = path.join(this.stack.home, "mine.json");
        await fs.writeFile(file, JSON.stringify(pod));
        await this.stack.kubectl("apply", `--filename=${file}`);
        await this.stack.kubectl("wait", "--for=condition=Ready", "pod/mine", "--timeout=60s");
        const folder = await until("the emptyDir", async () => {
            const all = await fs.readdir(stateDir, { recursive: true });
            return all.find((one) => path.basename(one) === "kept");
        });
        this.marker = path.join(stateDir, folder, "mine.txt");
        await fs.writeFile(this.marker, "mine");
        const module = path.join(this.stack.home, "mine.wasm");
        await fs.writeFile(module, Buffer.from("0061736d01000000", "hex"));
        const wasmOci = await presentProgram("wasm-oci");
        assert.ok(wasmOci);
        await run([wasmOci, "push", module, `${registry}/mine:v1`, `--plain-http=${registry}`]);
    }

    private uid(): Promise<string> {
        return this.stack.kubectl("get", "namespace", "kube-system", "--output=jsonpath={.metadata.uid}");
    }

    /** The cluster is the one of before, with all that is the user's. */
    async nothingLost(registry: string): Promise<void> {
        assert.equal(await this.uid(), this.identity);
        assert.equal(
            await this.stack.kubectl("get", "configmap", "mine", "--output=jsonpath={.data.a}"),
            "b",
        );
        assert.equal(await fs.readFile(this.marker, "utf8"), "mine");
        await this.stack.kubectl("wait", "--for=condition=Ready", "pod/mine", "--timeout=60s");
        const tags = await fetch(`http://${registry}/v2/mine/tags/list`);
        assert.deepEqual(((await tags.json()) as { tags: string[] }).tags, ["v1"]);
    }

    /** Id of a node's agent; undefined: none runs. */
    findAgent(node: string): number | undefined {
        return processesThat(
            (argv) => path.basename(argv[0]) === "krustlet-wasi" && argv.includes(`--node-name=${node}`),
        ).at(0)?.pid;
    }

    /** Id of a node's agent. */
    agent(node: string): number {
        const pid = this.findAgent(node);
        assert.ok(pid !== undefined, `the agent of ${node} runs`);
        return pid;
    }

    /** Ends a node's agent and its supervisor, as a reboot does. */
    endAgent(node: string): void {
        for (const { pid } of processesWith(`--node-name=${node}`)) process.kill(pid, "SIGKILL");
    }

    /** Id of a node's approver; undefined: none runs. */
    findApprover(node: string): number | undefined {
        return processesThat(
            (argv) =>
                path.basename(argv[0]) === "krustlet-approver" &&
                argv.some((one) => one.startsWith("--state-dir=") && one.endsWith(node)),
        ).at(0)?.pid;
    }

    /** Ends a node's approver and its supervisor. */
    endApprover(node: string): void {
        const all = processesThat((argv) =>
            argv.some((one) => one.startsWith("--state-dir=") && one.endsWith(node)),
        );
        assert.equal(all.length, 2, "the approver and its supervisor");
        for (const { pid } of all) process.kill(pid, "SIGKILL");
    }

    /** Address of the control plane; none where it has stopped. */
    async address(): Promise<string> {
        const format = "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}";
        return docker("inspect", `--format=${format}`, this.controlPlane);
    }

    /** Gives an address to another container, where whoever had it has stopped. Returns what ends it. */
    async takeAddress(address: string): Promise<() => Promise<unknown>> {
        const image = await docker("inspect", "--format={{.Config.Image}}", this.controlPlane);
        const sleepers: string[] = [];
        const end = async () => {
            if (sleepers.length > 0) await docker("rm", "--force", "--volumes", ...sleepers);
        };
        // A container of another stack's may come by it as well as one of ours: either keeps it from who had it.
        const taken = async () =>
            (await docker("network", "inspect", "kind", "--format={{json .Containers}}")).includes(
                `"${address}/`,
            );
        for (let index = 0; index < 20 && !(await taken()); index++) {
            const name = `${this.cluster}-sleeper-${this.sleepers++}`;
            const how = ["--network=kind", `--name=${name}`, "--entrypoint=sleep"];
            await docker("run", "--detach", "--rm", ...how, image, "3600");
            sleepers.push(name);
        }
        if (await taken()) return end;
        await end();
        throw new Error(`none of ${sleepers.length} containers got ${address}`);
    }

    /** Lets things happen, and mends them by an update. */
    async round(faults: Fault[]): Promise<Round> {
        for (const { happens } of faults) await happens();
        const plan = await this.preview();
        return { plan, up: await this.up() };
    }
}

/** Faults that happen to a stack together, and what is asked of each. `registry` is where it keeps what is the user's. */
export function happenTogether(
    title: string,
    faults: Fault[],
    registry: string,
    stack: () => FaultyStack,
): void {
    void describe(title, () => {
        let seen: Round;
        before(async () => {
            seen = await stack().round(faults);
        });
        void it("what the preview replaces is what the update replaces", () => {
            const { plan, up } = seen;
            const unsure = faults.some((fault) => fault.unsure);
            const planned = replaced(plan).filter((name) => !unsure || replaced(up).includes(name));
            assert.deepEqual(planned, replaced(up));
        });
        for (const { what, says, mends, after: then } of faults) {
            void it(what, async () => {
                if (says) assert.match(seen.plan, says);
                for (const words of mends) assert.match(seen.up, words);
                await then?.();
            });
        }
        void it("nothing of the user's is lost, the workload's log is there, and nothing is left to do", async () => {
            await stack().nothingLost(registry);
            assert.match(seen.up, /^Hello, World!$/m);
            await stack().preview("--expect-no-changes");
        });
    });
}

const replaced = (printed: string) =>
    [...new Set([...printed.matchAll(/\+- +\S+ (\S+) replac/g)].map(([, name]) => name))].sort();
