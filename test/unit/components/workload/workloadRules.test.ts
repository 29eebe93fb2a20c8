import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { originFault } from "../../../../components/workload/origin";
import { scheduleFault, timeZone } from "../../../../components/workload/schedule";

/** As the node's own table has them. */
const origins = [
    "https://catfact.ninja",
    "https://catfact.ninja/",
    "https://catfact.ninja:443",
    "HTTPS://CatFact.Ninja:8443",
    "http://catfact.ninja:443",
    "http://my_service.example",
    "https://bücher.example",
    "https://日本.example:1",
    "http://localhost:5000",
    "http://127.0.0.1:80",
    "http://169.254.169.254",
    "http://[::1]:8080/",
    "http://[2001:DB8:0::1]",
    "http://[::ffff:127.0.0.1]",
];
const noOrigins: [string, RegExp][] = [
    ["", /begin with http/],
    ["catfact.ninja", /begin with http/],
    ["//catfact.ninja", /begin with http/],
    ["https:catfact.ninja", /begin with http/],
    ["ftp://catfact.ninja", /scheme/],
    ["https://", /no host/],
    ["https:///", /no host/],
    ["https://:443", /no host/],
    ["https://*.ninja", /no wildcards/],
    ["*", /no wildcards/],
    ["insecure:allow-all", /begin with http/],
    ["https://user@catfact.ninja", /user name/],
    ["https://@catfact.ninja", /user name/],
    ["https://catfact.ninja/fact", /a path/],
    ["https://catfact.ninja//", /a path/],
    ["https://catfact.ninja?", /a query/],
    ["https://catfact.ninja#", /a query/],
    ["https://catfact.ninja:", /port/],
    ["https://catfact.ninja:0", /port/],
    ["https://catfact.ninja:65536", /port/],
    ["https://catfact.ninja:x", /port/],
    [" https://catfact.ninja", /white space/],
    ["https://cat fact.ninja", /white space/],
    ["https://catfact.ninja\n", /white space/],
    ["https://catfact.ninja\\", /backslash/],
    ["https://%63atfact.ninja", /percent/],
    ["https://catfact.ninja.", /dot/],
    ["https://cat..ninja", /valid name/],
    ["https://cat'fact.ninja", /valid name/],
    ["https://xn--a.example", /valid name/],
    ["http://2130706433", /number/],
    ["http://0177.0.0.1", /number/],
    ["http://0x7f.1", /number/],
    ["http://127.1", /number/],
    ["http://127.0.0.1.", /number/],
    ["http://256.0.0.1", /number/],
    ["http://[::1", /port|host/],
    ["http://::1", /no host/],
    ["http://0.0.0.0", /one host/],
    ["http://[ff02::1]", /one host/],
    ["http://[::]", /one host/],
];

describe("origins", () => {
    for (const text of origins)
        it(`${text} is one`, () => {
            assert.equal(originFault(text), undefined);
        });
    for (const [text, fault] of noOrigins)
        it(`${JSON.stringify(text)} is none`, () => {
            assert.match(originFault(text) ?? "", fault);
        });
});

const schedules = [
    "* * * * *",
    "*/5 * * * *",
    "0,30 8-18/2 1 JAN-MAR mon-fri",
    "59 23 31 12 6",
    "0 0 ? * *",
    "5/10 * * * *",
    "@hourly",
    "@every 1h30m",
];
const noSchedules: [string, string][] = [
    ["", "it has 1 field, not 5"],
    ["* * * *", "it has 4 fields, not 5"],
    ["0 * * * * *", "it has 6 fields, not 5"],
    ["60 * * * *", 'its minute is from 0 to 59, not "60"'],
    ["* 24 * * *", 'its hour is from 0 to 23, not "24"'],
    ["* * 0 * *", 'its day of the month is from 1 to 31, not "0"'],
    ["* * * 13 *", 'its month is from 1 to 12, not "13"'],
    ["* * * * 7", 'its day of the week is from 0 to 6, not "7"'],
    ["*/0 * * * *", 'its minute is from 0 to 59, not "*/0"'],
    ["5-1 * * * *", 'its minute is from 0 to 59, not "5-1"'],
    ["1, * * * *", 'its minute is from 0 to 59, not ""'],
    ["* * * * someday", 'its day of the week is from 0 to 6, not "someday"'],
    ["@often", "there are @hourly, @daily, @weekly, @monthly, @yearly and @every 1h30m"],
    ["TZ=UTC * * * * *", "the time zone has an argument of its own, timeZone"],
];

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
