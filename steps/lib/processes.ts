import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A process that cannot be mistaken for a later one of the same id. */
export interface ProcessId {
    pid: number;
    /** Start of the process in clock ticks after the boot, as /proc tells it. */
    startTime: string;
}

/** The process of an id as it is now; undefined when there is none, or only its remains (a zombie). */
export function processOf(pid: number): ProcessId | undefined {
    try {
        const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
        // The second field is the name in parentheses and may hold anything.
        const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return state === "Z" || state === "X" ? undefined : { pid, startTime: rest[18] };
    } catch {
        return undefined;
    }
}

/** Whether that very process still runs. */
export function isAlive({ pid, startTime }: ProcessId): boolean {
    return processOf(pid)?.startTime === startTime;
}

/** Every process with all these arguments on its command line; none on a system without /proc. */
export function processesWith(...wanted: string[]): ProcessId[] {
    return processesThat((argv) => wanted.every((argument) => argv.includes(argument)));
}

/** Every process whose command line is as wanted, this one excepted. */
export function processesThat(isWanted: (argv: string[], pid: number) => boolean): ProcessId[] {
    const pids = existsSync("/proc") ? readdirSync("/proc").filter((name) => /^\d+$/.test(name)) : [];
    return pids.flatMap((pid) => {
        try {
            const argv = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0");
            const found = isWanted(argv, Number(pid)) ? processOf(Number(pid)) : undefined;
            return found && Number(pid) !== process.pid ? [found] : [];
        } catch {
            return [];
        }
    });
}

/** Ends a process: SIGTERM, and SIGKILL when it is still there after `graceSeconds`. Returns once it has gone. */
export async function endProcess(
    target: ProcessId,
    graceSeconds: number,
): Promise<"gone" | "ended" | "killed"> {
    if (!signal(target, "SIGTERM")) return "gone";
    if (await hasGone(target, graceSeconds)) return "ended";
    signal(target, "SIGKILL");
    if (await hasGone(target, 5)) return "killed";
    throw new Error(`process ${target.pid} is still there after SIGKILL`);
}

/** Waits for a process to go by itself, for so long; tells whether it has. */
export async function hasGone(target: ProcessId, seconds: number): Promise<boolean> {
    const deadline = Date.now() + seconds * 1000;
    while (Date.now() < deadline) {
        if (!isAlive(target)) return true;
        await sleep(20);
    }
    return !isAlive(target);
}

function signal(target: ProcessId, name: NodeJS.Signals): boolean {
    if (!isAlive(target)) return false;
    try {
        return process.kill(target.pid, name);
    } catch {
        // It ended between the check and the signal.
        return false;
    }
}
