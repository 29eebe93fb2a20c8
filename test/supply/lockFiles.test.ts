// The checks on the real files, and on copies of them that were tampered with: each of those must be found.
import assert from "node:assert/strict";
import { copyFileSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { ROOT } from "../../common/root";
import type { ReleasedTool } from "../../tools/sources/releases";
import * as versions from "../../common/versions";
import { NODE_IMAGE, REGISTRY_IMAGE } from "../../components/defaults";
import * as cargo from "./cargo";
import { goFindings, goModules, parseGoMod } from "./go";
import { installFindings, manifestFindings, npmLockFindings, type NpmLock } from "./npm";
import { imageFindings, releaseFindings, versionFindings } from "./pins";
import { GO_REPLACEMENTS, UNPINNED_RELEASES } from "./policy";
import * as project from "./project";

const temporary = mkdtempSync(path.join(tmpdir(), "krustlet-supply-"));
after(() => rmSync(temporary, { recursive: true, force: true }));

/** The text with one thing changed in it, which must have been there. */
function changed(text: string, what: string | RegExp, by: string): string {
    const other = text.replace(what, by);
    assert.notEqual(other, text, `there is no ${String(what)}`);
    return other;
}

const OURS: Record<string, string[]> = {
    workloads: ["cat-facts", "cat-facts-component", "cat-facts-core"],
    krustlet: [
        "krustlet-api",
        "krustlet-approver",
        "krustlet-core",
        "krustlet-host",
        "krustlet-http",
        "krustlet-images",
        "krustlet-join",
        "krustlet-logs",
        "krustlet-node",
        "krustlet-oci",
        "krustlet-pods",
        "krustlet-prober",
        "krustlet-runtime",
        "krustlet-server",
        "krustlet-supervisor",
        "krustlet-traces",
        "krustlet-volumes",
        "krustlet-wasi",
        "wasm-oci",
    ],
};
const crateFindings = (workspace: string, text: string) =>
    cargo.lockFindings(
        cargo.parseCargoLock(text),
        OURS[workspace] ?? [path.basename(workspace)],
        project.denyToml,
    );

describe("crates", () => {
    for (const workspace of project.cargoWorkspaces) {
        it(`of ${workspace} come from crates.io, with checksums`, () => {
            assert.deepEqual(crateFindings(workspace, project.read(workspace, "Cargo.lock")), []);
        });

        it(`of ${workspace} are in step with the manifests, with licences that we allow`, async () => {
            const packages = await project.cargoMetadata(workspace);
            const policy = workspace === "krustlet" ? project.denyToml : { ...project.denyToml, skip: [] };
            assert.deepEqual(cargo.crateFindings(packages, policy), []);
        });
    }

    it("are all there: a lock file that was cut short is found", () => {
        assert.ok(project.lockedCrates("krustlet").length > 300);
    });

    it("from elsewhere, or without a checksum, are found in the lock file", () => {
        const lock = project.read("krustlet", "Cargo.lock");
        const source = /^source = "registry.*"$/m;
        const findings = (what: string | RegExp, by: string) =>
            crateFindings("krustlet", changed(lock, what, by));
        assert.match(findings(source, 'source = "git+https://github.com/a/b#1"')[0], /comes from git/);
        assert.match(
            findings(source, 'source = "registry+https://a.b/index"')[0],
            /comes from registry\+https:\/\/a\.b/,
        );
        assert.match(findings(/^checksum = .*\n/m, "")[0], /has no checksum/);
        assert.match(findings('name = "anyhow"', 'name = "openssl-sys"')[0], /banned/);
        assert.match(findings('name = "krustlet-oci"', 'name = "elsewhere"')[0], /not ours/);
    });

    it("of another licence or version are found among the real ones", async () => {
        const packages = await project.cargoMetadata("krustlet");
        const findings = (by: (crate: cargo.CargoPackage) => Partial<cargo.CargoPackage>) =>
            cargo.crateFindings(
                packages.flatMap((crate) =>
                    crate.name === "anyhow" ? [{ ...crate, ...by(crate) }] : [crate],
                ),
                project.denyToml,
            );
        assert.match(findings(() => ({ license: "GPL-3.0-only" }))[0], /anyhow .*: licence GPL-3\.0-only/);
        assert.match(findings(() => ({ license: null }))[0], /anyhow .*: licence unknown/);
        assert.match(findings(() => ({ name: "tokio" }))[0], /tokio: in versions/);
    });

    it("that the manifests do not ask for in this way are refused by cargo --locked", async () => {
        const copy = path.join(temporary, "workload");
        await run(["cp", "-r", path.join(ROOT, "workloads/hello-world"), copy]);
        const manifest = project.read("workloads/hello-world/Cargo.toml");
        writeFileSync(
            path.join(copy, "Cargo.toml"),
            changed(manifest, 'version = "0.1.0"', 'version = "0.2.0"'),
        );
        const argv = ["cargo", "metadata", "--locked", "--format-version", "1"];
        const { exitCode, stderr } = await run(argv, { cwd: copy, allowFailure: true });
        assert.notEqual(exitCode, 0);
        assert.match(stderr, /--locked/);
    });
});

describe("npm packages", () => {
    const { packageJson, packageLock, npmPolicy } = project;

    it("are exact, hashed, from the registry, with licences that we allow, and run nothing", () => {
        assert.deepEqual(manifestFindings(packageJson), []);
        assert.deepEqual(npmLockFindings(packageLock, packageJson, npmPolicy), []);
        assert.ok(Object.keys(packageLock.packages).length > 200);
    });

    it("that were tampered with are found in the lock file", () => {
        const text = project.read("package-lock.json");
        const findings = (what: string | RegExp, by: string) =>
            npmLockFindings(JSON.parse(changed(text, what, by)) as NpmLock, packageJson, npmPolicy).join(
                "\n",
            );
        assert.match(findings(/^\s*"integrity": .*\n/m, ""), /no sha512/);
        assert.match(findings(/"integrity": "sha512-.*"/, '"integrity": "sha1-abc="'), /no sha512/);
        assert.match(
            findings('"integrity"', '"resolved": "git+ssh://git@a/b.git#1", "integrity"'),
            /comes from git/,
        );
        assert.match(findings('"license": "MIT"', '"license": "SSPL-1.0"'), /licence SSPL-1\.0/);
        assert.match(
            findings('"license": "MIT"', '"license": "MIT", "hasInstallScript": true'),
            /install script/,
        );
        assert.match(findings('"esbuild": "0.28.2"', '"esbuild": "0.28.1"'), /package\.json says 0\.28\.2/);
    });

    it("that float are found in package.json", () => {
        const text = changed(project.read("package.json"), '"js-yaml": "', '"js-yaml": "^');
        assert.match(manifestFindings(JSON.parse(text) as typeof packageJson)[0], /js-yaml is "\^/);
    });

    it("are installed from the lock file, without their scripts", () => {
        const text = project.read("tools/run.js");
        assert.deepEqual(installFindings("tools/run.js", text), []);
        const [ci] = [changed(text, '"--ignore-scripts", ', ""), changed(text, '"ci"', '"install"')].map(
            (tampered) => installFindings("tools/run.js", tampered).length,
        );
        assert.equal(ci, 1);
        assert.match(project.read(".npmrc"), /^ignore-scripts=true$/m);
    });

    it("are what npm makes of the two files", async () => {
        const options = ["--dry-run", "--ignore-scripts", "--no-audit", "--no-fund", "--offline"];
        // Whoever runs the tests may have silenced npm.
        const argv = ["npm", "ci", ...options, "--loglevel=error"];
        const folder = path.join(temporary, "npm");
        await run(["mkdir", folder]);
        for (const name of ["package.json", "package-lock.json"])
            copyFileSync(path.join(ROOT, name), path.join(folder, name));
        await run(argv, { cwd: folder, timeoutSeconds: 120 });
        const moved = changed(project.read("package.json"), /"js-yaml": ".*"/, '"js-yaml": "3.14.1"');
        writeFileSync(path.join(folder, "package.json"), moved);
        const { exitCode, stderr } = await run(argv, {
            cwd: folder,
            allowFailure: true,
            timeoutSeconds: 120,
        });
        assert.notEqual(exitCode, 0);
        assert.match(stderr, /EUSAGE|ENOTCACHED/);
    });
});

describe("Go modules", () => {
    const sum = (folder: string) =>
        existsSync(path.join(ROOT, folder, "go.sum")) ? project.read(folder, "go.sum") : "";
    for (const folder of project.goFolders) {
        it(`of ${folder} have checksums`, () => {
            const mod = project.read(folder, "go.mod");
            assert.deepEqual(goFindings(folder, mod, sum(folder), GO_REPLACEMENTS), []);
        });
    }

    it("that were tampered with are found", () => {
        const folder = "airgap/go";
        const mod = project.read(folder, "go.mod");
        const findings = (text: string, sums = sum(folder)) =>
            goFindings(folder, text, sums, GO_REPLACEMENTS).join("\n");
        assert.match(findings(mod, changed(sum(folder), / h1:.*/g, " h1:none")), /no checksum in go\.sum/);
        assert.match(findings(changed(mod, "github.com/tgummerer/", "github.com/another/")), /does not list/);
        const { path: name, version } = goModules(parseGoMod(mod))[0];
        assert.match(
            findings(changed(mod, `${name} ${version}`, `${name} v99.0.0`)),
            /v99\.0\.0 has no checksum/,
        );
    });
});

describe("images and tools", () => {
    const TOOLS: ReleasedTool[] = [
        "pulumi",
        "kind",
        "kubectl",
        "plugin-command",
        "plugin-docker",
        "plugin-kubernetes",
    ];
    const PLATFORMS: versions.Platform[] = ["linux-amd64", "linux-arm64", "darwin-amd64", "darwin-arm64"];

    it("are pinned", () => {
        assert.deepEqual(imageFindings(versions), []);
        assert.deepEqual(versionFindings(versions), []);
        assert.deepEqual(releaseFindings(TOOLS, PLATFORMS, UNPINNED_RELEASES), []);
    });

    it("without digest, checksum or version are found", () => {
        const NODE = { ...versions.NODE_IMAGE, digest: undefined };
        assert.match(imageFindings({ ...versions, NODE_IMAGE: NODE })[0], /NODE_IMAGE .* has no digest/);
        assert.match(versionFindings({ ...versions, KIND_VERSION: "latest" })[0], /KIND_VERSION is latest/);
        assert.equal(releaseFindings(TOOLS, PLATFORMS, UNPINNED_RELEASES, () => undefined).length, 10);
    });

    it("are the ones that the components ask for", () => {
        for (const [image, { name, tag }] of [
            [NODE_IMAGE, versions.NODE_IMAGE],
            [REGISTRY_IMAGE, versions.REGISTRY_IMAGE],
        ] as const)
            assert.equal(image, `${name}:${tag}`);
    });
});
