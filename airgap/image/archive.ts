// Images FROM scratch with one layer each, without a Docker daemon: an archive as `docker load` and `ctr images import` read
// it (https://github.com/moby/docker-image-spec, "docker save" format).
import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { sha256File } from "../../common/cache";
import type { Build } from "../../common/building";

/** One image to be written. */
export interface ImageSpec {
    /** Names with tag. */
    tags: readonly string[];
    /** Folder with what the image's root holds. */
    root: string;
    /** The image's run configuration, in the words of the specification (`Entrypoint`, `Cmd`, `Env`, …). */
    config: Readonly<Record<string, unknown>>;
}

/** The name that Go, Docker and Debian give to this machine's processor. */
export function architecture(arch: string = process.arch): string {
    const names: Readonly<Record<string, string>> = { x64: "amd64", arm64: "arm64" };
    const name = names[arch];
    if (name === undefined)
        throw new Error(`krustlet-stack is made for amd64 and arm64; this machine is ${arch}`);
    return name;
}

/** Arguments of tar for an archive that depends on names and contents alone, not on when and by whom it was made. */
export function tarArguments(archive: string, root: string): string[] {
    return [
        "tar",
        "--create",
        "--sort=name",
        "--mtime=@0",
        "--owner=0",
        "--group=0",
        "--numeric-owner",
        "-f",
        archive,
        "-C",
        root,
        ".",
    ];
}

/** The config file of an image with a single layer. */
export function imageConfig(spec: ImageSpec, layerSha256: string): Record<string, unknown> {
    return {
        architecture: architecture(),
        os: "linux",
        created: "1970-01-01T00:00:00Z",
        config: spec.config,
        rootfs: { type: "layers", diff_ids: [`sha256:${layerSha256}`] },
        history: [{ created: "1970-01-01T00:00:00Z", created_by: "krustlet-stack airgap" }],
    };
}

/** Writes images into one archive; `workDir` is an empty folder for what it is made from. */
export async function writeImageArchive(
    build: Build,
    specs: readonly ImageSpec[],
    workDir: string,
    archive: string,
): Promise<void> {
    const manifest: unknown[] = [];
    for (const [index, spec] of specs.entries()) {
        const layer = `layer-${index}.tar`;
        await build.run(tarArguments(path.join(workDir, layer), spec.root));
        const config = JSON.stringify(imageConfig(spec, await sha256File(path.join(workDir, layer))));
        const configFile = `${createHash("sha256").update(config).digest("hex")}.json`;
        await fs.writeFile(path.join(workDir, configFile), config);
        manifest.push({ Config: configFile, RepoTags: spec.tags, Layers: [layer] });
    }
    await fs.writeFile(path.join(workDir, "manifest.json"), JSON.stringify(manifest));
    await build.run(tarArguments(archive, workDir));
}
