import { stripVTControlCharacters } from "node:util";
import type { LocalClusterInput } from "../../contract";
import { run, RunError, type RunResult } from "../../lib/run";
import { progress } from "../../lib/step";

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
    /** How whoever needs it no more removes a cluster by hand. */
    removal(name: string): string;
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
): Promise<RunResult> {
    const printed = await run(argv, { timeoutSeconds: 60, allowFailure: true });
    if (printed.exitCode !== 0 && !isAnswer(printed))
        throw new RunError(argv, printed, `exit code ${printed.exitCode}`);
    return printed;
}
