/**
 * What Pulumi had begun to make in a cluster that stays when it was killed: the next update leaves it once, `down` instead not at all. The whole
 * table is `npm run crash-table`.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { later, onExisting, type Prepared } from "../crash/stacks";
import { columns, CrashTable, type Column } from "../crash/table";

const wanted: readonly Column[] = columns.filter((column) => column.startsWith("engine: create"));

void describe("Pulumi killed at what it makes", { timeout: 1_200_000 }, () => {
    let prepared: Prepared;
    const said: string[] = [];
    before(async () => {
        prepared = await onExisting(/-(pod|cronjob|bootstrap-role)$/, [later]);
    });
    after(() => prepared.remove());

    void it("in a cluster that stays: an update converges, and down leaves nothing", async () => {
        const rows = await new CrashTable(prepared.crashing, (line) => said.push(line)).run(wanted);
        assert.equal(rows.size, 3);
        for (const [name, row] of rows)
            for (const [column, became] of Object.entries(row))
                assert.equal(became, "yes", `${name}, ${column}\n${said.join("\n")}`);
        // One that is over before it can be killed, three times in a row, has no entry.
        for (const column of wanted)
            assert.ok(
                [...rows.values()].some((row) => row[column] === "yes"),
                `${column}\n${said.join("\n")}`,
            );
    });
});
