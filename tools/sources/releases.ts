import {
    KIND_SHA256,
    KIND_VERSION,
    KUBECTL_SHA256,
    KUBERNETES_VERSION,
    PLUGINS,
    PULUMI_SHA256,
    PULUMI_VERSION,
    type Checksums,
    type Platform,
    type PluginName,
} from "../../common/versions";

/** What can be had as an official release file. */
export type ReleasedTool = "pulumi" | "kind" | "kubectl" | `plugin-${PluginName}`;

/** The official release of a tool for one platform. */
export interface Release {
    version: string;
    url: string;
    /** Name of the file in the publisher's checksum list. */
    fileName: string;
    /** SHA-256 (hex) that is pinned here; unset: the publisher's list decides. */
    sha256?: string;
    /** The publisher's own list of checksums, beside the file. */
    checksumsUrl: string;
    /** `binary`: the program itself, to be stored as `program`. `tar.gz`: unpacked, without its first `strip` folders. */
    kind: { form: "binary"; program: string } | { form: "tar.gz"; strip: 0 | 1 };
}

/** The platform's name in official releases, or undefined where there is none for it. */
export function platformOf(os: string, arch: string): Platform | undefined {
    const cpu = { x64: "amd64", arm64: "arm64" }[arch];
    if ((os !== "linux" && os !== "darwin") || cpu === undefined) return undefined;
    return `${os}-${cpu}` as Platform;
}

/**
 * Where releases are fetched from: as published, or through a mirror (environment KRUSTLET_STACK_MIRROR) that serves
 * `https://host/path` as `<mirror>/host/path`. Pinned checksums hold for a mirror too.
 */
export function throughMirror(url: string, mirror: string | undefined): string {
    return mirror ? `${mirror.replace(/\/+$/, "")}/${url.replace(/^https:\/\//, "")}` : url;
}

/** The official release of a tool for a platform. */
export function releaseOf(tool: ReleasedTool, platform: Platform, mirror?: string): Release {
    const release = officialRelease(tool, platform);
    return {
        ...release,
        url: throughMirror(release.url, mirror),
        checksumsUrl: throughMirror(release.checksumsUrl, mirror),
    };
}

function officialRelease(tool: ReleasedTool, platform: Platform): Release {
    const [os, cpu] = platform.split("-");
    switch (tool) {
        case "pulumi": {
            const base = `https://github.com/pulumi/pulumi/releases/download/${PULUMI_VERSION}`;
            const fileName = `pulumi-${PULUMI_VERSION}-${os}-${cpu === "amd64" ? "x64" : cpu}.tar.gz`;
            return {
                version: PULUMI_VERSION,
                url: `${base}/${fileName}`,
                fileName,
                sha256: PULUMI_SHA256[platform],
                checksumsUrl: `${base}/pulumi-${PULUMI_VERSION.slice(1)}-checksums.txt`,
                kind: { form: "tar.gz", strip: 1 },
            };
        }
        case "kind": {
            const fileName = `kind-${platform}`;
            const url = `https://github.com/kubernetes-sigs/kind/releases/download/${KIND_VERSION}/${fileName}`;
            return {
                version: KIND_VERSION,
                url,
                fileName,
                sha256: KIND_SHA256[platform],
                checksumsUrl: `${url}.sha256sum`,
                kind: { form: "binary", program: "kind" },
            };
        }
        case "kubectl": {
            const url = `https://dl.k8s.io/release/${KUBERNETES_VERSION}/bin/${os}/${cpu}/kubectl`;
            return {
                version: KUBERNETES_VERSION,
                url,
                fileName: "kubectl",
                sha256: KUBECTL_SHA256[platform],
                checksumsUrl: `${url}.sha256`,
                kind: { form: "binary", program: "kubectl" },
            };
        }
        case "plugin-command":
        case "plugin-kubernetes":
        case "plugin-docker": {
            const name = tool.slice("plugin-".length) as PluginName;
            const { version, sha256 }: { version: string; sha256: Checksums } = PLUGINS[name];
            const base = `https://github.com/pulumi/pulumi-${name}/releases/download/${version}`;
            const fileName = `pulumi-resource-${name}-${version}-${platform}.tar.gz`;
            return {
                version,
                url: `${base}/${fileName}`,
                fileName,
                sha256: sha256[platform],
                checksumsUrl: `${base}/pulumi-${name}_${version.slice(1)}_checksums.txt`,
                kind: { form: "tar.gz", strip: 0 },
            };
        }
    }
}
