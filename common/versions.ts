/**
 * Every pinned version and checksum of what this project gets from elsewhere, and nothing else. To move a version, change
 * it here; npm packages are in package.json, crates in krustlet/Cargo.toml, and a unit test sees that the Pulumi ones agree.
 */

/** A machine that official releases are made for. */
export type Platform = "linux-amd64" | "linux-arm64" | "darwin-amd64" | "darwin-arm64";

/**
 * SHA-256 (hex) of the official file for each platform. A platform that is absent is not pinned: its download is verified
 * against the publisher's own checksum file, fetched over TLS from beside it (`npm run doctor` says which one it is).
 */
export type Checksums = Partial<Record<Platform, string>>;

/** The Pulumi CLI, with its Node.js language host. Must be the version of npm package @pulumi/pulumi. */
export const PULUMI_VERSION = "v3.246.0";
export const PULUMI_SHA256: Checksums = {
    "linux-amd64": "249a797558718caa62f69e7259ba6a8af0d6da3be2caec31daca17cfbbb6c04f",
    "linux-arm64": "adb28867888ac835a93dd7181c559702f96ed6cfaccd5c4b6fff9dbfdc7a334c",
};

/** Pulumi provider plugins by name. Must be the versions of the npm packages @pulumi/<name>. None is pinned yet. */
export const PLUGINS = {
    command: { version: "v1.2.1", sha256: {} as Checksums },
    kubernetes: { version: "v4.25.0", sha256: {} as Checksums },
    docker: { version: "v5.0.0", sha256: {} as Checksums },
} as const;
export type PluginName = keyof typeof PLUGINS;

export const KIND_VERSION = "v0.33.0";
export const KIND_SHA256: Checksums = {
    "linux-amd64": "aee6151561422756b764a4ae28e7f44cda5af5a9eead3cc9985112b1de8d8e0d",
    "linux-arm64": "20022bee6cfcd5086cb7234d218e3454e6090022f2a8f55d1fa7fcf42c3867a2",
    "darwin-amd64": "5a99f26f57246dc9319dd294803313197a0f34d33c525b3ea8b655db5916ece0",
    "darwin-arm64": "0c8c7dbe5e23594a198b786c4bc13dacc101fa6196b0cb0b23a1ca44e61f4b4f",
};

/**
 * Kubernetes of the cluster. It is the 1.36 release that kind v0.33.0 has an official node image of, so that the tag names
 * the same Kubernetes with and without the Internet.
 */
export const KUBERNETES_VERSION = "v1.36.4";
export const KUBECTL_SHA256: Checksums = {
    "linux-amd64": "8b8f088da2dab964f853b38464033b1be15ede2839eca751482357c45abdd05a",
    "linux-arm64": "0ecf44450ee6063bf19dd166a103ee6df4a9034455c2abce626e6eea657d73fb",
    "darwin-amd64": "71a3aa7c2ee2c974d9fbb462cba0c5c04a4df2e8d85eee94714fd819ea3c4e63",
    "darwin-arm64": "c9e4f713d6fee0043a3d835cca13077cda2bc0973840eb9779360df0b5bdfc69",
};

/** A container image: the tag that is used, and the digest (of the manifest list) that the official one must have. */
export interface PinnedImage {
    /** Name without tag: `kindest/node`. */
    name: string;
    tag: string;
    /** `sha256:…` */
    digest: string;
}

/** The kind node image: built for kind v0.33.0, by its release notes. */
export const NODE_IMAGE: PinnedImage = {
    name: "kindest/node",
    tag: KUBERNETES_VERSION,
    digest: "sha256:099e049362a1526b2db71494e1947aae99bd16290d7c895f2b7ea312e3cbfaed",
};

/** CNCF Distribution, which the registry image holds. */
export const DISTRIBUTION_VERSION = "v3.1.2";
export const REGISTRY_IMAGE: PinnedImage = {
    name: "registry",
    tag: "3.1.2",
    digest: "sha256:ddf754342cfc8acc51a56d5d0ab6af06826461864460636d8bd5c546dab2a7b8",
};

/** etcd of the air-gapped node image; the official node image brings its own. */
export const ETCD_VERSION = "v3.6.16";
/** CoreDNS of the air-gapped node image, by whatever version kubeadm names its image. */
export const COREDNS_VERSION = "v1.15.0";

/** Oldest Rust that the workspace in krustlet/ compiles with. */
export const RUST_MINIMUM = "1.95.0";
/** Oldest Node.js that runs the programs. */
export const NODE_MINIMUM = "20.19.0";
/** Oldest Docker Engine that kind and the steps are known to work with. */
export const DOCKER_MINIMUM = "20.10.0";
/** Oldest Go that the air-gapped builds can begin with; it fetches a newer toolchain itself where a module asks for one. */
export const GO_MINIMUM = "1.21.0";

/** Debian release of the air-gapped node image: the one that kind v0.33.0 makes its own node images from. */
export const DEBIAN_SUITE = "trixie";
