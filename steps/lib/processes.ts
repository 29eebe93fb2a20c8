import { spawnSync } from "node:child_process";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { setTimeout as sleep } from "node:timers/promises";

/** A process that cannot be mistaken for a later one of the same id. */
export interface ProcessId {
    pid: number;
    /** Start of the process: clock ticks after the boot, as /proc tells it, or the time that `ps` tells. */
    startTime: string;
}

/** macOS has none. */
const hasProc = existsSync("/proc/self/stat");

/** Between two looks at whether a process is still there. Without /proc each look starts a program. */
const lookMilliseconds = hasProc ? 20 : 200;

/** The process of an id as it is now; undefined when there is none, or only its remains (a zombie). */
export function processOf(pid: number): ProcessId | undefined {
    if (!hasProc) return byPs("-p", String(pid))[0]?.id;
    try {
        const stat = readFileSync(`/proc/${pid}/stat`, "latin1");
        // The second field is the name in parentheses and may hold anything.
        const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
        return state === "Z" || state === "X" ? undefined : { pid, startTime: rest[18] };
    } catch {
        return undefined;
    }
}

/** A process, and the arguments on its command line. */
interface Called {
    id: ProcessId;
    argv: string[];
}

/** The processes that `ps` is asked for, but remains. An argument with a space in it is several. */
export function byPs(...which: string[]): Called[] {
    const columns = ["pid=", "stat=", "lstart=", "args="].flatMap((column) => ["-o", column]);
    const { stdout } = spawnSync("ps", ["-ww", ...columns, ...which], {
        encoding: "utf8",
        env: { ...process.env, LC_ALL: "C" },
        maxBuffer: 64 * 2 ** 20,
    });
    return stdout.split("\n").flatMap((line) => {
        const [, pid, state, startTime, args] =
            /^ *(\d+) +(\S+) +(\w+ +\w+ +\d+ +[\d:]+ +\d+) (.*)$/.exec(line) ?? [];
        if (pid === undefined || state.startsWith("Z")) return [];
        return [{ id: { pid: Number(pid), startTime }, argv: args.trim().split(/ +/) }];
    });
}

/** Whether that very process still runs. */
export function isAlive({ pid, startTime }: ProcessId): boolean {
    return processOf(pid)?.startTime === startTime;
}

/** Every process with all these arguments on its command line. */
export function processesWith(...wanted: string[]): ProcessId[] {
    return processesThat((argv) => wanted.every((argument) => argv.includes(argument)));
}

/** Every process whose command line is as wanted, this one excepted. */
export function processesThat(isWanted: (argv: string[], pid: number) => boolean): ProcessId[] {
    if (!hasProc) {
        return byPs("-A").flatMap(({ id, argv }) =>
            id.pid !== process.pid && isWanted(argv, id.pid) ? [id] : [],
        );
    }
    return readdirSync("/proc")
        .filter((name) => /^\d+$/.test(name))
        .flatMap((pid) => {
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
        await sleep(lookMilliseconds);
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
