import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { describe, it } from "node:test";
import { originFault } from "../../../../components/workload/origin";
import { noSchedules, schedules } from "./schedules";
import { scheduleFault, timeZone } from "../../../../components/workload/schedule";

/** The table that the node's own rule is held to. */
const { origins, refused } = JSON.parse(
    readFileSync(path.join(__dirname, "../../../../krustlet/http/testdata/origins.json"), "utf8"),
) as { origins: [string, string][]; refused: [string, string][] };

describe("origins", () => {
    for (const [text, plain] of origins)
        it(`${JSON.stringify(text)} is one`, () => {
            assert.equal(originFault(text), undefined);
            assert.equal(originFault(plain), undefined);
        });
    for (const [text, fault] of refused)
        it(`${JSON.stringify(text)} is none`, () => {
            assert.ok(originFault(text)?.includes(fault), `${originFault(text)}; ${fault}`);
        });
});

describe("schedules", () => {
    for (const text of schedules)
        it(`${text} is one`, () => {
            assert.equal(scheduleFault(text), undefined);
        });
    for (const [text, fault] of noSchedules)
        it(`${JSON.stringify(text)} is none`, () => {
            assert.equal(scheduleFault(text), fault);
        });
});

it("a schedule of commas, which the API server takes, would never come", () => {
    assert.equal(scheduleFault(", * * * *"), 'its minute is from 0 to 59, not ","');
});

describe("time zones", () => {
    for (const [zone, right] of [
        ["Europe/Berlin", true],
        ["Etc/UTC", true],
        ["Local", false],
        ["Europe/Nowhere", false],
        ["+02:00", false],
        [3, false],
    ] as const)
        it(`${zone} is ${right ? "one" : "none"}`, () => {
            assert.equal(timeZone(zone, "timeZone").length, right ? 0 : 1);
        });
});
