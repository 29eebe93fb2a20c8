/** `npm run bench`: the stack, or with the argument `servers` what it serves with. Give it a quiet machine. */
import { withTools } from "../withTools";
import { benchServers } from "./servers";
import { benchStack } from "./stack";

const benches: Record<string, () => Promise<void>> = { stack: benchStack, servers: benchServers };

async function main(name = "stack"): Promise<void> {
    if (!(name in benches))
        throw new Error(`npm run bench -- ${Object.keys(benches).join(" | ")}, not ${name}`);
    await withTools();
    await benches[name]();
}

main(...process.argv.slice(2)).catch((error: unknown) => {
    console.error(error instanceof Error ? error.message : error);
    process.exitCode = 1;
});
