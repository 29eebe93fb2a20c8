import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { describe, it } from "node:test";
import { stepFolders, stepPath, type Steps } from "../../steps/contract";
import { run } from "../../steps/lib/run";
import { relativeLinks } from "../links";
import { packages, root } from "./packed";

const packed = packages();

/** Names in an archive, without npm's folder `package/`. */
async function filesIn(archive: string): Promise<string[]> {
    const { stdout } = await run(["tar", "--list", "--gzip", "--file", archive]);
    return stdout
        .trim()
        .split("\n")
        .map((name) => name.replace(/^package\//, ""));
}

/** A file of an archive. */
async function textIn(archive: string, file: string): Promise<string> {
    return (await run(["tar", "--extract", "--gzip", "--to-stdout", "--file", archive, `package/${file}`]))
        .stdout;
}

const expected = [
    /^(package\.json|LICENSE|step\.cjs)$/,
    /^(README|CHANGELOG|CONTRIBUTING|docs\/([\w-]+\/)*[\w-]+|airgap\/([\w-]+\/)*README)\.md$/,
    /^dist\/(components|steps)\/([\w]+\/)*\w+\.(js|d\.ts)$/,
    /^krustlet\/(Cargo\.toml|Cargo\.lock|README\.md)$/,
    /^krustlet\/[\w-]+\/Cargo\.toml$/,
    /^krustlet\/[\w-]+\/src\/([\w-]+\/)*\w+\.rs$/,
];

/** A source that is there for tests alone. */
const testSource = /(tests|\/testing|\/testing\/\w+)\.rs$/;

describe("the package", () => {
    it("holds what it needs, each kind of file by its place, and nothing else", async () => {
        const files = await filesIn(packed.main);
        assert.deepEqual(
            files.filter((file) => !expected.some((pattern) => pattern.test(file))),
            [],
        );
        for (const pattern of expected)
            assert.ok(
                files.some((file) => pattern.test(file)),
                String(pattern),
            );
        const scripts = files.filter((file) => /^dist\/.*\.js$/.test(file));
        assert.deepEqual(
            scripts.filter((file) => !files.includes(file.replace(/\.js$/, ".d.ts"))),
            [],
        );
        for (const step of Object.keys(stepFolders) as (keyof Steps)[])
            assert.ok(scripts.includes(`dist/steps/${stepPath(step)}.js`), step);
    });

    it("holds the whole source of the programs, which cargo builds where there are none", async () => {
        const workspace = path.join(root, "krustlet");
        const found = await fs.readdir(workspace, { recursive: true });
        const all = found.filter((file) => /^[\w-]+\/(Cargo\.toml$|src\/.*\.rs$)/.test(file));
        const sources = all.filter((file) => !testSource.test(file));
        // Nothing but tests asks for what is left out.
        for (const file of sources) {
            const text = await fs.readFile(path.join(workspace, file), "utf8");
            for (const [module, attributes] of text.matchAll(
                /((?:^#\[.*\]\n)*)^(?:pub )?mod (?:\w+_)?(?:tests|testing);$/gm,
            ))
                assert.match(
                    attributes,
                    /^#\[cfg\((test|any\(test, feature = "testing"\))\)\]$/m,
                    `${file}: ${module}`,
                );
        }
        const packedSources = (await filesIn(packed.main)).filter((file) => /^krustlet\/[\w-]+\//.test(file));
        assert.deepEqual(packedSources.sort(), sources.map((file) => `krustlet/${file}`).sort());
    });

    it("is small", async () => {
        assert.ok((await fs.stat(packed.main)).size < 1_000_000);
    });

    it("needs neither a compiler nor a loader when it runs", async () => {
        for (const file of await filesIn(packed.main)) {
            if (file.endsWith("js"))
                assert.doesNotMatch(
                    await textIn(packed.main, file),
                    /require\("(esbuild|typescript|[^"]*\.ts)"\)/,
                    file,
                );
        }
        const manifest = JSON.parse(await textIn(packed.main, "package.json")) as Record<string, object>;
        assert.deepEqual(Object.keys(manifest.peerDependencies), [
            "@pulumi/command",
            "@pulumi/docker",
            "@pulumi/kubernetes",
            "@pulumi/pulumi",
        ]);
        assert.deepEqual(
            Object.keys(manifest.dependencies).filter((name) => /pulumi|esbuild|typescript/.test(name)),
            [],
        );
        assert.deepEqual(
            ["private", "scripts", "devDependencies"].filter((key) => key in manifest),
            [],
        );
    });

    it("names the package of this platform, which holds the programs", async () => {
        const main = JSON.parse(await textIn(packed.main, "package.json")) as Record<string, unknown>;
        const platform = JSON.parse(await textIn(packed.platform, "package.json")) as Record<string, unknown>;
        assert.deepEqual(main.optionalDependencies, { [platform.name as string]: platform.version });
        assert.deepEqual([platform.os, platform.cpu], [[process.platform], [process.arch]]);
        assert.deepEqual((await filesIn(packed.platform)).sort(), [
            "LICENSE",
            "bin/krustlet-approver",
            "bin/krustlet-supervisor",
            "bin/krustlet-wasi",
            "bin/wasm-oci",
            "package.json",
        ]);
    });

    it("has every file that its README links to, and every page that a page of it links to", async () => {
        const files = await filesIn(packed.main);
        const texts = new Map<string, string>();
        for (const page of files.filter((file) => file.endsWith(".md")))
            texts.set(page, await textIn(packed.main, page));
        const dead = [...texts].flatMap(([page, text]) =>
            relativeLinks(text)
                .filter(({ file }) => file !== "" && (page === "README.md" || file.endsWith(".md")))
                .map(({ file }) => path.posix.join(path.posix.dirname(page), file))
                .filter((file) => !files.includes(file))
                .map((file) => `${page}: ${file}`),
        );
        assert.deepEqual(dead, []);
        assert.ok(relativeLinks(texts.get("README.md") ?? "").length > 10);
    });

    it("has a changelog with its version", async () => {
        const { version } = JSON.parse(await textIn(packed.main, "package.json")) as { version: string };
        const text = await fs.readFile(path.join(root, "CHANGELOG.md"), "utf8");
        assert.ok(text.includes(`\n## ${version}`));
    });
});
