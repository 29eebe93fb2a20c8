// Waiting for a tool that is at work on a cluster, as one that outlived its killed step.
import { StepError } from "../lib/errors";
import { hasGone, type ProcessId } from "../lib/processes";
import { progress } from "../lib/step";

/** Whose work is waited for, in the words of its messages. */
export interface AtWork {
    /** The component, for errors. */
    component: string;
    /** The cluster's. */
    name: string;
    program: string;
    /** What it does to the cluster: `deleting`. */
    doing: string;
    /** How long it may take. */
    seconds: number;
    /** What to do first where it takes longer. */
    look: string;
}

/** Waits for each of them to go by itself; fails where one takes longer than it may. */
export async function untilGone(others: ProcessId[], work: AtWork): Promise<void> {
    const { component, name, program, doing, seconds, look } = work;
    for (const one of others) {
        const other = `${program} (process ${one.pid})`;
        progress(`${other} is still ${doing} cluster "${name}": waited for`);
        if (!(await hasGone(one, seconds)))
            throw new StepError(
                `${component} "${name}": ${other} was still ${doing} it after ${seconds} s; ${look}, end that process and run this again`,
            );
    }
}
