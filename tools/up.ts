// npm run up: gets every tool, then runs `pulumi up` on the stack and shows what its workloads say.
import * as path from "node:path";
import { filesOf, main, readOptions } from "./cli";
import type { StackFiles } from "./stack/home";
import { consoleReporter, type Reporter } from "../common/report";
import { lookForDeleted } from "./stack/deletions";
import { workloadLog } from "./stack/logs";
import { endOrphans } from "./stack/orphans";
import { readOutputs } from "./stack/outputs";
import { clearStaleLocks, ensureStack, pulumiLive, selectStack, stackOutputs } from "./stack/pulumi";
import { prepareTools, type Toolchain } from "./toolchain/prepare";

async function up(): Promise<number> {
    const options = readOptions(process.argv.slice(2), ["stack", "cwd", "toolsOnly"]);
    const report = consoleReporter();
    const toolchain = await prepareTools(report);
    if (options.toolsOnly) {
        report.note(`All tools are ready. For plain pulumi and kubectl: eval "$(npm run -s env)"`);
        return 0;
    }
    const files = await filesOf(toolchain.home, options);
    if (await clearStaleLocks(files, report)) await endOrphans(toolchain.home, report);
    await ensureStack(files, toolchain.env);
    await lookForDeleted(files, toolchain.env, report);
    const logFile = files.logOf("up");
    const args = [
        "up",
        "--yes",
        // A preview would run the program once more to show what nobody is asked to confirm. Bad input is found without
        // it: the program checks its configuration, and everything waits for the preflight.
        "--skip-preview",
        "--stack",
        files.stack,
        "--config-file",
        files.configCopy,
        "--suppress-permalink=true",
    ];
    const exitCode = await pulumiLive(args, files.cwd, toolchain.env, logFile);
    if (exitCode !== 0) {
        throw new Error(
            `\`pulumi up\` on stack ${files.stack} failed; the message above says in which resource.\n` +
                `Its whole output: ${logFile}\n` +
                "Try: mend what it names and run this again (it goes on where it stopped), " +
                "`npm run doctor` for the tools, `npm run status` for what is running, `npm run down` to begin afresh.",
        );
    }
    await showWorkloads(files, toolchain, report);
    return 0;
}

async function showWorkloads(files: StackFiles, { env }: Toolchain, report: Reporter): Promise<void> {
    const [outputs] = await Promise.all([
        stackOutputs(files, env).then(readOutputs),
        selectStack(files, env),
    ]);
    const { kubeconfigFile } = outputs;
    if (kubeconfigFile === undefined) return;
    report.note(
        `State of the stack: ${path.dirname(files.state)} (a local backend; any Pulumi login of yours is untouched)`,
    );
    report.note(`Kubeconfig: ${kubeconfigFile}`);
    report.note(`For plain pulumi and kubectl: eval "$(npm run -s env)"`);
    for (const workload of outputs.workloads) {
        const [title, ...lines] = (await workloadLog(kubeconfigFile, workload, env)).split("\n");
        report.note(title);
        for (const line of lines) process.stdout.write(`${line}\n`);
        if (workload.url !== undefined) report.note(`${whoReaches(workload.url)} at ${workload.url}`);
    }
}

/** A Service is reached at its own name in the cluster alone, and at a port of this host from here. */
function whoReaches(url: string): string {
    return new URL(url).hostname.endsWith(".svc") ? "Pods of the cluster reach it" : "It answers";
}

main(up);
