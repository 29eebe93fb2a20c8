// What wasm-oci pushes others read, and what others push wasm-oci reads: crane (go-containerregistry) and oras.
import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readFileSync } from "node:fs";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { agreed, pushIndex, wasmToOci } from "../node/lib/scriptedRegistry";
import type { TestRegistry } from "../parts";
import { clients } from "./clients";
import { startRegistry, stopRegistry } from "./started";
import { component, module, Workplace } from "./wasmOci";

const sha256 = (bytes: Buffer) => `sha256:${createHash("sha256").update(bytes).digest("hex")}`;

interface Manifest {
    schemaVersion: number;
    mediaType: string;
    artifactType?: string;
    config: { mediaType: string; digest: string; size: number };
    layers: { mediaType: string; digest: string; size: number }[];
}

const REGISTRY: TestRegistry = { name: "krustlet-agreement-test-registry", port: 5936 };

let address: string;
let programs: string;
let workplace: Workplace;

before(async () => {
    programs = await clients();
    address = await startRegistry(REGISTRY);
    workplace = new Workplace({}, ["--plain-http", address]);
});

after(async () => {
    workplace.remove();
    await stopRegistry(REGISTRY);
});

async function other(program: "crane" | "oras", ...argv: string[]): Promise<string> {
    const plain = program === "crane" ? "--insecure" : "--plain-http";
    const { exitCode, stdout, stderr } = await workplace.run([path.join(programs, program), ...argv, plain]);
    assert.equal(exitCode, 0, `${program} ${argv.join(" ")}: ${stderr}`);
    return stdout.trim();
}

/** Pulls with wasm-oci. */
async function pulled(reference: string): Promise<Buffer> {
    await workplace.wasmOci("pull", reference, "--output", workplace.file("pulled.wasm"));
    return readFileSync(workplace.file("pulled.wasm"));
}

const artifacts = [
    { what: "a module", name: "module", wasm: module("agreement", 200_000), os: "wasip1" },
    { what: "a component", name: "component", wasm: component("agreement"), os: "wasip2" },
];
const formats = [
    { format: "wasm", types: agreed },
    { format: "wasm-to-oci", types: wasmToOci },
];

for (const { what, name, wasm, os } of artifacts) {
    for (const { format, types } of formats) {
        describe(`${what} in the format ${format}, pushed by wasm-oci`, () => {
            const repository = `ours/${format}/${name}`;
            let reference: string;
            let digest: string;
            let manifest: Manifest;

            before(async () => {
                reference = `${address}/${repository}:v1`;
                const file = workplace.write(`${name}.wasm`, wasm);
                const pushed = await workplace.wasmOci("push", file, reference, "--format", format);
                digest = String(pushed.digest);
                manifest = JSON.parse(await other("crane", "manifest", reference)) as Manifest;
            });

            it("has the same digest for all", async () => {
                assert.equal(await other("crane", "digest", reference), digest);
                assert.equal(await other("oras", "resolve", reference), digest);
                assert.equal((await workplace.wasmOci("resolve", reference)).digest, digest);
            });

            it("has a manifest of that format", async () => {
                assert.equal(manifest.schemaVersion, 2);
                assert.equal(manifest.mediaType, "application/vnd.oci.image.manifest.v1+json");
                assert.equal(manifest.config.mediaType, types.config);
                assert.deepEqual(manifest.layers, [
                    { mediaType: types.layer, digest: sha256(wasm), size: wasm.length, ...titleOf(manifest) },
                ]);
                const fetched = await other(
                    "oras",
                    "manifest",
                    "fetch",
                    `${address}/${repository}@${digest}`,
                );
                assert.deepEqual(JSON.parse(fetched), manifest);
            });

            it("has the bytes of the module, and a config that is what its descriptor says", async () => {
                const blob = (of: string) => `${address}/${repository}@${of}`;
                const to = workplace.file("blob");
                await other("oras", "blob", "fetch", "--output", to, blob(manifest.layers[0].digest));
                assert.ok(readFileSync(to).equals(wasm));
                await other("oras", "blob", "fetch", "--output", to, blob(manifest.config.digest));
                const config = readFileSync(to);
                assert.deepEqual(
                    [sha256(config), config.length],
                    [manifest.config.digest, manifest.config.size],
                );
                if (format !== "wasm") return;
                const {
                    architecture,
                    os: found,
                    layerDigests,
                } = JSON.parse(config.toString()) as Record<string, unknown>;
                assert.deepEqual([architecture, found, layerDigests], ["wasm", os, [sha256(wasm)]]);
            });

            it("stays the same when crane and oras copy it", async () => {
                for (const [program, verb] of [
                    ["crane", "copy"],
                    ["oras", "copy"],
                ] as const) {
                    const copy = `${address}/copies/${program}/${format}/${name}:v1`;
                    const both =
                        program === "oras" ? ["--from-plain-http", "--to-plain-http"] : ["--insecure"];
                    const argv = [path.join(programs, program), verb, reference, copy, ...both];
                    const { exitCode, stderr } = await workplace.run(argv);
                    assert.equal(exitCode, 0, stderr);
                    assert.equal((await workplace.wasmOci("resolve", copy)).digest, digest);
                    assert.ok((await pulled(copy)).equals(wasm));
                }
            });
        });
    }
}

/** oras and wasm-to-oci may name the file in an annotation. */
function titleOf(manifest: Manifest): object {
    const { annotations } = manifest.layers[0] as { annotations?: object };
    return annotations === undefined ? {} : { annotations };
}

for (const { format, types } of formats) {
    describe(`a module in the format ${format}, pushed by oras`, () => {
        const wasm = module(`oras ${format}`, 100_000);
        let reference: string;

        before(async () => {
            reference = `${address}/theirs/${format}:v1`;
            workplace.write("theirs.wasm", wasm);
            workplace.write(
                "theirs.json",
                JSON.stringify({ architecture: "wasm", os: "wasip1", layerDigests: [sha256(wasm)] }),
            );
            const config = `theirs.json:${types.config}`;
            await other("oras", "push", "--config", config, reference, `theirs.wasm:${types.layer}`);
        });

        it("is resolved, inspected and pulled", async () => {
            const digest = await other("crane", "digest", reference);
            assert.equal((await workplace.wasmOci("resolve", reference)).digest, digest);
            const inspected = await workplace.wasmOci("inspect", reference);
            assert.equal(inspected.digest, digest);
            assert.equal(inspected.moduleDigest, sha256(wasm));
            assert.deepEqual([inspected.mediaType, inspected.configMediaType], [types.layer, types.config]);
            assert.equal(inspected.size, wasm.length);
            assert.ok((await pulled(reference)).equals(wasm));
            assert.ok((await pulled(`${address}/theirs/${format}@${digest}`)).equals(wasm));
        });

        it("is found through an index", async () => {
            const digest = await other("crane", "digest", reference);
            const bytes = Buffer.from(await other("oras", "manifest", "fetch", reference));
            const image = (await other("crane", "manifest", reference)).length;
            assert.equal(bytes.length, image);
            const { digest: index } = await pushIndex(address, `theirs/${format}`, "index", [
                {
                    mediaType: "application/vnd.oci.image.manifest.v1+json",
                    digest,
                    size: image,
                    platform: { architecture: "wasm", os: "wasip1" },
                },
            ]);
            const indexed = `${address}/theirs/${format}:index`;
            assert.equal(await other("crane", "digest", indexed), index);
            assert.equal((await workplace.wasmOci("resolve", indexed)).digest, index);
            assert.equal((await workplace.wasmOci("inspect", indexed)).moduleDigest, sha256(wasm));
            assert.ok((await pulled(indexed)).equals(wasm));
        });
    });
}

describe("an artifact without a config of its own, as oras pushes by --artifact-type", () => {
    it("is pulled by the type of its layer", async () => {
        const wasm = module("artifact type");
        const reference = `${address}/theirs/artifact:v1`;
        workplace.write("typed.wasm", wasm);
        await other(
            "oras",
            "push",
            "--artifact-type",
            agreed.config,
            reference,
            `typed.wasm:${agreed.layer}`,
        );
        assert.ok((await pulled(reference)).equals(wasm));
    });
});

describe("what others delete", () => {
    it("is gone for wasm-oci, and the other way round", async () => {
        const file = workplace.write("gone.wasm", module("gone"));
        for (const [index, remove] of [
            (reference: string) => other("crane", "delete", reference),
            (reference: string) => workplace.wasmOci("delete", reference, "--manifest"),
        ].entries()) {
            const reference = `${address}/gone/${index}:v1`;
            const { digest } = await workplace.wasmOci("push", file, reference);
            await remove(index === 0 ? `${address}/gone/${index}@${String(digest)}` : reference);
            const { exitCode } = await workplace.run(["wasm-oci", "inspect", reference]);
            assert.equal(exitCode, 3);
            const seen = await workplace.run([
                path.join(programs, "crane"),
                "digest",
                reference,
                "--insecure",
            ]);
            assert.match(seen.stderr, /MANIFEST_UNKNOWN|404/);
        }
    });
});
