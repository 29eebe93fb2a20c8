/**
 * What Pulumi had begun to make in a cluster that stays when it was killed: the next update leaves it once, `down` instead not at all. The whole
 * table is `npm run crash-table`.
 */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { later, onExisting, type Prepared } from "../crash/stacks";
import { columns, countOf, CrashTable, type Column } from "../crash/table";

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
        for (const column of wanted) {
            const { yes, wrong } = countOf(rows, column);
            const all = () => `${column}\n${JSON.stringify([...rows])}\n${said.join("\n")}`;
            assert.equal(wrong, 0, all());
            // The role is made within milliseconds, and may be missed; the others take long enough.
            assert.ok(yes >= 2, all());
        }
    });
});
