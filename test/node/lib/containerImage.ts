// workloads/probe for kind's own node, whose kubelet runs containers: an ordinary program, alone in an image.
import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { run } from "../../../steps/lib/run";
import { pushImage, type Descriptor } from "./scriptedRegistry";

/** Builds a cargo project for this host, without anything beside it that it needs; the program's file. */
export async function buildProgram(source: string, env: Record<string, string>): Promise<string> {
    const built = { ...env, RUSTFLAGS: "-C target-feature=+crt-static" };
    await run(["cargo", "build", "--release", "--locked"], { cwd: source, env: built, timeoutSeconds: 600 });
    return path.join(env.CARGO_TARGET_DIR, "release", path.basename(source));
}

/** Pushes an image of one program, which is its entry point. */
export async function pushContainerImage(
    registry: string,
    repository: string,
    tag: string,
    program: string,
): Promise<Descriptor> {
    const [folder, name] = [path.dirname(program), path.basename(program)];
    const archive = `${program}.tar`;
    await run(["tar", "--create", `--file=${archive}`, "--owner=0", "--group=0", name], { cwd: folder });
    const layer = await fs.readFile(archive);
    const platform = { architecture: process.arch === "x64" ? "amd64" : process.arch, os: "linux" };
    const diffId = `sha256:${createHash("sha256").update(layer).digest("hex")}`;
    const config = {
        ...platform,
        // Two names of one and the same image would be told for each other.
        config: { Entrypoint: [`/${name}`], Labels: { repository } },
        rootfs: { type: "layers", diff_ids: [diffId] },
    };
    const descriptor = await pushImage(registry, repository, tag, config, layer, {
        config: "application/vnd.oci.image.config.v1+json",
        layer: "application/vnd.oci.image.layer.v1.tar",
    });
    return { ...descriptor, platform };
}
