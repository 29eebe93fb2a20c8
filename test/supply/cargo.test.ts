import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as cargo from "./cargo";

const policy: cargo.CratePolicy = {
    targets: [],
    ignore: [],
    allow: ["MIT"],
    deny: ["openssl-sys"],
    skip: ["twice"],
    registries: ["https://github.com/rust-lang/crates.io-index"],
    git: [],
};
const CRATES_IO = "registry+https://github.com/rust-lang/crates.io-index";
const checksum = "a".repeat(64);

describe("Cargo.lock", () => {
    it("is read", () => {
        const text = [
            "version = 4\n",
            '[[package]]\nname = "a"\nversion = "1.0.0"',
            `source = "${CRATES_IO}"\nchecksum = "${checksum}"\ndependencies = [\n "b",\n]\n`,
            '[[package]]\nname = "b"\nversion = "0.1.0"\n',
        ].join("\n");
        assert.deepEqual(cargo.parseCargoLock(text), [
            { name: "a", version: "1.0.0", source: CRATES_IO, checksum },
            { name: "b", version: "0.1.0" },
        ]);
        assert.throws(() => cargo.parseCargoLock('[[package]]\nname = "a"\n'), /without name or version/);
    });

    const cases: [what: string, crate: Partial<cargo.LockedCrate>, finding: RegExp | undefined][] = [
        ["a crate of crates.io", {}, undefined],
        ["a crate of ours", { name: "ours", source: undefined, checksum: undefined }, undefined],
        ["a folder of another's", { source: undefined, checksum: undefined }, /a folder that is not ours/],
        [
            "a git source",
            { source: "git+https://github.com/x/y?rev=1#2", checksum: undefined },
            /comes from git/,
        ],
        ["another registry", { source: "registry+https://example.com/index" }, /comes from registry\+https/],
        ["a missing checksum", { checksum: undefined }, /has no checksum/],
        ["a checksum cut short", { checksum: "abc" }, /has no checksum/],
        ["a banned crate", { name: "openssl-sys" }, /banned/],
    ];
    for (const [what, change, finding] of cases) {
        it(what, () => {
            const crate = { name: "x", version: "1.0.0", source: CRATES_IO, checksum, ...change };
            const findings = cargo.lockFindings([crate], ["ours"], policy);
            assert.equal(findings.length, finding ? 1 : 0);
            if (finding) assert.match(findings[0], finding);
        });
    }
});

describe("crates", () => {
    const crate = (change: Partial<cargo.CargoPackage> = {}): cargo.CargoPackage => ({
        ...{ name: "x", version: "1.0.0", source: CRATES_IO, license: "MIT", dependencies: [] },
        ...change,
    });
    const twice = [crate({ name: "twice" }), crate({ name: "twice", version: "2.0.0" })];
    const any = { name: "y", req: "*", source: CRATES_IO };
    const cases: [what: string, packages: cargo.CargoPackage[], findings: string[]][] = [
        ["fit", [...twice, crate()], []],
        ["have an unknown licence", [...twice, crate({ license: null })], ["x 1.0.0: licence unknown"]],
        ["have a licence of others", [...twice, crate({ license: "GPL-3.0" })], ["x 1.0.0: licence GPL-3.0"]],
        ["come twice", [...twice, crate(), crate({ version: "0.9.0" })], ["x: in versions 0.9.0, 1.0.0"]],
        ["are listed for nothing", [crate()], ["twice: deny.toml lists it as double"]],
        [
            "take anything",
            [...twice, crate({ source: null, dependencies: [any] })],
            ["x: takes any version of y"],
        ],
        ["of others may take anything", [...twice, crate({ dependencies: [any] })], []],
    ];
    for (const [what, packages, expected] of cases) {
        it(what, () => {
            const findings = cargo.crateFindings(packages, policy);
            assert.equal(findings.length, expected.length, findings.join("\n"));
            expected.forEach((text, index) => assert.ok(findings[index].startsWith(`crate ${text}`)));
        });
    }
});

it("reads deny.toml's lists, and misses none quietly", () => {
    const text = [
        '[graph]\ntargets = ["t"]',
        "[advisories]\nignore = []",
        '[licenses]\n# "Not-This"\nallow = [\n    "MIT",\n    # because\n    "ISC",\n]',
        '[bans]\ndeny = ["d"]\nskip = ["s"]',
        '[sources]\nallow-registry = ["r"]\nallow-git = []',
    ].join("\n\n");
    assert.deepEqual(cargo.parseDenyToml(text), {
        ...{ targets: ["t"], ignore: [], allow: ["MIT", "ISC"], deny: ["d"], skip: ["s"] },
        ...{ registries: ["r"], git: [] },
    });
    assert.throws(
        () => cargo.parseDenyToml(text.replace("allow =", "permit =")),
        /\[licenses\] has no list allow/,
    );
    assert.throws(() => cargo.parseDenyToml(text.replace("skip =", "#")), /\[bans\] has no list skip/);
});

it("asks cargo for exactly the locked versions", () => {
    const text = cargo.exactManifest([
        { name: "a", version: "1.0.0+spec-2", source: CRATES_IO, checksum },
        { name: "ours", version: "0.1.0" },
        { name: "a", version: "2.0.0-rc.1", source: CRATES_IO, checksum },
    ]);
    assert.deepEqual(text.match(/^c\d.*$/gm), [
        'c0 = { package = "a", version = "=1.0.0", default-features = false }',
        'c1 = { package = "a", version = "=2.0.0-rc.1", default-features = false }',
    ]);
});

it("tells a version that is gone from an index that cannot be had", () => {
    const cases: [string, ReturnType<typeof cargo.resolveFailure>][] = [
        ['failed to select a version for the requirement `x = "=1.0.0"`\n  version 1.0.0 is yanked', "gone"],
        ["no matching package named `x` found", "gone"],
        ["failed to download from `https://index…`\n  [6] Could not resolve host: index", "unreachable"],
        ["failed to fetch `https://…`", "unreachable"],
        ["error: failed to parse manifest at `/x/Cargo.toml`", "other"],
    ];
    for (const [stderr, expected] of cases) assert.equal(cargo.resolveFailure(stderr), expected, stderr);
});
