import assert from "node:assert/strict";
import { it } from "node:test";
import { licenceFits } from "./spdx";

const allowed = new Set(["MIT", "Apache-2.0", "Apache-2.0 WITH LLVM-exception", "ISC"]);

const cases: [expression: string, fits: boolean][] = [
    ["MIT", true],
    ["GPL-3.0-only", false],
    ["GPL-3.0-only OR MIT", true],
    ["MIT/Apache-2.0", true],
    ["MIT AND GPL-3.0-only", false],
    ["MIT AND ISC", true],
    ["(MIT OR GPL-2.0) AND ISC", true],
    ["MIT OR GPL-2.0 AND AGPL-3.0", true],
    ["(MIT OR GPL-2.0) AND AGPL-3.0", false],
    ["ISC AND (Apache-2.0 OR ISC) AND MIT", true],
    ["Apache-2.0 WITH LLVM-exception", true],
    ["MIT WITH LLVM-exception", false],
    ["GPL-2.0 WITH LLVM-exception OR Apache-2.0", true],
    // What is no expression is no licence.
    ["", false],
    ["SEE LICENSE IN LICENSE", false],
    ["MIT MIT", false],
    ["MIT OR", false],
    ["(MIT", false],
    ["MIT)", false],
    ["MIT; DROP", false],
    ["mit", false],
];

for (const [expression, fits] of cases)
    it(`${fits ? "lets in" : "refuses"} "${expression}"`, () =>
        assert.equal(licenceFits(expression, allowed), fits));
