/**
 * `npm run crash-table`: kills the engine at each of the stack's resources, then whoever makes it, and prints what becomes of each. A part of it
 * by words: `npm run crash-table -- existing maker "create, up" --only='-pod$'`.
 */
import { parseArgs } from "node:util";
import { table } from "../../../tools/lib/table";
import { withTools } from "../../withTools";
import { victims } from "./killed";
import { ofOtherKinds, onExisting, onKind, type Prepared } from "./stacks";
import { columns, countOf, CrashTable, MISSED, moments, NOBODY, type Table } from "./table";

/** What each stack is killed at: of each after the first, what that has not. */
const stacks: Record<string, (only?: RegExp) => Promise<Prepared>> = {
    existing: onExisting,
    kinds: ofOtherKinds,
    kind: (only = /cluster-kind|cluster-kubelets|cluster-provider|registry-hosting/) => onKind(only),
};

async function main(): Promise<void> {
    await withTools();
    const { values, positionals: given } = parseArgs({
        options: { only: { type: "string" } },
        allowPositionals: true,
    });
    const only = values.only === undefined ? undefined : new RegExp(values.only);
    const some = <T extends string>(all: readonly T[]) => {
        const named = all.filter((one) => given.includes(one));
        return named.length > 0 ? named : all;
    };
    const [who, when] = [some(victims), some(moments)];
    const wanted = columns.filter(
        (one) => who.some((it) => one.startsWith(it)) && when.some((it) => one.endsWith(it)),
    );
    const all: Table = new Map();
    for (const name of some(Object.keys(stacks))) {
        const { crashing, remove } = await stacks[name](only);
        const begun = Date.now();
        const say = (line: string) =>
            console.log(`${((Date.now() - begun) / 1000).toFixed(0)} s, ${name}: ${line}`);
        const crash = new CrashTable(crashing, say);
        try {
            await crash.run(wanted);
        } catch (error) {
            console.error(error);
            process.exitCode = 1;
        } finally {
            for (const [resource, row] of crash.rows) all.set(`${name}: ${resource}`, row);
            await remove();
        }
    }
    const lines = [...all].map(([resource, row]) => [
        resource,
        ...wanted.map((one) => row[one] ?? "not met"),
    ]);
    console.log(table([["killed at", ...wanted], ...lines]));
    for (const column of wanted) {
        const { yes, missed, nobody, wrong } = countOf(all, column);
        console.log(
            `${column}: ${yes} of ${all.size} yes, ${missed} ${MISSED}, ${nobody} ${NOBODY}, ${wrong} wrong`,
        );
        // Where nobody was killed in time, nothing is shown.
        if (wrong > 0 || yes === 0) process.exitCode = 1;
    }
}

void main();
