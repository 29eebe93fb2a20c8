// What only others know: advisories, and versions that were taken back. Where they cannot be asked this says so in the log;
// with KRUSTLET_STACK_ADVISORIES=required, for a CI that has the Internet, it fails.
import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { ROOT } from "../../common/root";
import { findOnPath } from "../../common/find";
import { askOsv, judge, parseNpmAudit, type Answer, type Package } from "./advisories";
import { exactManifest, resolveFailure, type LockedCrate } from "./cargo";
import { goModules, parseGoMod } from "./go";
import { lockedPackages } from "./npm";
import { ACCEPTED_ADVISORIES } from "./policy";
import * as project from "./project";

const temporary = mkdtempSync(path.join(tmpdir(), "krustlet-supply-"));
after(() => rmSync(temporary, { recursive: true, force: true }));

const required = process.env.KRUSTLET_STACK_ADVISORIES === "required";
const accepted = [...project.denyToml.ignore, ...ACCEPTED_ADVISORIES];

function settle(what: string, answer: Answer): void {
    const { failures, notes } = judge(what, answer, accepted, required);
    for (const note of notes) console.log(`! ${note}`);
    assert.deepEqual(failures, []);
}

function everyPackage(): Package[] {
    const crates = project.cargoWorkspaces
        .flatMap(project.lockedCrates)
        .filter(({ source }) => source !== undefined)
        .map(({ name, version }): Package => ({ ecosystem: "crates.io", name, version }));
    const npm = lockedPackages(project.packageLock).map((one): Package => ({ ecosystem: "npm", ...one }));
    const go = project.goFolders
        .flatMap((folder) => goModules(parseGoMod(project.read(folder, "go.mod"))))
        .map((one): Package => ({ ecosystem: "Go", name: one.path, version: one.version.replace(/^v/, "") }));
    const once = new Map(
        [...crates, ...npm, ...go].map((one) => [`${one.ecosystem} ${one.name} ${one.version}`, one]),
    );
    return [...once.values()];
}

describe("no advisory holds, where advisories can be had,", () => {
    it("of OSV: crates, npm packages, Go modules", async () => {
        const packages = everyPackage();
        for (const ecosystem of ["crates.io", "npm", "Go"])
            assert.ok(packages.filter((one) => one.ecosystem === ecosystem).length > 100, ecosystem);
        settle("crates, npm packages and Go modules", await askOsv(packages));
    });

    it("of the npm registry: npm audit", async () => {
        const argv = ["npm", "audit", "--package-lock-only", "--json"];
        const { stdout } = await run(argv, { cwd: ROOT, allowFailure: true, timeoutSeconds: 120 });
        settle("npm audit", parseNpmAudit(stdout));
    });

    it("of cargo-deny, where it is installed", async () => {
        if ((await findOnPath("cargo-deny")) === undefined) {
            console.log(
                "! cargo-deny is not installed: deny.toml was read by the checks of this suite alone",
            );
            return;
        }
        // Advisories come from OSV above: cargo-deny's own copy of them is a git repository.
        const argv = ["cargo", "deny", "--locked", "check", "licenses", "bans", "sources"];
        await run(argv, { cwd: path.join(ROOT, "krustlet"), timeoutSeconds: 300 });
    });
});

/** Has cargo resolve exactly these crates from the index: whether it could, and what it said. */
async function resolve(name: string, crates: readonly LockedCrate[]) {
    const folder = path.join(temporary, name);
    mkdirSync(folder);
    writeFileSync(path.join(folder, "Cargo.toml"), exactManifest(crates));
    writeFileSync(path.join(folder, "lib.rs"), "");
    return run(["cargo", "generate-lockfile"], { cwd: folder, allowFailure: true, timeoutSeconds: 300 });
}

describe("no crate was taken back from the index", () => {
    it("that we use", async () => {
        const { exitCode, stderr } = await resolve("used", project.lockedCrates("krustlet"));
        if (exitCode === 0) return;
        const unreachable = resolveFailure(stderr) === "unreachable";
        if (unreachable && !required) console.log("! yanked crates: NOT looked at, the index cannot be had");
        else assert.fail(stderr);
    });

    it("which would be found", async () => {
        // Yanked long ago, and named in the index for ever.
        const yanked = {
            name: "serde",
            version: "1.0.95",
            source: "registry+https://github.com/rust-lang/crates.io-index",
        };
        const { exitCode, stderr } = await resolve("yanked", [yanked]);
        assert.notEqual(exitCode, 0);
        assert.ok(["gone", "unreachable"].includes(resolveFailure(stderr)), stderr);
    });
});
