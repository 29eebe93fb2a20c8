/**
 * `npm test`: sets up what is missing, runs every test, and ends with the line `N passed, N failed`.
 *
 * `npm test -- unit rust` runs only the suites of those names. A suite that cannot run counts as failed, never as
 * skipped.
 */
import * as path from "node:path";
import { consoleReporter } from "../common/report";
import { add, type Counts } from "./runners";
import { stages, type Suite, type SuiteContext } from "./suites";

const root = path.dirname(__dirname);

async function main(): Promise<number> {
    const report = consoleReporter();
    const suites = stages.flat();
    const wanted = process.argv.slice(2);
    const unknown = wanted.filter((name) => !suites.some((suite) => suite.name === name));
    if (unknown.length > 0) {
        console.error(
            `No suite ${unknown.join(", ")}; there are: ${suites.map((suite) => suite.name).join(", ")}`,
        );
        return 2;
    }
    let total: Counts = { passed: 0, failed: 0 };
    const failures: string[] = [];
    const context: SuiteContext = { root, report, env: {}, airgap: false };
    for (const stage of stages) {
        const chosen = stage.filter(
            ({ name, airgapOnly }) =>
                (wanted.length === 0 || wanted.includes(name) || name === "set-up") &&
                (!airgapOnly || context.airgap),
        );
        await Promise.all(
            chosen.map(async (suite) => {
                const counts = await result(suite, context);
                total = add(total, counts);
                if (counts.failed > 0) failures.push(suite.name);
            }),
        );
        // Nothing after the set-up means anything without it.
        if (failures.includes("set-up")) break;
    }
    for (const words of total.failures ?? []) console.log(`\n${words}`);
    console.log(failures.length > 0 ? `\nFailed: ${failures.join(", ")}\n` : "");
    console.log(`${total.passed} passed, ${total.failed} failed`);
    return total.failed === 0 && total.passed > 0 ? 0 : 1;
}

async function result(suite: Suite, context: SuiteContext): Promise<Counts> {
    const begun = Date.now();
    console.log(`\n=== ${suite.name}: ${suite.title}`);
    let counts: Counts;
    try {
        counts = await suite.run(context);
    } catch (error) {
        console.log(error instanceof Error ? error.message : String(error));
        counts = { passed: 0, failed: 1 };
    }
    const seconds = ((Date.now() - begun) / 1000).toFixed(1);
    console.log(`=== ${suite.name}: ${counts.passed} passed, ${counts.failed} failed (${seconds} s)`);
    return counts;
}

void main().then(
    (code) => (process.exitCode = code),
    (error: unknown) => {
        console.error(error);
        console.log("0 passed, 1 failed");
        process.exitCode = 1;
    },
);
