import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { it } from "node:test";
import { releaseOf, type ReleasedTool } from "../../../../tools/sources/releases";
import * as versions from "../../../../common/versions";
import { ROOT } from "../../../../common/root";

const packages = JSON.parse(readFileSync(path.join(ROOT, "package.json"), "utf8")) as {
    devDependencies: Record<string, string>;
    engines: { node: string };
};

it("pins the Pulumi parts at the versions of their npm packages", () => {
    assert.equal(versions.PULUMI_VERSION, `v${packages.devDependencies["@pulumi/pulumi"]}`);
    for (const [name, { version }] of Object.entries(versions.PLUGINS)) {
        assert.equal(version, `v${packages.devDependencies[`@pulumi/${name}`]}`, name);
    }
    assert.equal(packages.engines.node, `>=${versions.NODE_MINIMUM}`);
});

it("holds only checksums and digests that can be ones", () => {
    const lists = [versions.PULUMI_SHA256, versions.KIND_SHA256, versions.KUBECTL_SHA256];
    for (const sums of [...lists, ...Object.values(versions.PLUGINS).map((plugin) => plugin.sha256)]) {
        const values = Object.values(sums);
        for (const sum of values) assert.match(sum, /^[0-9a-f]{64}$/);
        assert.equal(new Set(values).size, values.length, "two platforms with one checksum");
    }
    for (const image of [versions.NODE_IMAGE, versions.REGISTRY_IMAGE])
        assert.match(image.digest, /^sha256:[0-9a-f]{64}$/);
    assert.equal(versions.NODE_IMAGE.tag, versions.KUBERNETES_VERSION);
    assert.equal(`v${versions.REGISTRY_IMAGE.tag}`, versions.DISTRIBUTION_VERSION);
});

it("knows the address of each official release", () => {
    const url = (tool: ReleasedTool, platform: versions.Platform) => releaseOf(tool, platform).url;
    assert.equal(
        url("pulumi", "linux-amd64"),
        "https://github.com/pulumi/pulumi/releases/download/v3.246.0/pulumi-v3.246.0-linux-x64.tar.gz",
    );
    assert.equal(
        url("pulumi", "darwin-arm64"),
        "https://github.com/pulumi/pulumi/releases/download/v3.246.0/pulumi-v3.246.0-darwin-arm64.tar.gz",
    );
    assert.equal(
        url("kind", "linux-arm64"),
        "https://github.com/kubernetes-sigs/kind/releases/download/v0.33.0/kind-linux-arm64",
    );
    assert.equal(
        url("kubectl", "darwin-amd64"),
        "https://dl.k8s.io/release/v1.36.4/bin/darwin/amd64/kubectl",
    );
    assert.equal(
        url("plugin-kubernetes", "linux-amd64"),
        "https://github.com/pulumi/pulumi-kubernetes/releases/download/v4.25.0/pulumi-resource-kubernetes-v4.25.0-linux-amd64.tar.gz",
    );
    assert.equal(
        releaseOf("plugin-docker", "linux-amd64").checksumsUrl,
        "https://github.com/pulumi/pulumi-docker/releases/download/v5.0.0/pulumi-docker_5.0.0_checksums.txt",
    );
    assert.equal(
        releaseOf("pulumi", "darwin-amd64", "http://mirror.example/files/").checksumsUrl,
        "http://mirror.example/files/github.com/pulumi/pulumi/releases/download/v3.246.0/pulumi-3.246.0-checksums.txt",
    );
});
