import { spawn } from "node:child_process";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import type { Reporter } from "../common/report";

/** How many tests passed and failed. */
export interface Counts {
    passed: number;
    failed: number;
    /** What was said of those that failed, to be said once more at the end of all. Default: nothing. */
    failures?: string[];
}

export function add(...all: Counts[]): Counts {
    return {
        passed: all.reduce((sum, counts) => sum + counts.passed, 0),
        failed: all.reduce((sum, counts) => sum + counts.failed, 0),
        failures: all.flatMap((counts) => counts.failures ?? []),
    };
}

/** How many lines of a failure are said once more: of its beginning, and of its end, where a program that failed says why. */
const FIRST_LINES = 20;
const LAST_LINES = 60;

/** The beginning and the end of a text. */
function endsOf(text: string): string {
    const lines = text.trimEnd().split("\n");
    const between = lines.length - FIRST_LINES - LAST_LINES;
    if (between <= 0) return lines.join("\n");
    return [...lines.slice(0, FIRST_LINES), `  … ${between} lines more …`, ...lines.slice(-LAST_LINES)].join(
        "\n",
    );
}

/** What a run says of its failures, from where it begins to; each of them begins as `each` does. */
function failuresIn(output: string, begin: RegExp, each: RegExp): string[] {
    const from = output.search(begin);
    return from < 0 ? [] : [output.slice(from).split(each).map(endsOf).join("\n")];
}

/** Every `*.test.ts` below a folder, sorted. */
export async function testFiles(...folders: string[]): Promise<string[]> {
    const found: string[] = [];
    for (const folder of folders) {
        const entries = await fs.readdir(folder, { withFileTypes: true, recursive: true });
        for (const entry of entries) {
            if (entry.isFile() && entry.name.endsWith(".test.ts"))
                found.push(path.join(entry.parentPath, entry.name));
        }
    }
    return found.sort();
}

interface Finished {
    output: string;
    exitCode: number;
}

export interface StreamOptions {
    cwd: string;
    env: Record<string, string>;
    timeoutMinutes: number;
    /** What of its output is on the screen, once it has ended: others run beside it. Default: all, as it comes. */
    shown?: (output: string) => string;
    /** What it was at, asked when its time is up. Default: nobody knows. */
    underWay?: () => Promise<string>;
}

/** How long the output of a program that was ended may stay open, in milliseconds: what it had started may live on, and hold it. */
const HELD_MILLISECONDS = 2000;

/** Runs a program with its output on the screen, and returns that output. Ends it, and all that it started, in time. */
export function stream(argv: readonly string[], options: StreamOptions): Promise<Finished> {
    const [program, ...args] = argv;
    const { shown } = options;
    return new Promise((resolve) => {
        // Its own process group, so that a time-out ends its children too.
        const child = spawn(program, args, {
            cwd: options.cwd,
            env: { ...process.env, ...options.env },
            stdio: ["ignore", "pipe", "pipe"],
            detached: true,
        });
        let output = "";
        const take = (text: Buffer | string) => {
            output += text.toString();
            if (shown === undefined) process.stdout.write(text);
        };
        child.stdout.on("data", take);
        child.stderr.on("data", take);
        const outOfTime = async () => {
            const at = (await options.underWay?.().catch(() => "")) ?? "";
            take(`${argv.join(" ")}: still running after ${options.timeoutMinutes} minutes; ended${at}\n`);
            setTimeout(() => {
                child.stdout.destroy();
                child.stderr.destroy();
            }, HELD_MILLISECONDS).unref();
            try {
                if (child.pid !== undefined) process.kill(-child.pid, "SIGKILL");
            } catch {
                // It has gone, and what it started holds its output.
            }
        };
        const timer = setTimeout(() => void outOfTime(), options.timeoutMinutes * 60_000);
        const end = (exitCode: number) => {
            clearTimeout(timer);
            if (shown !== undefined) process.stdout.write(shown(output));
            resolve({ output, exitCode });
        };
        child.on("error", (error) => {
            take(`${error.message}\n`);
            end(127);
        });
        child.on("close", (code) => {
            end(code ?? 1);
        });
    });
}

/** A run that exits badly has failed somewhere, even where it counted no failure. */
function atLeastOneFailure(counts: Counts, exitCode: number): Counts {
    return exitCode !== 0 && counts.failed === 0 ? { ...counts, failed: 1 } : counts;
}

/** Counts of a node:test run, from the closing lines of its spec reporter. */
export function nodeCounts(output: string, exitCode: number): Counts {
    const number = (name: string) => {
        const found = [...output.matchAll(new RegExp(`^ℹ ${name} (\\d+)$`, "gm"))].at(-1);
        return found ? Number(found[1]) : 0;
    };
    // A skipped, cancelled or to-do test has not shown anything.
    const failed = number("fail") + number("cancelled") + number("skipped") + number("todo");
    const failures = failuresIn(output, /^✖ failing tests:$/m, /^(?=test at )/m);
    return atLeastOneFailure({ passed: number("pass"), failed, failures }, exitCode);
}

/** Counts of a `cargo test` run: one closing line for each test binary. */
export function cargoCounts(output: string, exitCode: number): Counts {
    const counts = { passed: 0, failed: 0, failures: failuresIn(output, /^failures:$/m, /^(?=---- )/m) };
    for (const line of output.matchAll(/^test result: \S+ (\d+) passed; (\d+) failed; (\d+) ignored/gm)) {
        counts.passed += Number(line[1]);
        counts.failed += Number(line[2]) + Number(line[3]);
    }
    return atLeastOneFailure(counts, exitCode);
}

/** Counts of a `go test -v` run. */
export function goCounts(output: string, exitCode: number): Counts {
    const count = (word: string) => [...output.matchAll(new RegExp(`^\\s*--- ${word}: `, "gm"))].length;
    const failures = failuresIn(output, /^\s*--- FAIL: /m, /^(?=\s*--- FAIL: )/m);
    const failed = count("FAIL") + count("SKIP");
    return atLeastOneFailure({ passed: count("PASS"), failed, failures }, exitCode);
}

const CLOSING_LINES = /^ℹ (tests|suites|pass|fail|cancelled|skipped|todo|duration_ms) .*\n/gm;

/** Runs TypeScript test files with Node's own runner, so many at once, begun in their order. */
export async function nodeTests(
    files: string[],
    { report, atOnce = 1, ...options }: Omit<StreamOptions, "shown"> & { report: Reporter; atOnce?: number },
): Promise<Counts> {
    if (files.length === 0) throw new Error("no test file was found");
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-tests-"));
    const all = await inTurn(atOnce, files, async (file) => {
        const work = report.start(path.relative(options.cwd, file));
        const events = path.join(folder, `${files.indexOf(file)}`);
        const reporters = [
            ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
            ...[`--test-reporter=${REPORTER}`, `--test-reporter-destination=${events}`],
        ];
        const argv = [process.execPath, "--require", "./typescript.cjs", ...reporters, file];
        const shown = (output: string) => output.replace(CLOSING_LINES, "");
        const underWay = async () => {
            const names = underWayOf(await fs.readFile(events, "utf8").catch(() => ""));
            return `; under way: ${names.join(" > ") || "no test"}`;
        };
        const { output, exitCode } = await stream(argv, { ...options, shown, underWay });
        const counts = nodeCounts(output, exitCode);
        // A file that ends before it has said anything has shown nothing.
        if (counts.passed + counts.failed === 0) counts.failed = 1;
        if (counts.failed > 0) work.fail(`${counts.failed} failed`);
        else work.done(`${counts.passed} passed`);
        return counts;
    });
    await fs.rm(folder, { recursive: true });
    return add(...all);
}

/** Tells of each test when it begins and ends. */
const REPORTER = path.join(__dirname, "underWay.cjs");

/** The tests that had begun and not ended, the outer ones first, by what underWay.cjs wrote. */
function underWayOf(events: string): string[] {
    const begun: string[] = [];
    // The last line may be cut off.
    for (const line of events.split("\n").slice(0, -1)) {
        const { begins, name } = JSON.parse(line) as { begins: boolean; name: string };
        if (begins) begun.push(name);
        else begun.splice(begun.lastIndexOf(name), 1);
    }
    return begun;
}

/** Does something with each of a list, with so many at once, begun in their order. */
async function inTurn<T, R>(atOnce: number, list: readonly T[], act: (one: T) => Promise<R>): Promise<R[]> {
    const results: R[] = [];
    let next = 0;
    const worker = async () => {
        while (next < list.length) {
            const index = next++;
            results[index] = await act(list[index]);
        }
    };
    await Promise.all(Array.from({ length: atOnce }, worker));
    return results;
}
