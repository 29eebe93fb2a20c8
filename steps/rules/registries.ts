import { list, map, matching, oneOf } from "./vocabulary";

// Names of registries, repositories and artifacts, as `wasm-oci` and the node agent take them (krustlet/oci, reference.rs).

const hostPart = "[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?";
/** From 1 to 65535. */
const portNumber = "0*([1-9]\\d{0,3}|[1-5]\\d{4}|6[0-4]\\d{3}|65[0-4]\\d{2}|655[0-2]\\d|6553[0-5])";
/** `host` or `host:port`. */
const host = `${hostPart}(\\.${hostPart})*(:${portNumber})?`;
const repositoryPart = "[a-z0-9]+(([._]|__|-+)[a-z0-9]+)*";
const path = `${repositoryPart}(/${repositoryPart})*`;
const tagName = "[A-Za-z0-9_][A-Za-z0-9._-]{0,127}";
const sha256 = "[0-9a-f]{64}";

export const registry = matching(
    new RegExp(`^${host}$`),
    'a registry as host or host:port, the port from 1 to 65535, without a scheme (for example "localhost:5001" or "ghcr.io")',
);

export const registries = list(registry);

/** Where registries are found, by the name that images have for them. */
export const registryMirrors = map(registry, registry);

/** A registry, possibly with the beginning of the repository's name. */
export const registryWithPath = matching(
    new RegExp(`^${host}(/${path})?$`),
    'a registry, possibly with a path, without a scheme (for example "ghcr.io/you")',
);

export const repository = matching(
    new RegExp(`^${path}$`),
    'lower-case letters, digits, ".", "_", "-" and "/" (for example "demo/hello-wasm")',
    200,
);

export const tag = matching(
    new RegExp(`^${tagName}$`),
    'a tag of letters, digits, ".", "_" and "-" (for example "v1")',
);

/** An artifact that is in a registry already. With a tag and a digest the digest wins, as everywhere. */
export const artifactReference = matching(
    new RegExp(`^${host}/${path}(:${tagName}|(:${tagName})?@sha256:${sha256})$`),
    'a reference with its registry and a tag or a digest (for example "ghcr.io/you/hello-wasm:v1")',
);

/** An artifact as it is pushed. */
export const taggedReference = matching(
    new RegExp(`^${host}/${path}:${tagName}$`),
    "registry/repository:tag, the repository in lower case",
);

/** An image by digest: what it names never changes, so a new image is a new value. A tag beside it is for people. */
export const imageByDigest = matching(
    new RegExp(`^${host}/${path}(:${tagName})?@sha256:${sha256}$`),
    'a reference by digest (for example "ghcr.io/you/hello-wasm@sha256:…", 64 hex digits)',
);

export const digest = matching(new RegExp(`^sha256:${sha256}$`), "a digest, sha256: and 64 hex digits");

/** SHA-256 in hex. */
export const sha256Hex = matching(new RegExp(`^${sha256}$`), "a SHA-256 of 64 hex digits");

export const image = matching(/^[^\s]+$/, 'the name of an image (for example "registry:3.1.2")');

/** Forms of an artifact. */
export const artifactFormat = oneOf(["wasm", "wasm-to-oci"]);
