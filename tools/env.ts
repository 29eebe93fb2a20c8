// npm run -s env: prints what to `eval` so that plain pulumi and kubectl work on the stack.
import { filesOf, main, readOptions } from "./cli";
import { forcedSource } from "./toolchain/decide";
import { engineEnv, environmentNotice, toolDirs, toolsAlready, userEnv } from "./toolchain/environment";
import { readOptional } from "../steps/lib/files";
import { ownPrograms } from "../steps/lib/programs/build";
import { exists, homeOf } from "./stack/home";
import { inspect } from "./toolchain/inspect";
import { outputsIn, readOutputs } from "./stack/outputs";
import { exportLines, pathLine } from "./lib/shell";

async function env(): Promise<number> {
    const options = readOptions(process.argv.slice(2));
    const home = homeOf();
    const files = await filesOf(home, options);
    const inspection = await inspect(forcedSource(process.env), { remember: false });
    const tools = toolsAlready(inspection);
    if (!tools.pulumi || !(await exists(home.passphrase))) {
        process.stderr.write(
            "The tools are not set up yet: run `npm run up`, or `npm run up -- --tools-only` without a stack.\n",
        );
        return 1;
    }
    const { agent } = inspection.rust;
    if (!agent?.cached) {
        process.stderr.write(
            `${ownPrograms.join(", ")} are not built from today's krustlet/ yet: \`npm run up -- --tools-only\` builds them.\n`,
        );
    }
    // From the state file itself: this runs in every new shell, and the engine takes seconds.
    const state = await readOptional(files.state);
    const variables = {
        ...engineEnv(home, tools),
        ...userEnv(state === undefined ? undefined : readOutputs(outputsIn(state).outputs).kubeconfigFile),
    };
    const dirs = toolDirs(tools, agent?.cached ? agent.dir : undefined);
    // Not on standard output, which the shell evaluates.
    process.stderr.write(environmentNotice(home));
    process.stdout.write(exportLines(variables) + pathLine(dirs));
    return 0;
}

main(env);
