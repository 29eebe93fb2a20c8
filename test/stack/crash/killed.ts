// Runs of the stack's commands in which somebody is killed (SIGKILL) while it is at a resource.
import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { processesThat, type ProcessId } from "../../../steps/lib/processes";
import { root, type StackUnderTest } from "../stackUnderTest";

/** Who is killed: Pulumi itself; or whoever is at the resource: its step, and the plugin of one that has none. */
export const victims = ["engine", "maker"] as const;
export type Victim = (typeof victims)[number];

/** How a run ended. */
export interface Killed {
    /** What was begun and never came to its end; undefined where the run came to its own before anybody was killed. */
    at: string[] | undefined;
    exitCode: number;
    said: string;
}

/** What the engine prints when it begins with a resource: ` +  command:local:Command wasm-registry-ready creating (0s)`. */
const begun = /^ *[-+]+ +(?!krustlet-stack:|pulumi:pulumi:)(\S+) (\S+) (?:creating|deleting)\b/gm;
/** And when that has failed. */
const failed = /^ *[-+]+ +\S+ (\S+) \*\*(?:creating|deleting) failed\*\*/gm;

/**
 * Runs a command and kills somebody when it begins with a resource that is wanted, `delayOf` it in milliseconds later. What had been begun by
 * then, and is not killed with it, is left to go on.
 */
export async function killedAt(
    stack: StackUnderTest,
    command: "up" | "down",
    isWanted: (resource: string) => boolean,
    who: Victim,
    delayOf: (resource: string) => number = () => 0,
): Promise<Killed> {
    const child = spawn(process.execPath, ["tools/run.js", command, "--stack", stack.name], {
        cwd: root,
        env: { ...process.env, KRUSTLET_STACK_HOME: stack.home },
        // Its output and its signals are its own.
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    let over = false;
    let killing: Promise<void> | undefined;
    // The engine is there long before: to look for it only then would take as long as some resources do.
    let engine: ProcessId[] = [];
    const kill = async (type: string, resource: string) => {
        let found = who === "engine" ? engine : processesOf(stack, who, type);
        // A step starts a moment after its resource.
        for (; found.length === 0 && !over; found = processesOf(stack, who, type)) await sleep(5);
        const milliseconds = delayOf(resource);
        if (milliseconds > 0) await sleep(milliseconds);
        for (const { pid } of found) killNow(pid);
    };
    const heard = (text: Buffer) => {
        said += text.toString();
        if (who === "engine" && engine.length === 0) engine = processesOf(stack, who, "");
        const wanted = [...said.matchAll(begun)].find(([, , resource]) => isWanted(resource));
        if (wanted) killing ??= kill(wanted[1], wanted[2]);
    };
    child.stdout.on("data", heard);
    child.stderr.on("data", heard);
    const exitCode = await new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 1)));
    over = true;
    await killing;
    const killed = killing !== undefined && exitCode !== 0;
    const names = () => [...new Set([...said.matchAll(failed)].map(([, name]) => name))];
    return { at: killed ? (who === "engine" ? await pending(stack) : names()) : undefined, exitCode, said };
}

function killNow(pid: number): void {
    try {
        process.kill(pid, "SIGKILL");
    } catch {
        // It had come to its end.
    }
}

function processesOf(stack: StackUnderTest, who: Victim, type: string): ProcessId[] {
    // Not that of `pulumi stack init` or `pulumi refresh`, which come before it.
    if (who === "engine")
        return processesThat(
            (argv) =>
                path.basename(argv[0] ?? "") === "pulumi" &&
                ["up", "destroy"].includes(argv[1]) &&
                argv.includes(stack.name),
        );
    const plugin = /^(?:pulumi:providers:)?(\w+)/.exec(type)?.[1];
    // A script stands behind its interpreter.
    const plugins = processesThat((argv) =>
        argv
            .slice(0, 2)
            .some((one) => one.startsWith(stack.home) && path.basename(one) === `pulumi-resource-${plugin}`),
    );
    if (type !== "command:local:Command") return plugins;
    const parents = plugins.map(({ pid }) => pid);
    return processesThat((_, pid) => parents.includes(parentOf(pid)));
}

const parentOf = (pid: number) =>
    Number(/^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1]);

const nameOf = (urn: string) => urn.slice(urn.lastIndexOf("::") + 2);

/** What the engine was at when it was killed. */
async function pending(stack: StackUnderTest): Promise<string[]> {
    const operations = (await stack.state())?.pending_operations ?? [];
    return operations.map(({ resource }) => nameOf(resource.urn));
}

/** Each resource of a stack that is made by a plugin. */
export async function madeByPlugins(stack: StackUnderTest): Promise<string[]> {
    return (await stack.resources())
        .filter(({ urn, custom }) => custom === true && !urn.includes("::default_"))
        .map(({ urn }) => nameOf(urn));
}
