// The registry that we run, with just the settings that the stack gives it, against the specification's own tests.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { clients } from "./clients";
import * as report from "./report";
import { startRegistry, stopRegistry } from "./started";

const folder = mkdtempSync(path.join(tmpdir(), "krustlet-conformance-"));
after(() => rmSync(folder, { recursive: true, force: true }));

/** What the registry does not offer. The tests have an option for each. */
const NOT_OFFERED: report.Deviation[] = [
    {
        tests: /\/referrers$/,
        said: /received 404/,
        why: "no referrers API, which came with 1.1; clients then use the referrers tag",
    },
    {
        tests: /subject\/push\/manifest-by-(digest|tag)$/,
        said: /header value mismatch for "OCI-Subject", expected "sha256:[0-9a-f]+", received \[\]$/,
        why: "no OCI-Subject header, which goes with the referrers API",
    },
    {
        tests: /^non-distributable-layers\//,
        said: /./,
        why: "manifests with URLs in them are refused unless validation.manifests.urls allows some",
    },
    {
        tests: /^sha512( blobs)?\//,
        said: /sha512|unexpected status code, expected one of \[20[01]\], received (400|404|500)/,
        why: "what is pushed by a SHA-512 digest is kept by its SHA-256 one",
    },
];

const inherited = Object.fromEntries(
    Object.keys(process.env)
        .filter((name) => name.startsWith("OCI_"))
        .map((name) => [name, undefined]),
);

interface Options {
    name: string;
    /** OCI_… variables (https://github.com/opencontainers/distribution-spec/blob/main/conformance/README.md). */
    options: Record<string, string>;
}

async function conformance(
    programs: string,
    address: string,
    { name, options }: Options,
): Promise<report.Tested[]> {
    const results = path.join(folder, name);
    const { stderr } = await run([path.join(programs, "conformance")], {
        // Without a configuration file: what is tested is decided here alone.
        cwd: folder,
        env: {
            ...inherited,
            OCI_REGISTRY: address,
            OCI_TLS: "disabled",
            OCI_REPO1: `${name}/one`,
            OCI_REPO2: `${name}/two`,
            OCI_RESULTS_DIR: results,
            ...options,
        },
        // It is 1 where a test failed, which the report tells better.
        allowFailure: true,
        timeoutSeconds: 300,
    });
    try {
        return report.parseReport(readFileSync(path.join(results, "junit.xml"), "utf8"));
    } catch (error) {
        throw new Error(`the conformance tests left no report: ${stderr.slice(-500)}`, { cause: error });
    }
}

const shown = ({ passed, skipped, failed }: report.Totals) =>
    `${passed} passed, ${skipped} skipped, ${failed} failed`;

describe("the registry conforms to the OCI distribution specification", () => {
    let claimed: report.Tested[];
    let everything: report.Tested[];

    before(async () => {
        const programs = await clients();
        const registry = { name: "krustlet-conformance-test-registry", port: 5932 };
        const address = await startRegistry(registry);
        try {
            // What it claims: version 1.0, which its own project tests it against, and no optional kinds of data.
            claimed = await conformance(programs, address, {
                name: "claimed",
                options: { OCI_VERSION: "1.0", OCI_DATA_SHA512: "false", OCI_DATA_NONDISTRIBUTABLE: "false" },
            });
            everything = await conformance(programs, address, {
                name: "everything",
                options: { OCI_VERSION: "1.1" },
            });
        } finally {
            await stopRegistry(registry);
        }
    });

    for (const workflow of report.WORKFLOWS) {
        it(`1.0: ${workflow}`, () => {
            const tests = claimed.filter(({ name }) => report.workflow(name) === workflow);
            console.log(`  ${workflow}: ${shown(report.totals(tests))}`);
            assert.deepEqual(report.unexplained(tests, []), []);
            assert.ok(report.totals(tests).passed > 15, "too few tests were run");
        });
    }

    it("1.0: in all, without one failure", () => {
        console.log(`  1.0: ${shown(report.totals(claimed))}`);
        assert.deepEqual(report.unexplained(claimed, []), []);
        assert.deepEqual(report.totals(claimed), COUNTS.claimed);
    });

    it("1.1 with everything optional: nothing fails but what it is known not to offer", () => {
        console.log(`  1.1: ${shown(report.totals(everything))}`);
        assert.deepEqual(report.unexplained(everything, NOT_OFFERED), []);
        assert.deepEqual(report.totals(everything), COUNTS.everything);
    });
});

/** As docs/reference/registry-conformance.md has them. Another version of the tests or of the registry has others. */
const COUNTS = {
    claimed: { passed: 557, skipped: 8, failed: 0 },
    everything: { passed: 582, skipped: 18, failed: 90 },
};

describe("the report of the conformance tests", () => {
    const test = (name: string, status: string, said = "") =>
        `<testcase name="OCI Conformance Test/${name}" classname="" time="0.1" status="${status}">` +
        `<system-out>${said}</system-out><system-err>x</system-err></testcase>`;
    const read = (...tests: string[]) => report.parseReport(`<testsuites>${tests.join("\n")}</testsuites>`);

    it("is read as it is", () => {
        const tests = read(test("a/push/b", "failure", "&lt;1&gt;&#xA;&amp;lt;"), test("ping", "passed"));
        assert.deepEqual(tests, [
            { name: "a/push/b", status: "failure", said: "<1>\n&lt;" },
            { name: "ping", status: "passed", said: "" },
        ]);
        assert.deepEqual(report.totals(tests), { passed: 1, skipped: 0, failed: 1 });
    });

    it("is none where a test is cut short, unknown, or there is none", () => {
        for (const tests of [[test("a", "passed"), "<testcase name="], [test("a", "unknown")], []])
            assert.throws(() => read(...tests), /report has/);
    });

    it("has failures that must be explained, and explanations that must be needed", () => {
        const known = { tests: /^a$/, said: /^no$/, why: "known" };
        assert.deepEqual(report.unexplained(read(test("a", "failure", "no")), [known]), []);
        assert.deepEqual(report.unexplained(read(test("a", "failure", "other")), [known]), [
            "a: other",
            "no longer so, take it from the list: known",
        ]);
        assert.deepEqual(report.unexplained(read(test("a", "error", "no")), [known]).length, 2);
        assert.deepEqual(report.unexplained(read(test("b", "passed")), [known]).length, 1);
    });

    it("is divided as the specification is", () => {
        const names: [string, report.Workflow][] = [
            ["sha256 blobs/post+put/blob-post-put", "push"],
            ["sha256 blobs/mount/blob-mount", "push"],
            ["sha256 blobs/stream/blob-patch-stream", "push"],
            ["image/push/manifest-by-tag", "push"],
            ["invalid-digest-format/manifest-put", "push"],
            ["image/pull/manifest-by-tag", "pull"],
            ["image/head/blob-head", "pull"],
            ["sha256 blobs/range requests/range 500-", "pull"],
            ["empty/tag list", "content discovery"],
            ["image/tag-list", "content discovery"],
            ["image/referrers", "content discovery"],
            ["image/delete/tag-delete", "content management"],
            ["sha256 blobs/stream/blob-delete", "content management"],
        ];
        for (const [name, workflow] of names) assert.equal(report.workflow(name), workflow, name);
    });
});
