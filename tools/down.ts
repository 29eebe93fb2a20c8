// npm run down: `pulumi destroy`, then removes what is left of the stack. The cache stays.
import { filesOf, main, readOptions } from "./cli";
import { exists, homeOf, refreshConfigCopy, type Home, type StackFiles } from "./stack/home";
import { consoleReporter, type Reporter } from "../common/report";
import { clearStaleLocks, pulumi, pulumiLive, type Env } from "./stack/pulumi";
import { endOrphans } from "./stack/orphans";
import { removeHomeIfEmpty, removeStackFiles } from "./stack/remove";
import { prepareTools } from "./toolchain/prepare";

async function down(): Promise<number> {
    const options = readOptions(process.argv.slice(2));
    const report = consoleReporter();
    const home = homeOf();
    const files = await filesOf(home, options);
    if (await exists(files.state)) {
        await destroy(files, home, report);
    } else {
        report.note(`There is no stack ${files.stack} in ${home.backend}: nothing to destroy.`);
    }
    await removeStackFiles(home, files);
    await removeHomeIfEmpty(home, files);
    return 0;
}

async function destroy(files: StackFiles, home: Home, report: Reporter): Promise<void> {
    const { env } = await prepareTools(report, { purpose: "destroy" });
    if (await clearStaleLocks(files, report)) await endOrphans(home, report);
    await refreshConfigCopy(files);
    const logFile = files.logOf("down");
    // What cannot be removed (Docker is down …) does not keep the rest from going.
    const args = [
        "destroy",
        "--yes",
        "--skip-preview",
        "--continue-on-error",
        "--stack",
        files.stack,
        "--config-file",
        files.configCopy,
    ];
    const exitCode = await pulumiLive(
        [...args, "--suppress-permalink=true", "--suppress-outputs"],
        files.cwd,
        env,
        logFile,
    );
    if (exitCode !== 0) {
        throw new Error(
            `\`pulumi destroy\` on stack ${files.stack} could not remove everything; the message above says what is left and why.\n` +
                `Its whole output: ${logFile}\n` +
                "Try: mend that (is Docker running?) and run `npm run down` again: it goes on with what is left.",
        );
    }
    await removeStack(files, env);
    report.note(`Stack ${files.stack} is removed too. What was built and downloaded stays in the cache.`);
}

async function removeStack(files: StackFiles, env: Env): Promise<void> {
    await pulumi(["stack", "rm", files.stack, "--yes", "--preserve-config"], files.cwd, env);
}

main(down);
