// The stack's tools for a program that is run by hand, as the suites' set-up has them.
import { consoleReporter } from "../common/report";
import { prepareTools } from "../tools/toolchain/prepare";

/** Gets what is missing, and gives this process the environment in which all of it is found. */
export async function withTools(): Promise<void> {
    const { env } = await prepareTools(consoleReporter());
    for (const [name, value] of Object.entries(env)) {
        if (value === undefined) delete process.env[name];
        else process.env[name] = value;
    }
}
