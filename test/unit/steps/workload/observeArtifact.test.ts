/** What is seen of an artifact that was pushed, and of its tag. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import type { StepClaim } from "../../../../steps/contract";
import { enterClaim, thisHost } from "../../../../steps/lib/claim";
import { writeEntry } from "../../../../steps/lib/journal";
import { notesOf } from "../../../../steps/lib/step";
import { observeArtifact } from "../../../../steps/workload/observeArtifact";
import { scratchFolder, scriptedTools } from "../lib/scriptedDocker";

const [digest, others] = [`sha256:${"a".repeat(64)}`, `sha256:${"b".repeat(64)}`];
const tag = "localhost:5001/hello:v1";
const reference = `localhost:5001/hello@${digest}`;
const output = { digest, reference, sizeBytes: 1 };

void describe("an artifact that was pushed", () => {
    const tools = scriptedTools();
    const folder = scratchFolder("observe-artifact");
    const pushed = { sha256: "c", reference: tag, insecureRegistries: ["localhost:5001"] };
    before(async () => {
        const claim: StepClaim = {
            ...{ id: "0123456789abcdef", owner: "p/s/0123456789abcdef", folder },
            host: await thisHost(),
        };
        await enterClaim(claim);
        await writeEntry(claim, {
            ...{ resource: "a-push", undo: "forget", input: pushed as object, output },
            ...{ done: true, at: Date.UTC(2026, 10, 28, 12) },
        });
    });
    after(() => enterClaim(undefined));

    /** Why it is pushed again, where the registry has these; and what was asked. */
    const seen = async (has: Record<string, string>, exitCode = 3) => {
        tools.script(
            "wasm-oci",
            `const digest = ${JSON.stringify(has)}[argv[1]];
            if (digest === undefined) return ${exitCode};
            print(JSON.stringify({ digest }));`,
        );
        const { because, last } = await notesOf(() => observeArtifact({ resource: "a-push" }));
        assert.deepEqual(last, { ...output, of: { sha256: "c", reference: tag, format: undefined } });
        const asked = tools.asked().map((line) => line.split(" ")[2]);
        tools.forget();
        return { because, asked };
    };
    const gone = (what: string) =>
        `${what}, pushed 2026-11-28T12:00:00Z, is not in the registry any more: it is pushed again`;

    void it("is looked at once where the tag leads to it", async () => {
        assert.deepEqual(await seen({ [tag]: digest, [reference]: digest }), {
            because: undefined,
            asked: [tag],
        });
    });
    void it("is pushed again where it is gone, whatever the tag leads to", async () => {
        assert.equal((await seen({})).because, gone(reference));
        assert.equal((await seen({ [tag]: others })).because, gone(reference));
    });
    void it("is pushed again for its tag alone, which a run may have deleted that was ended", async () => {
        assert.equal((await seen({ [reference]: digest })).because, gone(`tag ${tag}`));
    });
    void it("leaves a tag alone that somebody else has moved", async () => {
        assert.equal((await seen({ [tag]: others, [reference]: digest })).because, undefined);
    });
    void it("is not gone where the registry does not tell", async () => {
        assert.equal((await seen({}, 1)).because, undefined);
    });
});
