// The kind node image, made without pulling anything: Debian's packages, kind's own base files, and Kubernetes built from its module.
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { run } from "../../steps/lib/run";
import { cacheRoot } from "../../common/cache";
import { ROOT } from "../../common/root";
import { COREDNS_VERSION, ETCD_VERSION, KUBERNETES_VERSION } from "../../common/versions";
import { building, type Build, type MakeContext } from "../../common/building";
import { built, RECIPES } from "../go/recipes";
import { GO_ENVIRONMENT } from "../../common/go";
import { writeImageArchive, type ImageSpec } from "./archive";
import { KEY_LABEL } from "./key";
import { debianRootfs, netfilterArguments } from "./rootfs";

/** The sandbox image that the containerd configuration of kind's base image names. */
const SANDBOX_IMAGE = /^\s*sandbox_image\s*=\s*"([^"]+)"/m;

/** The images that kubeadm wants; each is called as the program in it. */
const PROGRAMS = [
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "etcd",
    "coredns",
    "pause",
];

/** Tags by program, from what `kubeadm config images list` printed. */
export function controlPlaneTags(list: string, sandboxImage: string): Map<string, string[]> {
    const tags = new Map<string, string[]>();
    for (const image of [...list.trim().split(/\s+/), sandboxImage]) {
        const program = /([^/:]+):[^/]+$/.exec(image)?.[1] ?? "";
        if (!PROGRAMS.includes(program)) continue;
        const known = tags.get(program) ?? [];
        tags.set(program, known.includes(image) ? known : [...known, image]);
    }
    for (const program of PROGRAMS) {
        if (!tags.has(program)) throw new Error(`kubeadm names no image of ${program}: ${list}`);
    }
    return tags;
}

/** Instructions of `docker commit` that turn the prepared container into a kind node image. */
export function commitChanges(key: string): string[] {
    return [
        'ENTRYPOINT ["/usr/local/bin/entrypoint", "/sbin/init"]',
        "CMD []",
        "ENV container=docker",
        `LABEL ${KEY_LABEL}=${key}`,
        "LABEL org.opencontainers.image.title=kind-node-from-packages",
        `LABEL org.opencontainers.image.version=${KUBERNETES_VERSION}`,
        `LABEL krustlet-stack.etcd=${ETCD_VERSION}`,
        `LABEL krustlet-stack.coredns=${COREDNS_VERSION}`,
    ];
}

/**
 * Arguments of `docker run` that leave a container without proxies: Docker's CLI gives it those of its own configuration, a password
 * perhaps, and `docker commit` would keep them, on whatever host the image is made.
 */
export const WITHOUT_PROXIES = ["HTTP", "HTTPS", "FTP", "NO", "ALL"]
    .flatMap((what) => [`${what}_PROXY`, `${what}_PROXY`.toLowerCase()])
    .map((name) => `--env=${name}=`);

/** Folder of kind's module in Go's module cache, fetched there if need be and verified by go.sum. */
async function kindModule(build: Build): Promise<string> {
    const options = { cwd: RECIPES.kind.build.moduleDir, env: GO_ENVIRONMENT };
    await build.run(["go", "mod", "download", "sigs.k8s.io/kind"], options);
    return (
        await build.run(["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", "sigs.k8s.io/kind"], options)
    ).stdout.trim();
}

async function controlPlaneImages(
    build: Build,
    folders: Folders,
    kindFiles: string,
    work: string,
): Promise<string> {
    const list = await build.run([
        path.join(folders.kubernetes, "kubeadm"),
        "config",
        "images",
        "list",
        "--kubernetes-version",
        KUBERNETES_VERSION,
    ]);
    const containerd = await fs.readFile(path.join(kindFiles, "etc/containerd/config.toml"), "utf8");
    const sandbox = SANDBOX_IMAGE.exec(containerd)?.[1];
    if (sandbox === undefined) throw new Error("kind's containerd configuration names no sandbox image");
    const specs: ImageSpec[] = [];
    for (const [program, tags] of controlPlaneTags(list.stdout, sandbox)) {
        const root = path.join(work, program);
        const { etcd, coredns, pause, kubernetes } = folders;
        const from = new Map(Object.entries({ etcd, coredns, pause })).get(program) ?? kubernetes;
        await fs.mkdir(path.join(root, "usr/local/bin"), { recursive: true });
        await fs.link(path.join(from, program), path.join(root, "usr/local/bin", program));
        if (program === "kube-proxy") await build.run(netfilterArguments(folders.rootfs, root));
        const config = {
            Entrypoint: [`/usr/local/bin/${program}`],
            Env: ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"],
        };
        specs.push({ tags, root, config });
    }
    const images = path.join(work, "images");
    const parts = path.join(work, "parts");
    await fs.mkdir(images);
    await fs.mkdir(parts);
    await writeImageArchive(build, specs, parts, path.join(images, "images.tar"));
    return images;
}

interface Folders {
    rootfs: string;
    kubernetes: string;
    kubectl: string;
    etcd: string;
    coredns: string;
    pause: string;
}

/** Runs both; the first error is thrown only when neither is running any more. */
async function both<A, B>(first: Promise<A>, second: Promise<B>): Promise<[A, B]> {
    await Promise.allSettled([first, second]);
    return [await first, await second];
}

export async function makeNodeImage(tag: string, key: string, ctx: MakeContext): Promise<void> {
    const programs = async () => {
        const kubernetes = await built("kubernetes", ctx);
        return {
            kubernetes,
            kubectl: await built("kubectl", ctx),
            etcd: await built("etcd", ctx),
            coredns: await built("coredns", ctx),
            pause: await built("pause", ctx),
        };
    };
    // The one waits for the network and the disk most of the time, the other for the processors.
    const [rootfs, folders] = await both(debianRootfs(ctx), programs());
    await building(ctx, "node-image", `image ${tag}`, (build) =>
        assemble(build, tag, key, { rootfs, ...folders }),
    );
}

async function assemble(build: Build, tag: string, key: string, folders: Folders): Promise<void> {
    // In the cache, so that the programs can be linked instead of copied.
    const work = await fs.mkdtemp(path.join(cacheRoot(), "node-image-"));
    const base = `krustlet-stack-node-base:${key}`;
    const container = `krustlet-stack-node-image-${process.pid}`;
    try {
        build.progress.update("the control plane's images");
        const kindFiles = path.join(await kindModule(build), "images/base/files");
        const images = await controlPlaneImages(build, folders, kindFiles, work);
        build.progress.update("the root file system");
        await build.run(["docker", "import", folders.rootfs, base]);
        const { kubernetes, kubectl } = folders;
        const mounts = {
            kind: kindFiles,
            node: path.join(ROOT, "airgap", "image", "node"),
            kubernetes,
            kubectl,
            images,
        };
        build.progress.update("preparing the node");
        await build.run([
            ...["docker", "run", "--name", container, "--privileged", "--network=none"],
            ...WITHOUT_PROXIES,
            // systemd's signal to shut down. `docker commit` keeps it, but cannot set it.
            "--stop-signal=SIGRTMIN+3",
            // What is mounted below /run leaves no trace in the image: neither mount points nor, the volume being named, a volume.
            ...["--tmpfs=/run:exec", `--volume=${container}:/run/preload`],
            ...Object.entries(mounts).map(([name, dir]) => `--volume=${dir}:/run/in/${name}:ro`),
            ...["--entrypoint", "/bin/bash", base, "/run/in/node/prepare.sh", KUBERNETES_VERSION],
        ]);
        build.progress.update("committing");
        const changes = commitChanges(key).flatMap((change) => ["--change", change]);
        await build.run(["docker", "commit", ...changes, container, tag]);
    } finally {
        await run(["docker", "rm", "--force", container], { allowFailure: true });
        await run(["docker", "volume", "rm", "--force", container], { allowFailure: true });
        // Its layers stay with the image that was made from it.
        await run(["docker", "rmi", base], { allowFailure: true });
        await fs.rm(work, { recursive: true, force: true });
    }
}
