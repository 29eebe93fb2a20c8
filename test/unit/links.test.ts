/** Every relative link of a page leads to a file of the checkout, and to a heading where it names one. */
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync, statSync } from "node:fs";
import * as path from "node:path";
import { test } from "node:test";
import { ROOT } from "../../common/root";
import { anchorsOf, relativeLinks } from "../links";

/** Folders of what is installed or built. */
const made = /(^|\/)(node_modules|dist|target|\.\w+)\//;
const pages = readdirSync(ROOT)
    .flatMap((top) => {
        if (made.test(`${top}/`)) return [];
        if (!statSync(path.join(ROOT, top)).isDirectory()) return [top];
        const below = readdirSync(path.join(ROOT, top), { recursive: true, encoding: "utf8" });
        return below.map((name) => `${top}/${name}`).filter((name) => !made.test(name));
    })
    .filter((name) => name.endsWith(".md"));

for (const page of pages) {
    test(`links of ${page}`, () => {
        const text = readFileSync(path.join(ROOT, page), "utf8");
        for (const { file, anchor } of relativeLinks(text)) {
            const target = file === "" ? page : path.join(path.dirname(page), file);
            assert.ok(existsSync(path.join(ROOT, target)), `${page} links to ${target}`);
            if (anchor !== undefined && target.endsWith(".md")) {
                const anchors = anchorsOf(readFileSync(path.join(ROOT, target), "utf8"));
                assert.ok(anchors.includes(anchor), `${page} links to ${target}#${anchor}`);
            }
        }
    });
}

test("links and anchors are told from code", () => {
    const text =
        "# A `b`: c_d, e\n[x](y.md#z) `[n](o.md)` [w](#v) [u](https://t)\n```\n# no\n[s](r)\n```\n[q](p/)\n";
    assert.deepEqual(relativeLinks(text), [
        { file: "y.md", anchor: "z" },
        { file: "", anchor: "v" },
        { file: "p/", anchor: undefined },
    ]);
    assert.deepEqual(anchorsOf(text), ["a-b-c_d-e"]);
});
