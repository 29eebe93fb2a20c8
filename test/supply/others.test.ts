import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { goFindings, goModules, parseGoMod } from "./go";
import { imageFindings, releaseFindings, versionFindings } from "./pins";

const hash = `h1:${"A".repeat(43)}=`;

describe("Go modules", () => {
    const mod = (change = "") =>
        `module m\n\ngo 1.26.0\n\nrequire (\n\ta.b/c v1.0.0 // indirect\n\td.e/f v0.0.0-2024-abc\n)\n${change}`;
    const sum = `a.b/c v1.0.0 ${hash}\na.b/c v1.0.0/go.mod ${hash}\nd.e/f v0.0.0-2024-abc/go.mod ${hash}\n`;

    it("are read, replacements applied", () => {
        const text = mod("replace a.b/c => x.y/z v2.0.0\n\nreplace (\n\td.e/f v1.0.0 => ./here\n)\n");
        const parsed = parseGoMod(text);
        assert.deepEqual(parsed.replaces, [
            { from: "a.b/c", to: "x.y/z", version: "v2.0.0" },
            { from: "d.e/f", to: "./here" },
        ]);
        assert.deepEqual(goModules(parsed), [
            { path: "x.y/z", version: "v2.0.0" },
            { path: "d.e/f", version: "v0.0.0-2024-abc" },
        ]);
    });

    const cases: [what: string, mod: string, sum: string, finding: RegExp | undefined][] = [
        ["fit", mod(), sum, undefined],
        ["lack a checksum", mod(), sum.split("\n").slice(0, 2).join("\n"), /d\.e\/f .* has no checksum/],
        ["are a folder", mod("replace d.e/f => ../f\n"), sum, /replaced by the folder/],
        ["are another", mod("replace a.b/c => d.e/f v0.0.0-2024-abc\n"), sum, /which policy\.ts does not/],
        ["are a branch", mod("require g.h/i main\n"), sum, /no exact version/],
        ["have a checksum that is none", mod(), `${sum}a.b/c v1.0.1 h1:abc=\n`, /no checksums, or twice/],
    ];
    for (const [what, text, sums, finding] of cases) {
        it(what, () => {
            const findings = goFindings("m", text, sums, {});
            assert.equal(findings.length, finding ? 1 : 0, findings.join("\n"));
            if (finding) assert.match(findings[0], finding);
        });
    }

    it("may be another that is listed", () => {
        const text = mod("replace a.b/c => d.e/f v0.0.0-2024-abc\n");
        assert.deepEqual(goFindings("m", text, sum, { "a.b/c": "d.e/f" }), []);
    });
});

describe("pins", () => {
    const digest = `sha256:${"0".repeat(64)}`;

    it("images", () => {
        const cases: [image: object, findings: number][] = [
            [{ name: "a/b", tag: "v1.2.3", digest }, 0],
            [{ name: "a/b", tag: "v1.2.3" }, 1],
            [{ name: "a/b", tag: "v1.2.3", digest: "sha256:12" }, 1],
            [{ name: "a/b", tag: "latest", digest }, 1],
            [{ name: "a/b", tag: "3" }, 2],
        ];
        for (const [IMAGE, findings] of cases)
            assert.equal(imageFindings({ IMAGE, OTHER: "1.0.0" }).length, findings, JSON.stringify(IMAGE));
    });

    it("versions", () => {
        assert.deepEqual(versionFindings({ A_VERSION: "v1.2.3", B_MINIMUM: "1.2", C: 1 }), []);
        for (const A_VERSION of ["v1.2", "latest", "^1.2.3", undefined])
            assert.equal(versionFindings({ A_VERSION }).length, 1, A_VERSION);
    });

    it("releases", () => {
        const sums: Record<string, string> = { "kind linux-amd64": "a".repeat(64), "kind linux-arm64": "b" };
        const findings = (unpinned: string[]) =>
            releaseFindings(
                ["kind"],
                ["linux-amd64", "linux-arm64"],
                unpinned,
                (tool, platform) => sums[`${tool} ${platform}`],
            );
        assert.deepEqual(findings([]), ["versions.ts: kind for linux-arm64 has no checksum"]);
        assert.deepEqual(findings(["kind linux-arm64"]), []);
        assert.deepEqual(findings(["kind *"]), []);
        assert.deepEqual(findings(["kind *", "kubectl *"]), ["policy.ts: kubectl * is pinned by now"]);
    });
});
