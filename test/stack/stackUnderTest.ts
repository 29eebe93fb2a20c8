// A stack of the real program, beside whatever else runs on this machine: its own name, cluster, ports and home folder.
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { readOptional } from "../../steps/lib/files";
import { run, type RunResult } from "../../steps/lib/run";
import { homesOf, removeTestCluster, removeTestStack } from "../killedRun";

export const root = path.resolve(__dirname, "../..");

/** One resource of a state file. */
export interface StateResource {
    urn: string;
    type: string;
    custom?: boolean;
    id?: string;
    created?: string;
    modified?: string;
    inputs?: Record<string, unknown>;
    outputs?: Record<string, unknown>;
}

/** Name of a resource. */
export const nameOf = (urn: string): string => urn.slice(urn.lastIndexOf("::") + 2);

export interface State {
    resources?: StateResource[];
    /** What a run that was killed was at. */
    pending_operations?: { resource: StateResource }[];
}

/** Configuration by key, as in Pulumi.<stack>.yaml; written as JSON, which is YAML too. */
export type StackConfig = Record<string, unknown>;

/** What is on this machine that a stack could leave behind. */
export interface Leftovers {
    containers: string[];
    networks: string[];
    volumes: string[];
    agents: string[];
}

async function lines(argv: string[]): Promise<string[]> {
    const { stdout } = await run(argv);
    return stdout.split("\n").filter(Boolean).sort();
}

/** Command lines of the node agents that run. */
async function agents(): Promise<string[]> {
    const found: string[] = [];
    for (const pid of await fs.readdir("/proc")) {
        if (!/^\d+$/.test(pid)) continue;
        const argv = await fs.readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "");
        if (path.basename(argv.split("\0")[0]) === "krustlet-wasi")
            found.push(argv.replaceAll("\0", " ").trim());
    }
    return found.sort();
}

/**
 * What there is that has one of these names in its own; all there is when none is given. Tests that run beside others name their own, and say
 * nothing of networks: kind's is one for all clusters.
 */
export async function leftovers(...names: (string | RegExp)[]): Promise<Leftovers> {
    const [containers, networks, volumes, running] = await Promise.all([
        lines(["docker", "ps", "--all", "--format", "{{.Names}}"]),
        lines(["docker", "network", "ls", "--format", "{{.Name}}"]),
        lines(["docker", "volume", "ls", "--format", "{{.Name}}"]),
        agents(),
    ]);
    const own = (all: string[]) => all.filter((one) => names.some((name) => one.search(name) >= 0));
    return names.length === 0
        ? { containers, networks, volumes, agents: running }
        : { containers: own(containers), networks: [], volumes: own(volumes), agents: own(running) };
}

/** Nothing of what has such names. */
export const nothing: Leftovers = { containers: [], networks: [], volumes: [], agents: [] };

/** What a killed run may have left that this process has cleared away: what stands of it now is its own, or a test's. */
const cleared = new Set<string>();
const isFirst = (what: string): boolean => !cleared.has(what) && cleared.add(what).has(what);

export class StackUnderTest {
    private constructor(
        readonly name: string,
        /** KRUSTLET_STACK_HOME of this stack alone. */
        readonly home: string,
        private readonly configFile: string,
    ) {}

    private clusterName = "";
    /** The kind cluster that it makes. */
    private ownCluster: string | undefined;

    static async create(name: string): Promise<StackUnderTest> {
        if (isFirst(`stack ${name}`)) await removeTestStack(name);
        const home = await fs.mkdtemp(homesOf(name));
        return new StackUnderTest(name, home, path.join(root, `Pulumi.${name}.yaml`));
    }

    async configure(config: StackConfig): Promise<void> {
        const { clusterName, clusterContext } = config as { clusterName: string; clusterContext?: string };
        this.clusterName = clusterContext ?? clusterName;
        if (clusterContext === undefined) this.ownCluster = clusterName;
        if (clusterContext === undefined && isFirst(`cluster of ${this.name}`))
            await removeTestCluster(clusterName);
        const keys: StackConfig = {};
        for (const [key, value] of Object.entries(config)) keys[`krustlet-stack:${key}`] = value;
        await fs.writeFile(this.configFile, `${JSON.stringify({ config: keys }, null, 4)}\n`);
    }

    /** The copy of its configuration that `npm run up` works with. */
    get configCopy(): string {
        return path.join(this.home, "config/krustlet-stack", `Pulumi.${this.name}.yaml`);
    }

    private get env(): Record<string, string> {
        return { KRUSTLET_STACK_HOME: this.home };
    }

    /** `npm run <command>`; npm itself adds only its own start-up time, so the script is run straight. */
    npmRun(command: "up" | "down" | "status", env: Record<string, string> = {}): Promise<RunResult> {
        return run([process.execPath, "tools/run.js", command, "--stack", this.name], {
            cwd: root,
            env: { ...this.env, ...env },
            allowFailure: true,
            timeoutSeconds: 900,
        });
    }

    /** What `npm run env` prints: it is the same for as long as the tools are. */
    private exports: string | undefined;

    /** Plain `pulumi` in the environment that `npm run env` gives. */
    async pulumi(args: string, env: Record<string, string> = {}): Promise<RunResult> {
        const options = { cwd: root, env: { ...this.env, ...env } };
        const argv = [process.execPath, "tools/run.js", "env", "--stack", this.name];
        this.exports ??= (await run(argv, options)).stdout;
        const script = `${this.exports}\nexec pulumi ${args}`;
        return run(["/bin/sh", "-ec", script], { ...options, allowFailure: true, timeoutSeconds: 900 });
    }

    /** What Pulumi has written down, in its own file; undefined: nothing, or no more. */
    async state(): Promise<State | undefined> {
        const file = path.join(this.home, "backend/.pulumi/stacks/krustlet-stack", `${this.name}.json`);
        const text = await readOptional(file);
        return text ? (JSON.parse(text) as { checkpoint: { latest: State } }).checkpoint.latest : undefined;
    }

    async resources(): Promise<StateResource[]> {
        return (await this.state())?.resources ?? [];
    }

    async outputs(): Promise<Record<string, unknown>> {
        const { stdout } = await this.pulumi(`stack output --json --show-secrets --stack ${this.name}`);
        return JSON.parse(stdout) as Record<string, unknown>;
    }

    /** The stack's own file of the admin kubeconfig, where the program puts it. */
    get kubeconfig(): string {
        return path.join(this.home, "kubeconfig", `krustlet-stack-${this.name}-${this.clusterName}`);
    }

    async kubectl(...args: string[]): Promise<string> {
        const { stdout } = await run(["kubectl", "--kubeconfig", this.kubeconfig, ...args]);
        return stdout;
    }

    /** Every file below the stack's home folder. */
    async files(): Promise<string[]> {
        const all = await fs.readdir(this.home, { recursive: true }).catch(() => [] as string[]);
        return all.sort();
    }

    /** Takes the stack down, whatever a killed run has left of its state; fails where that leaves anything. */
    async remove(): Promise<void> {
        const { stdout, stderr, exitCode } = await this.npmRun("down");
        const claims = await fs.readdir(path.join(this.home, "claims")).catch(() => []);
        await fs.rm(this.configFile, { force: true });
        const isDown = exitCode === 0 && claims.length === 0;
        if (isDown) return fs.rm(this.home, { recursive: true, force: true });
        // What is left would be in the way of the next ones.
        await removeTestStack(this.name);
        if (this.ownCluster !== undefined) await removeTestCluster(this.ownCluster);
        throw new Error(
            `stack ${this.name} has left claims ${claims.join(", ") || "none"}:\n${stdout}${stderr}`,
        );
    }
}
