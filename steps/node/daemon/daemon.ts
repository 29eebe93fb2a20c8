import { spawn } from "node:child_process";
import { closeSync, openSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { StepError } from "../../lib/errors";
import { RunError } from "../../lib/run";
import { logTail, readOptional, sha256OfFile, writePrivate } from "../../lib/files";
import { endProcess, isAlive, processOf, type ProcessId } from "../../lib/processes";
import { needProgram, presentProgram } from "../../lib/programs/programs";
import { orUndo, pause } from "../../lib/step";
import { ownerOf } from "../folder";
import {
    endContainers,
    endSeconds,
    printedBy,
    running,
    startContainer,
    type ContainerPlace,
    type InContainer,
    type Part,
} from "./container";

/** Content of a pid file: a process that outlives the step that started it, and what tells it from others. */
export interface DaemonRecord extends ProcessId {
    /** The container that it runs in; unset: none. Then the process is of Docker's machine, which need not be this one. */
    container?: InContainer;
    /** Launch, in milliseconds since 1970. */
    launchedAt: number;
    /** Length of the log when it was launched: what follows is its own. */
    logOffset: number;
}

/** That, with the hash of the program's file as it was then. */
export interface ProgramRecord extends DaemonRecord {
    programSha256: string;
}

/** A program that outlives the step that starts it. */
export interface Daemon {
    /** What it is called in messages: `KrustletNode "krustlet": its agent`. */
    title: string;
    argv: string[];
    /** All of its environment. */
    env: Record<string, string>;
    /** Its standard output and error are appended here, mode 0600. */
    logFile: string;
    pidFile: string;
    /** The container that it is to run in; unset: it is a process of this host's. */
    place?: ContainerPlace;
    /** Whether it shows that it works. */
    works(record: DaemonRecord): boolean | Promise<boolean>;
    /** How long it is watched, in milliseconds. */
    watchMilliseconds: number;
    /** Whether it has failed when it runs but does not show within that time that it works. */
    mustShow: boolean;
}

/**
 * Starts a program in a session of its own, or in a container, records it together with `more`, and watches it until it works. One that
 * ends meanwhile is an error with the end of its log.
 */
export async function startDaemon<More extends object>(
    daemon: Daemon,
    more: More,
): Promise<DaemonRecord & More> {
    const logOffset = sizeOf(daemon.logFile);
    const launchedAt = Date.now();
    const started =
        daemon.place === undefined ? await startProcess(daemon) : await startContainer(daemon.place, daemon);
    const record: DaemonRecord & More = {
        ...more,
        pid: 0,
        startTime: "",
        ...started,
        launchedAt,
        logOffset,
    };
    const failed = async (how: string) =>
        new StepError(`${daemon.title} ${how}; ${await logOf(daemon, record)}`);
    if (started === undefined) throw await failed("ended at once");
    return orUndo(
        async () => {
            await writeRecordTo(daemon.pidFile, record);
            // From now on: an image may have had to be made before.
            const end = Date.now() + daemon.watchMilliseconds;
            let works = false;
            while (!works && Date.now() < end) {
                if (!(await seemsToRun(record))) throw await failed("ended at once");
                works = await daemon.works(record);
                if (!works) await pause(20);
            }
            if (!(await runs(record))) throw await failed("ended at once");
            if (!works && daemon.mustShow)
                throw await failed(`did not come to work within ${daemon.watchMilliseconds / 1000} s`);
            return record;
        },
        async () => {
            if (daemon.place === undefined) await endProcess(record, endSeconds);
            else await endContainers(daemon.place, true, () => undefined);
            await rm(daemon.pidFile, { force: true });
        },
    );
}

/** Undefined: it ended at once. */
async function startProcess({ title, argv, env, logFile }: Daemon): Promise<ProcessId | undefined> {
    const supervisor = await needProgram("krustlet-supervisor", title);
    const log = openSync(logFile, "a", 0o600);
    const child = spawn(supervisor, ["--", ...argv], {
        // Its own session: signals for this step's group, and the end of it, are not for the program.
        detached: true,
        stdio: ["ignore", log, log],
        cwd: "/",
        env,
    });
    closeSync(log);
    child.on("error", () => undefined);
    child.unref();
    return child.pid === undefined ? undefined : processOf(child.pid);
}

/** As `runs`, but a docker command that failed says nothing of the program: one that is watched is asked for again. */
export async function seemsToRun(record: DaemonRecord): Promise<boolean> {
    return runs(record).catch((error: unknown) => {
        if ([error, (error as Error).cause].some((one) => one instanceof RunError)) return true;
        throw error;
    });
}

/** Whether a recorded program still runs, and by itself: one that Docker starts again and again does not. */
export async function runs(record: DaemonRecord): Promise<boolean> {
    return record.container === undefined ? isAlive(record) : (await running(record.container)) !== undefined;
}

/**
 * Why a recorded process must be started (again), `who` being how it is called: it has ended, or the program that it should run (a
 * name or a path) is of another build. Undefined: neither.
 */
export async function driftOfProgram(
    who: string,
    record: ProgramRecord | undefined,
    program: string,
): Promise<string | undefined> {
    if (record === undefined || !(await runs(record)))
        return `${who} is not running any more: it is started again`;
    const file = await presentProgram(program);
    // One that is yet to be built is seen when its step runs.
    if (file === undefined || (await sha256OfFile(file)) === record.programSha256) return undefined;
    return `${who} is of another build than ${file}: it is replaced`;
}

/** What a pid file holds; undefined when there is none. */
export async function readRecordOf<R extends DaemonRecord>(pidFile: string): Promise<R | undefined> {
    const text = await readOptional(pidFile);
    try {
        return text === undefined ? undefined : (JSON.parse(text) as R);
    } catch {
        // Written in one step, so it was not us: as good as none.
        return undefined;
    }
}

export function writeRecordTo(pidFile: string, record: DaemonRecord): Promise<void> {
    return writePrivate(pidFile, `${JSON.stringify(record)}\n`);
}

/** Ends all of a node's programs of a kind, in containers and as processes (which `running` looks for). */
export async function endProgram(
    part: Part,
    { stateDir, pidFile }: { stateDir: string; pidFile: string },
    running: () => ProcessId[],
    note: (line: string) => void,
): Promise<void> {
    const [whose, record] = await Promise.all([ownerOf(stateDir), readRecordOf(pidFile)]);
    // Docker would start again what ends in a container.
    if (whose !== undefined)
        await endContainers({ owner: whose.owner, stateDir, part }, record?.container !== undefined, note);
    await endDaemons(part, running(), note);
}

/** Ends processes, each with the name that it has in messages (`agent`, `approver`). */
export async function endDaemons(
    what: string,
    processes: ProcessId[],
    note: (line: string) => void,
): Promise<void> {
    await Promise.all(
        processes.map(async (one) => {
            const how = await endProcess(one, endSeconds);
            note(
                how === "killed"
                    ? `${what} ${one.pid} did not end within ${endSeconds} s and was killed`
                    : `${what} ${one.pid} has ended`,
            );
        }),
    );
}

/** The end of a program's log, with the file's name, for an error message; where that has nothing of it, what its container printed too. */
export async function logOf(
    { logFile }: { logFile: string },
    record: DaemonRecord | undefined,
): Promise<string> {
    const log = `its log, ${logFile}, ends:\n${logTail(logFile, record?.logOffset)}`;
    const container = sizeOf(logFile) > (record?.logOffset ?? 0) ? undefined : record?.container;
    const printed = container === undefined ? "" : await printedBy(container);
    return printed === "" ? log : `${log}\nits container, ${container?.name}, printed:\n${printed}`;
}

/** Of a file that is not there: 0. */
function sizeOf(file: string): number {
    return statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
