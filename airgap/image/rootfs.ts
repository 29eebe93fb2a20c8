// The Debian root file system of the node image.
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { cached, cacheKey } from "../../common/cache";
import { DEBIAN_SUITE } from "../../common/versions";
import { building, type MakeContext } from "../../common/building";
import { debianMirror } from "./mirror";
import { aptInstall, aptUpdate, onPath } from "../docker/apt";

/** What kind's own base image installs and a node needs, with Debian's containerd, runc and CNI plugins in place of self-built ones. */
export const PACKAGES = [
    ...[
        "bash",
        "ca-certificates",
        "conntrack",
        "containerd",
        "containernetworking-plugins",
        "ethtool",
        "iproute2",
        "iptables",
    ],
    ...["kmod", "mount", "nftables", "procps", "runc", "systemd", "util-linux"],
] as const;

/** Paths that a node has no use for, by dpkg's patterns. */
const EXCLUDED = [
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/usr/share/info/*",
    "/usr/bin/containerd-shim*-v1",
];

/** The program that makes it. */
export const ROOTFS_TOOL = "mmdebstrap";

const KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg";

/** Arguments that make the archive from a mirror. Signatures are checked with Debian's own archive keys. */
export function rootfsArguments(mirror: string, archive: string, uid: number): string[] {
    return [
        ROOTFS_TOOL,
        // Without root it needs user namespaces.
        `--mode=${uid === 0 ? "root" : "unshare"}`,
        "--variant=essential",
        `--include=${PACKAGES.join(",")}`,
        `--keyring=${KEYRING}`,
        '--aptopt=APT::Install-Recommends "false"',
        ...EXCLUDED.map((pattern) => `--dpkgopt=path-exclude=${pattern}`),
        // Nothing of an interrupted run is kept, so nothing has to be safe on the disk at each step.
        "--dpkgopt=force-unsafe-io",
        "--format=tar",
        DEBIAN_SUITE,
        archive,
        mirror,
    ];
}

/** The archive of the root file system (tar), from the cache or made now. */
export async function debianRootfs(ctx: MakeContext): Promise<string> {
    const key = await cacheKey(rootfsArguments("", "", 0), "", []);
    const name = "rootfs.tar";
    const dir = await cached("node-rootfs", key, async (outDir) => {
        await building(
            ctx,
            "node-rootfs",
            `Debian ${DEBIAN_SUITE} for the node image, from packages`,
            async (build) => {
                const needed = [];
                if (!onPath(ROOTFS_TOOL)) needed.push(ROOTFS_TOOL);
                if (!(await fs.stat(KEYRING).catch(() => undefined))) needed.push("debian-archive-keyring");
                if (needed.length > 0) await aptInstall(build, needed);
                const mirror = await debianMirror(() => aptUpdate(build));
                await build.run(rootfsArguments(mirror, path.join(outDir, name), process.geteuid?.() ?? -1), {
                    onLine: (line) => {
                        if (line.startsWith("I: ")) build.progress.update(line.slice(3));
                    },
                });
            },
        );
    });
    return path.join(dir, name);
}

/** Arguments of tar that take from that archive what kube-proxy runs, iptables and nft, with the libraries that these need. */
export function netfilterArguments(archive: string, root: string): string[] {
    const libraries = [
        ...["bsd", "c", "edit", "gmp", "jansson", "m", "md", "mnl", "netfilter_conntrack", "nfnetlink"],
        ...["nftables", "nftnl", "tinfo", "xtables"],
    ];
    return [
        ...["tar", "-xf", archive, "-C", root, "--wildcards"],
        // Of a merged /usr: links, but for the loader at the end.
        ...["./sbin", "./lib*", "./usr/lib*/ld-linux-*"],
        ...["./usr/sbin/*tables*", "./usr/sbin/nft", "./etc/alternatives/*tables*"],
        ...["./usr/lib/*/xtables/*", ...libraries.map((name) => `./usr/lib/*/lib${name}.so.*`)],
    ];
}
