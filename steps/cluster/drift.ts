// What is said of a cluster that is not what its step left, whichever tool made it.
import { messageOf } from "../lib/errors";
import { madeAt, type JournalEntry } from "../lib/journal";
import { withKube } from "../lib/kube/kube";
import { progress } from "../lib/progress";

/** How long the API server may take for a look, in seconds. */
const lookSeconds = 5;

/**
 * Whether a cluster is made anew for what is wanted of it by now. Said aloud: whatever is in it goes with it. `fields` are all that make
 * it another one, those too that nothing is said of any more.
 */
export function replaced({ input }: JournalEntry, wanted: object, fields: string[]): boolean {
    const [made, now] = [input, wanted] as Record<string, unknown>[];
    const changed = fields.filter((field) => JSON.stringify(made[field]) !== JSON.stringify(now[field]));
    if (changed.length === 0) return false;
    const what = changed.map(
        (field) => `${field}: ${JSON.stringify(made[field])} → ${JSON.stringify(now[field])}`,
    );
    progress(
        `cluster "${String(made.name)}" will be made anew, and all that is in it is lost (${what.join(", ")})`,
    );
    return true;
}

/** `another`: whether one of that name is there that is somebody else's. */
export function isGone(entry: JournalEntry, name: string, another: boolean): string {
    const gone = `cluster "${name}", made ${madeAt(entry)}, is gone`;
    return another ? `${gone}, and another one of that name is there` : `${gone}: it is made anew`;
}

/** Why a cluster that runs must be waited for; undefined: it answers. `mend` gets why its kubeconfig file may be at fault, and writes it. */
export async function unanswering(
    entry: JournalEntry,
    { name, kubeconfigFile }: { name: string; kubeconfigFile: string },
    mend: (why: string) => Promise<void>,
): Promise<string | undefined> {
    const answers = () => withKube(kubeconfigFile, (kube) => kube.get("/version"), lookSeconds);
    try {
        await answers().catch(async (error: unknown) => {
            // It may be for the file alone, of which the cluster has another copy.
            await mend(`does not serve (${messageOf(error)})`);
            return answers();
        });
        return undefined;
    } catch (error) {
        return `cluster "${name}", made ${madeAt(entry)}, does not answer (${messageOf(error)}): it is waited for`;
    }
}
