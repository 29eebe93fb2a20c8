import * as fs from "node:fs/promises";
import * as path from "node:path";
import { readOptional } from "../../steps/lib/files";
import type { Reporter } from "../../common/report";
import { messageOf } from "../../steps/lib/errors";
import type { StackFiles } from "./home";
import { pulumi, type Env } from "./pulumi";

interface Stored {
    resources?: { urn: string; type: string }[];
    pending_operations?: { resource: { urn: string; type: string }; type: string }[];
}

/**
 * The objects of the cluster that may be gone, though Pulumi's state has them: the last run was ended while it deleted them, or failed to
 * hear how that went. The state says nothing of it, and Pulumi takes them for unchanged.
 */
export function maybeDeleted(
    { resources = [], pending_operations = [] }: Stored,
    last: { kind?: string; result?: string } | undefined,
): string[] {
    const begun = pending_operations.flatMap(({ resource, type }) => (type === "deleting" ? [resource] : []));
    const failed = last?.kind === "destroy" && last.result !== "succeeded";
    const urns = (failed ? resources : begun)
        .filter(({ type }) => type.startsWith("kubernetes:"))
        .map(({ urn }) => urn);
    return [...new Set(urns)].sort();
}

/** Has Pulumi look for those, so that an update makes what is gone anew. */
export async function lookForDeleted(files: StackFiles, env: Env, report: Reporter): Promise<void> {
    const text = await readOptional(files.state);
    if (!text) return;
    const { latest } = (JSON.parse(text) as { checkpoint: { latest?: Stored } }).checkpoint;
    const urns = maybeDeleted(latest ?? {}, await lastRun(files));
    if (urns.length === 0) return;
    report.warn(
        `The last run on stack ${files.stack} was ended while it deleted: Pulumi looks for ${urns.length} objects of the cluster.`,
    );
    const targets = urns.flatMap((urn) => ["--target", urn]);
    const args = ["refresh", "--yes", "--skip-preview", "--stack", files.stack];
    const config = ["--config-file", files.configCopy];
    // A cluster that is gone with them is found by the update itself.
    await pulumi([...args, ...config, ...targets], files.cwd, env).catch((error: unknown) => {
        report.warn(`They could not be looked for: ${messageOf(error)}`);
    });
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
