import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, it } from "node:test";
import { look } from "../../../../steps/host/look";
import { lookingSteps, type LookInput } from "../../../../steps/contract";
import { notesOf, pause, progress } from "../../../../steps/lib/step";

describe("steps that look, in one process", () => {
    let folder: string;
    before(() => {
        folder = mkdtempSync(join(tmpdir(), "krustlet-stack-"));
        writeFileSync(join(folder, "one.wasm"), Buffer.from("\0asm\x01\0\0\0", "latin1"));
    });
    after(() => rmSync(folder, { recursive: true }));
    const module_ = (file: string): LookInput["looks"][number] => ({
        step: "describeModule",
        input: { file: join(folder, file) },
    });

    it("answer each on its own, in the order of the questions", async () => {
        const { answers } = await look({ looks: [module_("two.wasm"), module_("one.wasm")] });
        assert.equal(
            answers[0].error,
            `describeModule: WasmArtifact.file: ${folder}/two.wasm does not exist`,
        );
        assert.equal(answers[0].output, undefined);
        assert.equal(answers[1].error, undefined);
        assert.match((answers[1].output as { sha256: string }).sha256, /^[0-9a-f]{64}$/);
    });
    it("check their inputs, as they do alone", async () => {
        const { answers } = await look({ looks: [{ step: "describeModule", input: { colour: "red" } }] });
        assert.match(
            answers[0].error ?? "",
            /^describeModule: input\.colour: is unknown; there are file, source/,
        );
    });
    it("are all there by their names", async () => {
        const { answers } = await look({
            looks: lookingSteps.map((step) => ({ step, input: { colour: 1 } })),
        });
        for (const [index, step] of lookingSteps.entries())
            assert.match(answers[index].error ?? "", new RegExp(`^${step}: input\\.colour: is unknown`));
    });
    it("keep their lines of progress apart", async () => {
        const told = (line: string) =>
            notesOf(async () => {
                await pause(1);
                progress(line);
                return {};
            });
        const [one, two] = await Promise.all([told("one"), told("two")]);
        assert.deepEqual([one.notes, two.notes], [["one"], ["two"]]);
    });
});
