// npm run -s env: prints what to `eval` so that plain pulumi and kubectl work on the stack.
import { filesOf, main, readOptions } from "./cli";
import { forcedSource } from "./decide";
import { toolEnv, toolsAlready, userEnv } from "./environment";
import { exists, homeOf } from "./home";
import { inspect } from "./inspect";
import { exportLines } from "./lib/shell";

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
    const variables = {
        ...toolEnv(home, tools, agent?.cached ? agent.dir : undefined),
        ...userEnv(files, await exists(files.kubeconfig)),
    };
    process.stdout.write(exportLines(variables));
    return 0;
}

main(env);
