import * as fs from "node:fs/promises";
import * as path from "node:path";
import { stripVTControlCharacters } from "node:util";
import { readOptional, writePrivate } from "../../steps/lib/files";
import type { Reporter } from "../../common/report";
import { messageOf } from "../../steps/lib/errors";
import type { StackFiles } from "./home";
import { clearStaleLocks, pulumi, type Env } from "./pulumi";

/** How long Pulumi may look: a cluster that accepts connections and does not answer would hold it for ever. */
const LOOK_SECONDS = 300;

interface Resource {
    urn: string;
    type: string;
}

interface Stored {
    resources?: Resource[];
    pending_operations?: { resource: Resource; type: string }[];
}

/** What Pulumi prints of a deletion that failed: ` -  kubernetes:core/v1:Pod wasm-hello-pod **deleting failed** error: …`. */
const failedToDelete = /^ *- +(\S+) (\S+) \*\*deleting failed\*\*/gm;

/**
 * The objects of the cluster that may be gone, though Pulumi's state has them: the last run was ended while it deleted them, or failed to
 * hear how that went. The state says nothing of it, and Pulumi takes them for unchanged: those of an update where its change is taken back.
 * `said` is what the last update printed.
 */
export function maybeDeleted(
    { resources = [], pending_operations = [] }: Stored,
    last: { kind?: string; result?: string } | undefined,
    said = "",
): string[] {
    const begun = pending_operations.flatMap(({ resource, type }) => (type === "deleting" ? [resource] : []));
    const named = [...stripVTControlCharacters(said).matchAll(failedToDelete)];
    const unanswered = resources.filter(({ urn, type }) =>
        named.some(([, itsType, name]) => type === itsType && urn.endsWith(`::${name}`)),
    );
    const failed = last?.kind === "destroy" && last.result !== "succeeded";
    const urns = (failed ? resources : [...begun, ...unanswered])
        .filter(({ type }) => type.startsWith("kubernetes:"))
        .map(({ urn }) => urn);
    return [...new Set(urns)].sort();
}

/** Has Pulumi look for those, so that an update makes what is gone anew. What could not be looked for is looked for the next time. */
export async function lookForDeleted(files: StackFiles, env: Env, report: Reporter): Promise<void> {
    const text = await readOptional(files.state);
    if (!text) return;
    const { latest = {} } = (JSON.parse(text) as { checkpoint: { latest?: Stored } }).checkpoint;
    // A look that fails is the last run by then, and Pulumi's state has forgotten what was under way.
    const noted = JSON.parse((await readOptional(files.maybeDeleted)) ?? "[]") as string[];
    const known = new Set(latest.resources?.map(({ urn }) => urn));
    const said = await readOptional(files.logOf("up"));
    const found = maybeDeleted(latest, await lastRun(files), said);
    const urns = [...new Set([...noted, ...found])].filter((urn) => known.has(urn));
    if (urns.length > 0) {
        report.warn(
            `The last run on stack ${files.stack} was ended while it deleted, or failed at it: Pulumi looks for ${urns.length} objects of the cluster.`,
        );
        await writePrivate(files.maybeDeleted, JSON.stringify(urns));
        const targets = urns.flatMap((urn) => ["--target", urn]);
        const args = ["refresh", "--yes", "--skip-preview", "--stack", files.stack];
        const config = ["--config-file", files.configCopy];
        try {
            await pulumi([...args, ...config, ...targets], files.cwd, env, LOOK_SECONDS);
        } catch (error) {
            // A cluster that is gone with them is found by the update itself.
            report.warn(`They could not be looked for, and are by the next run: ${messageOf(error)}`);
            await clearStaleLocks(files, report);
            return;
        }
    }
    await fs.rm(files.maybeDeleted, { force: true });
}

/** What Pulumi's local backend tells of the last run that it saw the end of. */
async function lastRun({ history }: StackFiles): Promise<{ kind?: string; result?: string } | undefined> {
    // Named by the time.
    const names = (await fs.readdir(history).catch(() => [])).filter((name) =>
        name.endsWith(".history.json"),
    );
    const last = names.sort().at(-1);
    const text = last && (await readOptional(path.join(history, last)));
    return text ? (JSON.parse(text) as { kind?: string; result?: string }) : undefined;
}
