import { spawn } from "node:child_process";
import { closeSync, openSync, statSync } from "node:fs";
import { rm } from "node:fs/promises";
import { StepError } from "../../lib/errors";
import { logTail, readOptional, sha256OfFile, writePrivate } from "../../lib/files";
import { endProcess, isAlive, processOf, type ProcessId } from "../../lib/processes";
import { needProgram, presentProgram } from "../../lib/programs/programs";
import { orUndo, pause } from "../../lib/step";

/** Content of a pid file: a process that outlives the step that started it, and what tells it from others. */
export interface DaemonRecord extends ProcessId {
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
    /** Whether it shows that it works, having been launched at that time (milliseconds since 1970). */
    works(launchedAt: number): boolean;
    /** How long it is watched, in milliseconds. */
    watchMilliseconds: number;
    /** Whether it has failed when it runs but does not show within that time that it works. */
    mustShow: boolean;
}

/**
 * Starts a program in a session of its own, records it together with `more`, and watches it until it works. One that ends
 * meanwhile is an error with the end of its log.
 */
export async function startDaemon<More extends object>(
    daemon: Daemon,
    more: More,
): Promise<DaemonRecord & More> {
    const supervisor = await needProgram("krustlet-supervisor", daemon.title);
    const log = openSync(daemon.logFile, "a", 0o600);
    const logOffset = statSync(daemon.logFile).size;
    const launchedAt = Date.now();
    const child = spawn(supervisor, ["--", ...daemon.argv], {
        // Its own session: signals for this step's group, and the end of it, are not for the program.
        detached: true,
        stdio: ["ignore", log, log],
        cwd: "/",
        env: daemon.env,
    });
    closeSync(log);
    child.on("error", () => undefined);
    child.unref();
    const process_ = child.pid === undefined ? undefined : processOf(child.pid);
    const record: DaemonRecord & More = {
        ...more,
        pid: process_?.pid ?? 0,
        startTime: process_?.startTime ?? "",
        launchedAt,
        logOffset,
    };
    const failed = (how: string) => new StepError(`${daemon.title} ${how}; ${logOf(daemon, record)}`);
    if (process_ === undefined) throw failed("ended at once");
    return orUndo(
        async () => {
            await writeRecordTo(daemon.pidFile, record);
            const end = launchedAt + daemon.watchMilliseconds;
            let works = false;
            while (!works && Date.now() < end) {
                if (!isAlive(record)) throw failed("ended at once");
                works = daemon.works(launchedAt);
                if (!works) await pause(20);
            }
            if (!isAlive(record)) throw failed("ended at once");
            if (!works && daemon.mustShow)
                throw failed(`did not come to work within ${daemon.watchMilliseconds / 1000} s`);
            return record;
        },
        async () => {
            await endProcess(record, 5);
            await rm(daemon.pidFile, { force: true });
        },
    );
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
    if (record === undefined || !isAlive(record))
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

/** Ends processes, each with the name that it has in messages (`agent`, `approver`). */
export async function endDaemons(
    what: string,
    processes: ProcessId[],
    note: (line: string) => void,
): Promise<void> {
    await Promise.all(
        processes.map(async (one) => {
            const how = await endProcess(one, 10);
            note(
                how === "killed"
                    ? `${what} ${one.pid} did not end within 10 s and was killed`
                    : `${what} ${one.pid} has ended`,
            );
        }),
    );
}

/** The end of a program's log, with the file's name, for an error message. */
export function logOf({ logFile }: { logFile: string }, record: DaemonRecord | undefined): string {
    return `its log, ${logFile}, ends:\n${logTail(logFile, record?.logOffset)}`;
}
