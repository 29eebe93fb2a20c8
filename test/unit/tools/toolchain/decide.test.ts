import assert from "node:assert/strict";
import { describe, it } from "node:test";
import { decide, forcedSource, misfit } from "../../../../tools/toolchain/decide";
import { atLeast, compatible, parseVersion, version, withinOneMinor } from "../../../../common/semver";

describe("versions in what programs print", () => {
    const cases: [string, string][] = [
        ["v3.246.0", "3.246.0"],
        ["kind v0.33.0 go1.26.8 linux/amd64", "0.33.0"],
        ["Client Version: v1.32.4-dispatcher", "1.32.4"],
        ["rustc 1.95.0 (f2d3ce0bd 2026-03-21)", "1.95.0"],
        ["20.10.24+dfsg1", "20.10.24"],
        ["v3.247.0-alpha.1+abc", "3.247.0"],
    ];
    for (const [text, expected] of cases) {
        it(`reads "${text}"`, () => {
            const { major, minor, patch } = version(text);
            assert.equal(`${major}.${minor}.${patch}`, expected);
        });
    }
    it("finds none where there is none", () => assert.equal(parseVersion("command not found"), undefined));
    it("compares by number, not by letter", () => {
        assert.equal(atLeast(version("1.100.0"), "1.95.0"), true);
        assert.equal(atLeast(version("1.94.9"), "1.95.0"), false);
        assert.equal(compatible(version("v3.246.0"), "v3.246.0"), true);
        assert.equal(compatible(version("v4.0.0"), "v3.246.0"), false);
        assert.equal(withinOneMinor(version("v1.37.0"), "v1.36.4"), true);
        assert.equal(withinOneMinor(version("v1.35.9"), "v1.36.4"), true);
        assert.equal(withinOneMinor(version("v1.34.0"), "v1.36.4"), false);
    });
});

describe("decide", () => {
    const kubectl = (versionText: string) => ({ file: "/usr/bin/kubectl", versionText });

    it("takes a fitting program on PATH before all else", () => {
        const onPath = kubectl("Client Version: v1.35.1");
        assert.deepEqual(decide("kubectl", { onPath, cached: { official: "/cache/o" }, forced: "airgap" }), {
            from: "path",
            file: "/usr/bin/kubectl",
            version: "v1.35.1",
        });
    });
    it("passes over one that does not fit and says why", () => {
        const passedOver = "/usr/bin/kubectl is 1.32.4; needed: within one minor version of v1.36.4";
        const onPath = kubectl("Client Version: v1.32.4-dispatcher");
        assert.deepEqual(decide("kubectl", { onPath, cached: {} }), { from: "get", passedOver });
        assert.deepEqual(decide("kubectl", { onPath, cached: { airgap: "/cache/a" } }), {
            from: "cache",
            source: "airgap",
            dir: "/cache/a",
            passedOver,
        });
    });
    it("prefers the official release in the cache to an air-gapped build", () => {
        assert.deepEqual(decide("kind", { cached: { official: "/cache/o", airgap: "/cache/a" } }), {
            from: "cache",
            source: "official",
            dir: "/cache/o",
            passedOver: undefined,
        });
    });
    it("takes only the asked-for source from the cache", () => {
        const cached = { official: "/cache/o", airgap: "/cache/a" };
        assert.equal(decide("kind", { cached, forced: "airgap" }).from, "cache");
        assert.deepEqual(decide("kind", { cached, forced: "airgap" }), {
            from: "cache",
            source: "airgap",
            dir: "/cache/a",
            passedOver: undefined,
        });
        assert.deepEqual(decide("kind", { cached: { airgap: "/cache/a" }, forced: "official" }), {
            from: "get",
            passedOver: undefined,
        });
    });
    it("wants the Node.js language host beside pulumi", () => {
        const found = { file: "/opt/pulumi/bin/pulumi", versionText: "v3.250.1" };
        assert.equal(misfit("pulumi", { ...found, hasLanguageHost: true }), undefined);
        assert.equal(
            misfit("pulumi", { ...found, hasLanguageHost: false }),
            "/opt/pulumi/bin/pulumi has no pulumi-language-nodejs beside it",
        );
        assert.equal(
            misfit("pulumi", { ...found, versionText: "v3.100.0", hasLanguageHost: true }),
            "/opt/pulumi/bin/pulumi is 3.100.0; needed: v3.246.0 or a later v3",
        );
    });
    it("takes kind only as new as the node image", () => {
        assert.equal(misfit("kind", { file: "/bin/kind", versionText: "kind v0.34.0 go1.27" }), undefined);
        assert.equal(
            misfit("kind", { file: "/bin/kind", versionText: "kind v0.29.0 go1.24" }),
            "/bin/kind is 0.29.0; needed: v0.33.0 or later",
        );
        assert.equal(
            misfit("kind", { file: "/bin/kind", versionText: "" }),
            "/bin/kind does not tell its version",
        );
    });
});

describe("KRUSTLET_STACK_SOURCE", () => {
    it("can be one of two, or nothing", () => {
        assert.equal(forcedSource({}), undefined);
        assert.equal(forcedSource({ KRUSTLET_STACK_SOURCE: "" }), undefined);
        assert.equal(forcedSource({ KRUSTLET_STACK_SOURCE: "official" }), "official");
        assert.equal(forcedSource({ KRUSTLET_STACK_SOURCE: "airgap" }), "airgap");
        assert.throws(() => forcedSource({ KRUSTLET_STACK_SOURCE: "offical" }), {
            message:
                'KRUSTLET_STACK_SOURCE is "offical"; it can be official or airgap, or unset to let the network decide',
        });
    });
});
