import assert from "node:assert/strict";
import { describe, it } from "node:test";
import * as npm from "./npm";

describe("package.json", () => {
    const cases: [version: string, exact: boolean][] = [
        ["1.2.3", true],
        ["1.2.3-rc.1", true],
        ["^1.2.3", false],
        ["~1.2.3", false],
        [">=1.2.3", false],
        ["1.2", false],
        ["1.x", false],
        ["*", false],
        ["", false],
        ["latest", false],
        ["1.2.3 || 2.0.0", false],
        ["github:x/y", false],
        ["https://example.com/x.tgz", false],
        ["file:../x", false],
        ["npm:y@1.2.3", false],
    ];
    for (const [version, exact] of cases) {
        it(`${exact ? "may" : "may not"} ask for "${version}"`, () => {
            assert.equal(npm.manifestFindings({ dependencies: { x: version } }).length, exact ? 0 : 1);
            assert.equal(npm.manifestFindings({ devDependencies: { x: version } }).length, exact ? 0 : 1);
        });
    }
    it("names a range for what its users bring along, and tests a version of it", () => {
        const found = (range: string, tested?: string) =>
            npm.manifestFindings({
                peerDependencies: { x: range },
                devDependencies: tested === undefined ? {} : { x: tested },
            }).length;
        for (const tested of ["1.2.3", "1.2.4", "1.10.0"]) assert.equal(found("^1.2.3", tested), 0, tested);
        for (const tested of ["1.2.2", "1.1.9", "2.2.3", undefined])
            assert.equal(found("^1.2.3", tested), 1, tested);
        for (const range of ["1.2.3", ">=1.2.3", "*"]) assert.equal(found(range, "1.2.3"), 1, range);
    });
});

describe("package-lock.json", () => {
    const policy: npm.NpmPolicy = {
        licences: ["MIT"],
        licencesRead: { read: "MIT" },
        scripts: ["scripted"],
        deprecated: [],
    };
    const integrity = `sha512-${"A".repeat(86)}==`;
    const entry: npm.NpmLocked = { version: "1.0.0", integrity, license: "MIT" };
    const scripted = { ...entry, hasInstallScript: true };
    const lock = (change: npm.NpmLocked, folder = "node_modules/x"): npm.NpmLock => ({
        lockfileVersion: 3,
        packages: {
            "": { dependencies: { x: "1.0.0" } },
            "node_modules/scripted": scripted,
            [folder]: { ...entry, ...change },
        },
    });
    const manifest = { dependencies: { x: "1.0.0" } };
    const cases: [what: string, change: npm.NpmLocked, finding: RegExp | undefined][] = [
        ["a package of the registry", { resolved: "https://registry.npmjs.org/x/-/x-1.0.0.tgz" }, undefined],
        ["a package without an address", {}, undefined],
        ["a git source", { resolved: "git+ssh://git@github.com/x/y.git#1" }, /comes from git\+ssh/],
        ["another registry", { resolved: "https://registry.npmjs.org.example.com/x" }, /comes from/],
        ["plain HTTP", { resolved: "http://registry.npmjs.org/x/-/x-1.0.0.tgz" }, /comes from http:/],
        ["a missing hash", { integrity: undefined }, /no sha512/],
        ["a weak hash", { integrity: "sha1-AAAAAAAAAAAAAAAAAAAAAAAAAAA=" }, /no sha512/],
        ["no version", { version: undefined }, /no exact version/],
        ["a link", { link: true }, /a link/],
        ["an unknown licence", { license: undefined }, /licence unknown/],
        ["a licence of others", { license: "AGPL-3.0" }, /licence AGPL-3.0/],
        ["a new install script", { hasInstallScript: true }, /has an install script/],
        ["a deprecated package", { deprecated: "use y" }, /is deprecated/],
    ];
    for (const [what, change, finding] of cases) {
        it(what, () => {
            const findings = npm.npmLockFindings(lock(change), manifest, policy);
            assert.equal(findings.length, finding ? 1 : 0, findings.join("\n"));
            if (finding) assert.match(findings[0], finding);
        });
    }

    it("knows a licence that was read in the package", () => {
        const read = lock({ license: "SEE LICENSE IN LICENSE" }, "node_modules/a/node_modules/read");
        assert.deepEqual(npm.npmLockFindings(read, manifest, policy), []);
    });

    it("has to be in step with package.json, of a version that has hashes, and the policy with it", () => {
        const good = lock({});
        const found = (bad: npm.NpmLock, of: npm.NpmManifest = manifest, by = policy) =>
            npm.npmLockFindings(bad, of, by).join("\n");
        assert.match(
            found(good, { dependencies: { x: "2.0.0" } }),
            /x is 1\.0\.0; package\.json says 2\.0\.0/,
        );
        assert.match(found(good, {}), /x is 1\.0\.0; package\.json says nothing/);
        assert.match(found(good, { ...manifest, devDependencies: { y: "1.0.0" } }), /y is absent/);
        assert.match(found({ ...good, lockfileVersion: 1 }), /version 1, not 3/);
        assert.match(
            found(good, manifest, { ...policy, scripts: ["scripted", "z"] }),
            /package z: policy\.ts/,
        );
    });

    it("names packages by their folders", () => {
        assert.equal(npm.packageName("node_modules/a/node_modules/@b/c"), "@b/c");
        const twice = lock({}, "node_modules/a/node_modules/scripted");
        assert.deepEqual(npm.lockedPackages(twice), [{ name: "scripted", version: "1.0.0" }]);
    });
});

it("finds installs that run scripts or leave the lock file aside", () => {
    const cases: [text: string, findings: number][] = [
        ['spawnSync("npm", ["ci", "--ignore-scripts"])', 0],
        ['spawnSync("npm", ["ci"])', 1],
        ['run("npm", ["install", "--ignore-scripts"])', 1],
        ['["npm", ["i", "x"]]', 2],
        ['spawnSync("npm", ["audit", "--json"])', 0],
    ];
    for (const [text, findings] of cases) assert.equal(npm.installFindings("f", text).length, findings, text);
});
