import { readFileSync } from "node:fs";
import * as path from "node:path";
import type { Reporter } from "../../common/report";
import { endProcess, processesThat } from "../../steps/lib/processes";
import type { Home } from "./home";

/** Ends the plugins of an engine that was killed: not each of them sees that it is gone, and what they are at is nobody's any more. */
export async function endOrphans(home: Home, report: Reporter): Promise<void> {
    const plugins = path.join(home.pulumi, "plugins") + path.sep;
    const orphans = processesThat(
        (argv, pid) =>
            // A script stands behind its interpreter.
            argv.slice(0, 2).some((one) => one.startsWith(plugins)) && !hasEngine(pid),
    );
    for (const orphan of orphans) {
        const how = await endProcess(orphan, 5);
        if (how !== "gone")
            report.warn(`A plugin of that run (process ${orphan.pid}) was still there: ended.`);
    }
}

/** Whether the parent of a process is Pulumi. */
function hasEngine(pid: number): boolean {
    try {
        const parent = /^PPid:\s*(\d+)$/m.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1];
        return readFileSync(`/proc/${parent}/comm`, "utf8").startsWith("pulumi");
    } catch {
        return false;
    }
}
