// Runs of the stack's commands in which somebody is killed (SIGKILL) while it is at a resource.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { isAlive, processesThat, type ProcessId } from "../../../steps/lib/processes";
import { nameOf, root, type StackUnderTest, type StateResource } from "../stackUnderTest";

export type Command = "up" | "down";

/** Who is killed: Pulumi itself; or whoever is at the resource: its step, and the plugin of one that is not made by a step. */
export const victims = ["engine", "maker"] as const;
export type Victim = (typeof victims)[number];

/** How a run ended. */
export interface Killed {
    /** What was begun and never came to its end; undefined where nobody was killed, or only after the run's own end. */
    at: string[] | undefined;
    exitCode: number;
    said: string;
}

/** Whom to kill, and where. */
export interface Aim {
    who: Victim;
    isWanted(resource: string): boolean;
    /** What `madeByPlugins` says of it. */
    makerOf(resource: string): string | undefined;
    /** How long after Pulumi has written down that it begins with it, in milliseconds. */
    delayOf(resource: string): number;
}

/** What the engine prints when it begins with a resource: ` +  command:local:Command wasm-registry-ready creating (0s)`. */
const begun = /^ *[-+]+ +(?!krustlet-stack:|pulumi:pulumi:)\S+ (\S+) (?:creating|deleting)\b/gm;
/** When it has come to its end, and when that was a failure. */
const ended = /^ *[-+]+ +\S+ (\S+) (?:created|deleted|\*\*(?:creating|deleting) failed\*\*)/gm;
const failed = /^ *[-+]+ +\S+ (\S+) \*\*(?:creating|deleting) failed\*\*/gm;

const names = (said: string, what: RegExp) => [...said.matchAll(what)].map(([, name]) => name);

/** Runs a command and kills somebody at the first resource that is wanted. What had been begun by then, and is not killed with it, is left to go on. */
export async function killedAt(stack: StackUnderTest, command: Command, aim: Aim): Promise<Killed> {
    const child = spawn(process.execPath, ["tools/run.js", command, "--stack", stack.name], {
        cwd: root,
        env: { ...process.env, KRUSTLET_STACK_HOME: stack.home },
        // Its output and its signals are its own.
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    let over = false;
    let killing: Promise<number> | undefined;
    // The engine is there long before: to look for it only then would take as long as some resources do.
    let engine: ProcessId[] = [];
    const kill = async (resource: string) => {
        const maker = aim.makerOf(resource) ?? "nobody";
        const find = () => (aim.who === "engine" ? engine : processesOf(stack, maker));
        // A plugin is there before its resources: to look for it takes longer than some of them.
        let found = maker.startsWith(PLUGIN) ? find() : [];
        // What is printed is written down only then, and begun after that.
        const isDone = () => over || names(said, ended).includes(resource);
        while (!isDone() && !(await pending(stack)).includes(resource)) await sleep(2);
        // A step starts a moment after its resource.
        for (; found.length === 0 && !isDone(); found = find()) await sleep(2);
        const milliseconds = aim.delayOf(resource);
        if (milliseconds > 0) await sleep(milliseconds);
        return found.filter(killNow).length;
    };
    const heard = (text: Buffer) => {
        said += text.toString();
        if (aim.who === "engine" && engine.length === 0) engine = enginesOf(stack);
        const wanted = names(said, begun).find((resource) => aim.isWanted(resource));
        if (wanted !== undefined) killing ??= kill(wanted);
    };
    child.stdout.on("data", heard);
    child.stderr.on("data", heard);
    const exitCode = await new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 1)));
    over = true;
    const isKilled = ((await killing) ?? 0) > 0 && exitCode !== 0;
    const at = async () => (aim.who === "engine" ? await pending(stack) : [...new Set(names(said, failed))]);
    return { at: isKilled ? await at() : undefined, exitCode, said };
}

function killNow(target: ProcessId): boolean {
    return isAlive(target) && process.kill(target.pid, "SIGKILL");
}

/** Not that of `pulumi stack init` or `pulumi refresh`, which come before it. */
function enginesOf(stack: StackUnderTest): ProcessId[] {
    return processesThat(
        (argv) =>
            path.basename(argv[0] ?? "") === "pulumi" &&
            ["up", "destroy"].includes(argv[1]) &&
            argv.includes(stack.name),
    );
}

/** The processes of a step, by its path, or of a plugin, by its program's name. */
function processesOf(stack: StackUnderTest, maker: string): ProcessId[] {
    const pluginsOf = (isWanted: (program: string) => boolean) =>
        // A script stands behind its interpreter.
        processesThat((argv) =>
            argv.slice(0, 2).some((one) => one.startsWith(stack.home) && isWanted(path.basename(one))),
        );
    if (maker.startsWith(PLUGIN)) return pluginsOf((program) => program === maker);
    const parents = pluginsOf((program) => program.startsWith(PLUGIN)).map(({ pid }) => pid);
    return processesThat((argv, pid) => argv.includes(maker) && parents.includes(parentOf(pid)));
}

const parentOf = (pid: number) =>
    Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

const PLUGIN = "pulumi-resource-";

/** What the engine has begun and not brought to its end. */
async function pending(stack: StackUnderTest): Promise<string[]> {
    const operations = (await stack.state())?.pending_operations ?? [];
    return operations.map(({ resource }) => nameOf(resource.urn));
}

/** A resource, and who makes and who deletes it: a step, or the plugin. */
export interface Made {
    name: string;
    makers: Record<Command, string | undefined>;
}

/** Each resource of a stack that is made by a plugin. */
export async function madeByPlugins(stack: StackUnderTest): Promise<Made[]> {
    return (await stack.resources())
        .filter(({ urn, custom }) => custom === true && !urn.includes("::default_"))
        .map((one) => ({ name: nameOf(one.urn), makers: makersOf(one) }));
}

function makersOf({ type, inputs }: StateResource): Made["makers"] {
    // Pulumi has the plugin configured and does not wait for that: what comes of it is met at the resources of the provider.
    if (type.startsWith("pulumi:providers:")) return { up: undefined, down: undefined };
    const plugin = `${PLUGIN}${type.slice(0, type.indexOf(":"))}`;
    if (type !== "command:local:Command") return { up: plugin, down: plugin };
    const { create, delete: undo } = inputs as { create: string; delete?: string };
    return { up: create, down: undo };
}
