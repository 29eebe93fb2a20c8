// Runs of the stack's commands whose engine is killed (SIGKILL) while it is at a resource.
import { spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { processesThat } from "../../../steps/lib/processes";
import { root, type StackUnderTest } from "../stackUnderTest";

/** How a run ended. */
export interface Killed {
    /** What the engine was at and never recorded, by its own note in the state; undefined where it came to its end before it was killed. */
    at: string[] | undefined;
    exitCode: number;
    said: string;
}

/** What the engine prints when it begins with a resource: ` +  command:local:Command wasm-registry-ready creating (0s)`. */
const begun = /^ *[-+]+ +(?!krustlet-stack:|pulumi:pulumi:)\S+ (\S+) (?:creating|deleting)\b/gm;

/**
 * Runs a command and kills its engine when that begins with a resource that is wanted, `milliseconds` later. What the engine had begun by
 * then, plugins and steps, is left to go on.
 */
export async function killedAt(
    stack: StackUnderTest,
    command: "up" | "down",
    isWanted: (resource: string) => boolean,
    milliseconds = 0,
): Promise<Killed> {
    const child = spawn(process.execPath, ["tools/run.js", command, "--stack", stack.name], {
        cwd: root,
        env: { ...process.env, KRUSTLET_STACK_HOME: stack.home },
        // Its output and its signals are its own.
        detached: true,
        stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    let killing: Promise<void> | undefined;
    const heard = (text: Buffer) => {
        said += text.toString();
        const wanted = [...said.matchAll(begun)].some(([, resource]) => isWanted(resource));
        if (wanted) killing ??= sleep(milliseconds).then(() => killEngine(stack));
    };
    child.stdout.on("data", heard);
    child.stderr.on("data", heard);
    const exitCode = await new Promise<number>((resolve) => child.on("close", (code) => resolve(code ?? 1)));
    await killing;
    return { at: killing && exitCode !== 0 ? await pending(stack) : undefined, exitCode, said };
}

function killEngine(stack: StackUnderTest): void {
    const engines = processesThat(
        (argv) => path.basename(argv[0] ?? "") === "pulumi" && argv.includes(stack.name),
    );
    for (const { pid } of engines) process.kill(pid, "SIGKILL");
}

interface State {
    checkpoint: {
        latest: { resources?: { urn: string; custom?: boolean }[]; pending_operations?: Pending[] };
    };
}
interface Pending {
    resource: { urn: string };
    type: string;
}

async function state(stack: StackUnderTest): Promise<State["checkpoint"]["latest"]> {
    const file = path.join(stack.home, "backend/.pulumi/stacks/krustlet-stack", `${stack.name}.json`);
    return (JSON.parse(await fs.readFile(file, "utf8")) as State).checkpoint.latest;
}

const nameOf = (urn: string) => urn.slice(urn.lastIndexOf("::") + 2);

/** What the engine was at when it was killed. */
async function pending(stack: StackUnderTest): Promise<string[]> {
    const { pending_operations = [] } = await state(stack);
    return pending_operations.map(({ resource }) => nameOf(resource.urn));
}

/** Each resource of a stack that is made by a plugin. */
export async function madeByPlugins(stack: StackUnderTest): Promise<string[]> {
    const { resources = [] } = await state(stack);
    return resources
        .filter(({ urn, custom }) => custom === true && !urn.includes("::default_"))
        .map(({ urn }) => nameOf(urn));
}
