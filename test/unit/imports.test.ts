import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import * as path from "node:path";
import { describe, it } from "node:test";
import { ROOT } from "../../common/root";

/** What the tools for people are made of, and what each room may import besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
    common: ["steps/lib"],
    airgap: ["common", "steps/lib"],
    tools: ["common", "steps", "tools/sources/airgap.ts → airgap"],
};

const within = (file: string, room: string) => file === room || file.startsWith(`${room}/`);

/** Imports of a file's text that its room may not have, each as `file → imported file`. */
function forbidden(file: string, text: string): string[] {
    const room = file.split("/")[0];
    const imports = [...text.matchAll(/(?:\bfrom|\bimport\(|\brequire\()\s*"(\.[^"]*)"/g)];
    return imports
        .map((found) => path.posix.join(path.posix.dirname(file), found[1]))
        .filter((imported) => !within(imported, room))
        .filter((imported) => !MAY_IMPORT[room].some((allowed) => allows(allowed, file, imported)))
        .map((imported) => `${file} → ${imported}`);
}

function allows(rule: string, file: string, imported: string): boolean {
    const [first, second] = rule.split(" → ");
    return second === undefined ? within(imported, first) : file === first && within(imported, second);
}

function sourcesOf(room: string): string[] {
    const entries = readdirSync(path.join(ROOT, room), { withFileTypes: true, recursive: true });
    return entries
        .filter((entry) => entry.isFile() && entry.name.endsWith(".ts"))
        .map((entry) => path.relative(ROOT, path.join(entry.parentPath, entry.name)));
}

describe("imports go one way", () => {
    for (const room of Object.keys(MAY_IMPORT)) {
        it(`from ${room}/ to ${MAY_IMPORT[room].join(", ")}`, () => {
            const files = sourcesOf(room);
            assert.ok(files.length > 5, `${room}/ has ${files.length} files`);
            const found = files.flatMap((file) =>
                forbidden(file, readFileSync(path.join(ROOT, file), "utf8")),
            );
            assert.deepEqual(found, []);
        });
    }

    it("and one that does not is found", () => {
        assert.deepEqual(forbidden("airgap/go/a.ts", 'import { b } from "../../tools/lib/b";'), [
            "airgap/go/a.ts → tools/lib/b",
        ]);
        assert.deepEqual(forbidden("tools/up.ts", 'import * as a from "../airgap";'), [
            "tools/up.ts → airgap",
        ]);
        assert.deepEqual(forbidden("common/x.ts", 'await import("../airgap/go")'), [
            "common/x.ts → airgap/go",
        ]);
    });
});
