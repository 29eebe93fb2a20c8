import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { run } from "../../steps/lib/run";
import { cached } from "../../common/cache";
import { digestFromList, download, downloadText, type Digest, type DownloadLimits } from "../lib/download";
import type { Reporter } from "../../common/report";
import type { Release, ReleasedTool } from "./releases";

/** Cache key of a release: what was fetched, and what it was verified against. */
export function releaseKey(release: Release): string {
    return `${release.version}-${release.sha256 ? release.sha256.slice(0, 12) : "unpinned"}`;
}

/** Name of an official release's entry in the cache. */
export function releaseCacheName(tool: ReleasedTool): string {
    return `official-${tool}`;
}

/** The digest that the file must have: the pinned one, else the one in the publisher's list. */
export async function expectedDigest(
    release: Release,
    report: Reporter,
    limits?: DownloadLimits,
): Promise<Digest> {
    if (release.sha256) return { algorithm: "sha256", hex: release.sha256 };
    const digest = digestFromList(await downloadText(release.checksumsUrl, limits), release.fileName);
    if (!digest) throw new Error(`${release.checksumsUrl} holds no checksum of ${release.fileName}`);
    report.note(
        `${release.fileName}: no checksum of it is pinned here; verified with the publisher's own ` +
            `${digest.algorithm} (${release.checksumsUrl})`,
    );
    return digest;
}

/** Fetches, verifies and unpacks an official release into the cache, and returns its folder there. */
export async function fetchRelease(
    tool: ReleasedTool,
    release: Release,
    report: Reporter,
    limits?: DownloadLimits,
): Promise<string> {
    return cached(releaseCacheName(tool), releaseKey(release), async (dir) => {
        const progress = report.start(`${tool} ${release.version}, official release`);
        const temporary = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-"));
        try {
            const file = path.join(temporary, release.fileName);
            await download(
                release.url,
                file,
                await expectedDigest(release, report, limits),
                progress,
                limits,
            );
            progress.update("unpacking");
            await unpack(file, release, dir);
            progress.done();
        } catch (error) {
            progress.fail(error instanceof Error ? error.message : String(error));
            throw error;
        } finally {
            await fs.rm(temporary, { recursive: true, force: true });
        }
    });
}

async function unpack(file: string, release: Release, dir: string): Promise<void> {
    if (release.kind.form === "binary") {
        const program = path.join(dir, release.kind.program);
        await fs.copyFile(file, program);
        await fs.chmod(program, 0o755);
        return;
    }
    await run([
        "tar",
        "-xzf",
        file,
        "-C",
        dir,
        `--strip-components=${release.kind.strip}`,
        "--no-same-owner",
    ]);
}
