import assert from "node:assert/strict";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { describe, it } from "node:test";
import { askOsv, judge, parseNpmAudit, type Advisory, type Answer, type Package } from "./advisories";

const crate: Package = { ecosystem: "crates.io", name: "old", version: "1.0.0" };
const other: Package = { ecosystem: "npm", name: "fine", version: "2.0.0" };

interface Asked {
    queries: { package: { ecosystem: string; name: string }; version: string; page_token?: string }[];
}

/** Asks a server of ours in OSV's place. `batch` answers a batch, `details` an advisory by its id. */
async function withOsv<T>(
    batch: (asked: Asked) => unknown,
    details: Record<string, object>,
    use: (base: string) => Promise<T>,
): Promise<T> {
    const answer = async (request: IncomingMessage, response: ServerResponse) => {
        let text = "";
        for await (const part of request) text += String(part);
        const id = /^\/v1\/vulns\/(.*)$/.exec(request.url ?? "")?.[1];
        const body = id === undefined ? batch(JSON.parse(text) as Asked) : details[id];
        if (typeof body === "number") response.writeHead(body).end();
        else response.end(typeof body === "string" ? body : JSON.stringify(body));
    };
    const server = createServer((request, response) => void answer(request, response));
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
        return await use(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
    } finally {
        server.close();
        server.closeAllConnections();
    }
}

const vulnerable = ({ queries }: Asked) => ({
    results: queries.map((query) => (query.package.name === "old" ? { vulns: [{ id: "RUSTSEC-1" }] } : {})),
});
const details = { "RUSTSEC-1": { aliases: ["GHSA-1"], summary: "reads past the end" } };

describe("OSV", () => {
    it("is asked for each package, and tells what holds", async () => {
        const asked: Asked[] = [];
        const answer = await withOsv(
            (batch) => {
                asked.push(batch);
                return vulnerable(batch);
            },
            details,
            (base) => askOsv([crate, other], base),
        );
        assert.deepEqual(asked, [
            {
                queries: [
                    { package: { ecosystem: "crates.io", name: "old" }, version: "1.0.0" },
                    { package: { ecosystem: "npm", name: "fine" }, version: "2.0.0" },
                ],
            },
        ]);
        assert.deepEqual(answer, {
            had: true,
            advisories: [
                { id: "RUSTSEC-1", aliases: ["GHSA-1"], summary: "reads past the end", package: crate },
            ],
        });
    });

    it("is asked in batches of a thousand, and to the last page", async () => {
        const many = Array.from({ length: 1001 }, (_, index) => ({ ...other, name: `p${index}` }));
        const sizes: number[] = [];
        const answer = await withOsv(
            ({ queries }) => {
                sizes.push(queries.length);
                return {
                    results: queries.map(({ package: of, page_token }) => {
                        if (of.name !== "p7") return {};
                        return page_token === "2"
                            ? { vulns: [{ id: "B" }] }
                            : { vulns: [{ id: "A" }], next_page_token: "2" };
                    }),
                };
            },
            { A: {}, B: {} },
            (base) => askOsv(many, base),
        );
        assert.deepEqual(sizes, [1000, 1, 1]);
        assert.deepEqual(answer.had && answer.advisories.map(({ id }) => id), ["A", "B"]);
    });

    it("takes back what was withdrawn", async () => {
        const withdrawn = { "RUSTSEC-1": { withdrawn: "2026-01-01T00:00:00Z" } };
        const answer = await withOsv(vulnerable, withdrawn, (base) => askOsv([crate], base));
        assert.deepEqual(answer, { had: true, advisories: [] });
    });

    const absent: [what: string, answer: unknown, because: RegExp][] = [
        ["a gateway that refuses", 403, /answers with HTTP status 403/],
        ["a server that fails", 503, /answers with HTTP status 503/],
        ["a login page", "<html>", /something else than JSON/],
        ["fewer answers than questions", { results: [] }, /otherwise than asked/],
        ["pages without an end", { results: [{ next_page_token: "x" }] }, /no end of pages/],
    ];
    for (const [what, given, because] of absent) {
        it(`cannot be had through ${what}`, async () => {
            const answer = await withOsv(
                () => given,
                {},
                (base) => askOsv([crate], base),
            );
            assert.equal(answer.had, false);
            assert.match(answer.had ? "" : answer.because, because);
        });
    }

    it("cannot be had without a network", async () => {
        const gone = await withOsv(vulnerable, {}, (base) => Promise.resolve(base));
        const answer = await askOsv([crate], gone);
        assert.match(answer.had ? "" : answer.because, /cannot be reached \(.*ECONNREFUSED/);
    });

    it("that does not understand us is our fault, and no missing network", async () => {
        await assert.rejects(
            withOsv(
                () => 400,
                {},
                (base) => askOsv([crate], base),
            ),
            /does not understand the question/,
        );
    });
});

it("reads npm audit's report, and its refusal", () => {
    const url = "https://github.com/advisories/GHSA-aaaa-bbbb-cccc";
    const report = {
        vulnerabilities: {
            x: { via: [{ name: "x", title: "runs what it reads", url, range: "<2" }] },
            y: { via: ["x"] },
        },
    };
    assert.deepEqual(parseNpmAudit(JSON.stringify(report)), {
        had: true,
        advisories: [
            {
                ...{ id: "GHSA-aaaa-bbbb-cccc", aliases: [], summary: "runs what it reads" },
                package: { ecosystem: "npm", name: "x", version: "<2" },
            },
        ],
    });
    assert.deepEqual(parseNpmAudit('{"vulnerabilities":{}}'), { had: true, advisories: [] });
    const refused = parseNpmAudit('{"message":"405 Method Not Allowed","error":{"summary":""}}');
    assert.deepEqual(refused, {
        had: false,
        because: "the npm registry gives none (405 Method Not Allowed)",
    });
    assert.equal(parseNpmAudit("").had, false);
});

describe("the verdict", () => {
    const advisory: Advisory = { id: "RUSTSEC-1", aliases: ["GHSA-1"], summary: "bad", package: crate };
    const inGo: Advisory = { ...advisory, id: "GO-1", package: { ...crate, ecosystem: "Go" } };
    const had = (...advisories: Advisory[]): Answer => ({ had: true, advisories });
    const cases: [
        what: string,
        answer: Answer,
        accepted: string[],
        required: boolean,
        failures: number,
        notes: number,
    ][] = [
        ["nothing known", had(), [], false, 0, 0],
        ["one known", had(advisory), [], false, 1, 0],
        ["one accepted", had(advisory), ["RUSTSEC-1"], false, 0, 0],
        ["one accepted by its other name", had(advisory), ["GHSA-1"], false, 0, 0],
        ["another accepted", had(advisory), ["RUSTSEC-2"], false, 1, 0],
        ["one of a Go module", had(inGo), [], false, 0, 1],
        ["one of a Go module and one of a crate", had(inGo, advisory), [], true, 1, 1],
        ["none to be had", { had: false, because: "why" }, [], false, 0, 1],
        ["none to be had where they are required", { had: false, because: "why" }, [], true, 1, 0],
    ];
    for (const [what, answer, accepted, required, failures, notes] of cases) {
        it(what, () => {
            const verdict = judge("crates", answer, accepted, required);
            assert.equal(verdict.failures.length, failures);
            assert.equal(verdict.notes.length, notes);
        });
    }

    it("says what it says", () => {
        assert.deepEqual(judge("crates", had(advisory), [], false).failures, [
            "RUSTSEC-1 crates.io old 1.0.0: bad",
        ]);
        assert.deepEqual(judge("crates", { had: false, because: "no network" }, [], false).notes, [
            "crates: NO ADVISORIES were looked at, no network",
        ]);
    });
});
