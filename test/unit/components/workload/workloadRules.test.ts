import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { originFault } from "../../../../components/workload/origin";
import { noSchedules, schedules } from "./schedules";
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
