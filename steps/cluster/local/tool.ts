import { basename } from "node:path";
import { stripVTControlCharacters } from "node:util";
import type { LocalClusterInput } from "../../contract";
import { StepError } from "../../lib/errors";
import { processesThat } from "../../lib/processes";
import { run, RunError, type RunResult } from "../../lib/run";
import { progress } from "../../lib/step";
import { untilGone } from "../atWork";

/** A cluster that a tool knows. */
export interface FoundCluster {
    /** Whose it is; undefined: no stack's. */
    owner: string | undefined;
    running: boolean;
}

/** What is wanted of a tool to make its clusters, by its own commands. */
export interface LocalTool {
    /** The component, for errors. */
    component: string;
    /** Programs that are started. */
    programs: string[];
    /** Whether its clusters are in this host's Docker. */
    docker: boolean;
    find(name: string): Promise<FoundCluster | undefined>;
    /** Makes the cluster, marked as the owner's from its first moment. */
    create(input: LocalClusterInput): Promise<void>;
    start(input: LocalClusterInput): Promise<void>;
    /** Removes the cluster with all that the tool made for it. */
    remove(name: string): Promise<void>;
    /** Name of the context in the kubeconfig. */
    contextOf(name: string): string;
    /** The cluster's kubeconfig, with whatever else the tool puts there. */
    kubeconfig(name: string): Promise<string>;
    /** How the command lines begin by which it makes a cluster or starts it again. */
    begins(name: string): string[][];
    /** The command line that removes a cluster. */
    removal(name: string): string[];
}

/** How long a tool that is waited for may take, in seconds. */
const othersSeconds = 600;

/**
 * Waits for a tool that is at work on a cluster, as one that outlived its killed step: what it removes is still told of as if it were to
 * stay, and what it makes would come after the removal.
 */
export async function untilAlone(tool: LocalTool, name: string): Promise<void> {
    const commands = [...tool.begins(name), tool.removal(name)];
    const others = processesThat((argv) => commands.some((command) => isCalled(argv, command)));
    await untilGone(others, {
        ...{ component: tool.component, name, program: tool.programs[0], doing: "at work on" },
        ...{ seconds: othersSeconds, look: "see why" },
    });
}

/** Whether a process is a program that was called so. A script stands behind its interpreter. */
function isCalled(argv: string[], [program, ...words]: string[]): boolean {
    const at = argv.slice(0, 2).findIndex((argument) => basename(argument) === program);
    return at >= 0 && words.every((word, index) => argv[at + 1 + index] === word);
}

/** Runs a tool; what it says while it works is progress. */
export function tell(
    argv: string[],
    timeoutSeconds: number,
    env: Record<string, string> = {},
): Promise<RunResult> {
    return run(argv, {
        env,
        timeoutSeconds,
        mergeOutput: true,
        onLine: (line) => {
            const plain = stripVTControlCharacters(line)
                .replace(/[^\x20-\x7e]/g, "")
                .trim();
            if (plain !== "") progress(plain);
        },
    });
}

/** Asks a tool. One that fails says nothing of what there is, which is an error, unless what it prints is an answer all the same. */
export async function ask(
    argv: string[],
    isAnswer: (printed: RunResult) => boolean = () => false,
): Promise<string> {
    const printed = await run(argv, { timeoutSeconds: 60, allowFailure: true });
    if (printed.exitCode !== 0 && !isAnswer(printed))
        throw new RunError(argv, printed, `exit code ${printed.exitCode}`);
    return printed.stdout;
}

/** As `ask`, for what is a secret: an error has nothing of it. */
export async function askForSecret(argv: string[]): Promise<string> {
    return ask(argv).catch((error: unknown) => {
        if (!(error instanceof RunError)) throw error;
        throw new RunError(argv, { ...error.result, stdout: "" }, error.reason);
    });
}

/** What a tool has printed as JSON in one line. Warnings may be lines before it. */
export function jsonOf<T>(argv: string[], printed: string, isIt: (value: unknown) => boolean): T {
    for (const line of printed.trim().split("\n").reverse()) {
        try {
            const value: unknown = JSON.parse(line);
            if (isIt(value)) return value as T;
        } catch {
            // It is none.
        }
    }
    throw new StepError(
        `${argv.join(" ")}: what it printed does not tell which clusters there are: ${printed.trim().slice(-500)}`,
    );
}
