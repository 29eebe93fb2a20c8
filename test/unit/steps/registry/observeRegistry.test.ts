/** What is seen of a registry's container that an ended run has made, or has taken away to make it anew. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import { afterEach, beforeEach, describe, it } from "node:test";
import { enterClaim, thisHost } from "../../../../steps/lib/claim";
import { writeEntry } from "../../../../steps/lib/journal";
import { notesOf } from "../../../../steps/lib/step";
import { observeRegistry } from "../../../../steps/registry/observeRegistry";
import { scratchFolder, scriptedTools } from "../lib/scriptedDocker";

const resource = "r-ready";
const name = "p-s-registry";
const owner = "p/s/0123456789abcdef";
const folder = scratchFolder("observe-registry");

void describe("a registry's container", () => {
    const tools = scriptedTools();
    beforeEach(async () => {
        await fs.mkdir(folder, { recursive: true });
        await enterClaim({ id: "0123456789abcdef", owner, folder, host: await thisHost(), resource });
    });
    afterEach(async () => {
        await enterClaim(undefined);
        await fs.rm(folder, { recursive: true });
    });

    /** What is told while these containers are there, all of that name and this stack's. */
    const told = async (...ids: string[]) => {
        const all = ids.map((Id) => ({
            ...{ Id, Name: `/${name}`, State: { Running: true } },
            Config: { Labels: { "krustlet-stack.owner": owner } },
        }));
        tools.script(
            "docker",
            `const all = ${JSON.stringify(all)};
            const id = argv.map((one) => /^--filter=id=(.*)/.exec(one)?.[1]).find(Boolean);
            const found = all.filter(({ Id }) => argv[0] !== "ps" || id === undefined || Id === id);
            print(argv[0] === "ps" ? found.map(({ Id }) => Id).join("\\n") : JSON.stringify(found));`,
        );
        return (await notesOf(() => observeRegistry({ resource, containerName: name }))).lost;
    };
    /** The step that waits for it began with it, and came to its end, or not. */
    const awaited = (id: string, output: object | undefined, lost?: string) =>
        writeEntry(
            { folder },
            {
                ...{ resource, undo: "forget", done: output !== undefined, at: 0, output },
                input: { container: { id, name }, lost } as object,
            },
        );
    const ended = (id: string) => `container ${name} (${id}) was made by a run that was ended`;

    void it("that is not there yet is not lost, and one that is as it was seen is neither", async () => {
        assert.equal(await told(), undefined);
        await awaited("one", { address: "localhost:5001" });
        assert.equal(await told("one"), undefined);
    });
    void it("that nobody has waited for is made anew, and is lost until it is: a run may be ended once the old one is gone", async () => {
        const lost = `${ended("one")}: it is made anew`;
        assert.equal(await told("one"), lost);
        assert.equal(await told(), lost);
        assert.equal(await told("two"), `${ended("two")}: it is made anew`);
        await awaited("three", { address: "localhost:5001" }, lost);
        assert.equal(await told("three"), lost);
    });
    void it("that was made in the place of one that is gone is made anew, and lost until it is", async () => {
        await awaited("one", { address: "localhost:5001" });
        const gone = `registry container ${name}, seen 1970-01-01T00:00:00Z, is gone`;
        const instead = ": it is made anew, with no data: all is pushed again";
        assert.equal(await told(), `${gone}${instead}`);
        assert.equal(await told("two"), `${gone} (${ended("two")})${instead}`);
        assert.equal(await told(), `${gone} (${ended("two")})${instead}`);
    });
    void it("that is gone before the step that waits for it had come to its end is made anew", async () => {
        await awaited("one", undefined);
        assert.equal(await told("one"), undefined);
        assert.match(
            (await told()) ?? "",
            /registry container p-s-registry, seen .* is gone: it is made anew/,
        );
    });
});
