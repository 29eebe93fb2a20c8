// The registry image FROM scratch: like the official `registry:3`, but for the shell in it.
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { cacheRoot } from "../../common/cache";
import { building, type MakeContext } from "../../common/building";
import { built } from "../go/recipes";
import { writeImageArchive } from "./archive";
import { KEY_LABEL } from "./key";

/** What the official image's configuration says. REGISTRY_… variables override it, as in the official image. */
const CONFIG = `version: 0.1
log:
  fields:
    service: registry
storage:
  cache:
    blobdescriptor: inmemory
  filesystem:
    rootdirectory: /var/lib/registry
http:
  addr: :5000
  headers:
    X-Content-Type-Options: [nosniff]
health:
  storagedriver:
    enabled: true
    interval: 10s
    threshold: 3
`;

/** Run configuration of the image: entry point, arguments, port and volume of the official one. */
export function registryRunConfig(key: string): Record<string, unknown> {
    return {
        Env: [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "OTEL_TRACES_EXPORTER=none",
        ],
        // The official entry point is a script that puts this before the path of a configuration file.
        Entrypoint: ["/bin/registry", "serve"],
        Cmd: ["/etc/distribution/config.yml"],
        ExposedPorts: { "5000/tcp": {} },
        Volumes: { "/var/lib/registry": {} },
        Labels: { [KEY_LABEL]: key },
    };
}

export async function makeRegistryImage(tag: string, key: string, ctx: MakeContext): Promise<void> {
    const programs = await built("registry", ctx);
    await building(ctx, "registry-image", `image ${tag}`, async (build) => {
        const work = await fs.mkdtemp(path.join(cacheRoot(), "registry-image-"));
        try {
            const root = path.join(work, "root");
            for (const dir of ["bin", "etc/distribution", "var/lib/registry", "tmp"])
                await fs.mkdir(path.join(root, dir), { recursive: true });
            await fs.link(path.join(programs, "registry"), path.join(root, "bin/registry"));
            await fs.writeFile(path.join(root, "etc/distribution/config.yml"), CONFIG);
            await fs.mkdir(path.join(work, "archive"));
            const archive = path.join(work, "registry.tar");
            await writeImageArchive(
                build,
                [{ tags: [tag], root, config: registryRunConfig(key) }],
                path.join(work, "archive"),
                archive,
            );
            await build.run(["docker", "load", "--quiet", "--input", archive]);
        } finally {
            await fs.rm(work, { recursive: true, force: true });
        }
    });
}
