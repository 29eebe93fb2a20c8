// Not a step but a program that runs on: launchApprover starts it, stopApprover ends it. `approver.ts --approver-of=<folder>`.
import { agentFiles } from "../agent";
import { Approver } from "./approverLoop";
import { approverFiles, readCredential, readSettings, stateDirIn } from "./approverFiles";
import { preloadParser } from "./csr";
import { messageOf } from "../../lib/errors";

/** Lines of the log begin with their time. */
function log(line: string): void {
    process.stdout.write(`${new Date().toISOString()} ${line}\n`);
}

async function main(): Promise<void> {
    const folder = stateDirIn(process.argv.slice(2));
    if (folder === undefined) throw new Error("--approver-of=<folder> is missing; launchApprover gives it");
    const over = new AbortController();
    for (const name of ["SIGTERM", "SIGINT"] as const) process.on(name, () => over.abort());

    const files = approverFiles(folder);
    const [settings, credential] = await Promise.all([
        readSettings(files),
        readCredential(files),
        // At once: the project's folder may have gone when the first request comes.
        preloadParser(),
    ]);
    const approver = new Approver(agentFiles(folder), files, settings, credential, log);
    log(`approver of node ${settings.nodeName}: process ${process.pid}, ${settings.serviceAccount}`);
    const how = await approver.run(over.signal);
    const ended = {
        ended: "ended by a signal",
        replaced: "ended: another approver has taken over, or the node's folder has gone",
        expired:
            "ended: its credential ran out while the API server did not answer or this machine slept; " +
            "`pulumi up --replace` of its resource starts it again",
    };
    log(ended[how]);
    process.exitCode = how === "expired" ? 1 : 0;
}

main().catch((error: unknown) => {
    log(messageOf(error));
    process.exitCode = 1;
});
