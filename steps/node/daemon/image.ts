// An image of a program that this machine has: the file, and what it is linked with. Nothing is pulled for it, and it runs wherever the
// program does.
import { createHash } from "node:crypto";
import { copyFile, mkdir, mkdtemp, rm, stat, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { basename, dirname, join } from "node:path";
import { StepError } from "../../lib/errors";
import { sha256OfFile, temporaryPrefix } from "../../lib/files";
import { needTools } from "../../lib/programs/programs";
import { progress } from "../../lib/progress";
import { run } from "../../lib/run";

/** Another one makes other images of the same files. */
const recipe = "1";

/** Bears every image of this kind: what no container uses of these is removed. */
const imageLabel = "krustlet-stack.programs";

/** Where a program is in its image. */
export function placeInImage(program: string): string {
    return `/bin/${basename(program)}`;
}

/** The image of some programs (their files), made where Docker has none of these very files. Returns its name. */
export async function imageOf(programs: string[]): Promise<string> {
    if (process.platform !== "linux") {
        throw new StepError(
            `runtime: this machine's programs (${process.platform}) run in no container, which is Linux; use runtime "process", or run this on Linux (WSL is)`,
        );
    }
    const files = await contentOf(programs);
    const hash = createHash("sha256").update(recipe);
    for (const [place, file] of files) hash.update(`\0${place}\0${await sha256OfFile(file)}`);
    const image = `krustlet-stack-node:${hash.digest("hex").slice(0, 16)}`;
    const found = await run(["docker", "image", "inspect", "--format={{.Id}}", image], {
        allowFailure: true,
        timeoutSeconds: 30,
    });
    if (found.exitCode !== 0) await make(image, files);
    return image;
}

/** Files of this machine by their place in the image. */
async function contentOf(programs: string[]): Promise<Map<string, string>> {
    await needTools("ldd", "tar");
    const linked = await Promise.all(programs.map(librariesOf));
    const libraries = [...new Set(linked.flat())].sort();
    return new Map([
        ...programs.map((program) => [placeInImage(program), program] as const),
        ...libraries.map((library) => [library, library] as const),
    ]);
}

/** What finds hosts by name, which older C libraries load without being linked with it. */
const nameServices = ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"];

async function librariesOf(program: string): Promise<string[]> {
    const printed = await run(["ldd", program], { allowFailure: true, timeoutSeconds: 30 });
    const found = librariesIn(printed.stdout, program);
    const libc = found.find((file) => basename(file).startsWith("libc.so."));
    const services = libc === undefined ? [] : nameServices.map((name) => join(dirname(libc), name));
    const there = await Promise.all(
        services.map((file) =>
            stat(file).then(
                () => [file],
                () => [],
            ),
        ),
    );
    return [...found, ...there.flat()];
}

/** The files that `ldd` says a program is linked with; none of one that is linked with nothing. */
export function librariesIn(printed: string, program: string): string[] {
    const missing = /^\s*(\S+) => not found/m.exec(printed)?.[1];
    if (missing !== undefined)
        throw new StepError(`${program}: it needs ${missing}, which this machine does not have; install it`);
    // "	libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)", and the loader without a name before it.
    return [...printed.matchAll(/^\s*(?:\S+ => )?(\/\S+) \(0x[0-9a-f]+\)$/gm)].map(([, file]) => file);
}

async function make(image: string, files: Map<string, string>): Promise<void> {
    progress(`image ${image} is made of ${[...files.values()][0]} and what it is linked with`);
    const folder = await mkdtemp(join(tmpdir(), `${temporaryPrefix}${process.pid}-`));
    try {
        const root = join(folder, "root");
        for (const [place, file] of files) {
            await mkdir(dirname(join(root, place)), { recursive: true });
            await copyFile(file, join(root, place));
        }
        await mkdir(join(root, "etc"));
        // Docker writes the container's own name and address into /etc/hosts; other containers are known to its name server.
        await writeFile(join(root, "etc/nsswitch.conf"), "hosts: files dns\n");
        const archive = join(folder, "root.tar");
        // Whatever rights new files of this user have: the container's user reads them.
        const rights = ["--owner=0", "--group=0", "--numeric-owner", "--mode=u=rwX,go=rX"];
        await run(["tar", "--create", ...rights, `--file=${archive}`, `--directory=${root}`, "."]);
        await run(["docker", "import", `--change=LABEL ${imageLabel}=1`, archive, image], {
            timeoutSeconds: 300,
        });
    } finally {
        await rm(folder, { recursive: true, force: true });
    }
}

/** Removes the images of this kind that no container uses. Another one of the same files is made in a second. */
export async function removeUnusedImages(): Promise<void> {
    await run(["docker", "image", "prune", "--all", "--force", `--filter=label=${imageLabel}`], {
        // It may be another prune's turn; the next one removes them.
        allowFailure: true,
        timeoutSeconds: 120,
    });
}
