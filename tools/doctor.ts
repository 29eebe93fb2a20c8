// npm run doctor: shows where each tool comes from and what is missing. Changes nothing.
import { main, readOptions } from "./cli";
import { forcedSource } from "./toolchain/decide";
import { diagnose, problemsOf } from "./toolchain/diagnosis";
import { inspectHost } from "./toolchain/host";
import { homeOf } from "./stack/home";
import { inspect } from "./toolchain/inspect";
import { cacheRoot } from "../common/cache";
import { table } from "./lib/table";
import { airgapPrerequisites } from "./sources/airgap";
import { askReach } from "./sources/source";

async function doctor(): Promise<number> {
    readOptions(process.argv.slice(2), []);
    const forced = forcedSource(process.env);
    const [inspection, host, reach, airgapMissing] = await Promise.all([
        inspect(forced, { remember: false }),
        inspectHost(),
        askReach(),
        airgapPrerequisites(),
    ]);
    const source = forced ?? (reach.reachable ? "official" : "airgap");
    const because = forced ? `KRUSTLET_STACK_SOURCE=${forced}` : reach.because;
    const rows = diagnose({
        inspection,
        host,
        source,
        because,
        airgapMissing,
        nodeVersion: process.versions.node,
    });
    const problems = problemsOf(rows);
    const lines = [
        table([
            ["", "TOOL", "VERSION", "WHERE FROM"],
            ...rows.map((row) => [row.problem ? "✗" : "✓", row.tool, row.version, row.decision]),
        ]),
        "",
        `What is not here comes from ${source === "official" ? "official releases" : "package registries (air-gapped)"}: ${because}.`,
        `Cache: ${cacheRoot()}`,
        `Home of the stacks: ${homeOf().dir}`,
        "",
        ...(problems.length === 0
            ? ["Nothing is missing that `npm run up` could not get."]
            : ["Missing:", ...problems.map(({ what, todo }) => `  ✗ ${what}\n    ${todo}`)]),
    ];
    process.stdout.write(`${lines.join("\n")}\n`);
    return problems.length === 0 ? 0 : 1;
}

main(doctor);
