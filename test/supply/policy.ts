// What we let in, beyond what krustlet/deny.toml says of crates. Each entry has its reason beside it.

/** Licences that npm packages may have besides those that crates may have. They run on the host and are not given away. */
export const NPM_LICENCES = [
    "0BSD",
    "BlueOak-1.0.0",
    // argparse, below js-yaml
    "Python-2.0",
    // The lists of SPDX itself, data below npm's own libraries, which Pulumi brings.
    "CC-BY-3.0",
    "CC0-1.0",
];

/** Licence of an npm package whose package.json does not tell it, read in the package itself. */
export const NPM_LICENCES_READ: Readonly<Record<string, string>> = {
    // "SEE LICENSE IN LICENSE", which is MIT's text.
    "@logdna/tail-file": "MIT",
};

/**
 * npm packages that have an install script. None is run (`--ignore-scripts`): what each would do is done otherwise, or not
 * needed. A new one has to be looked at before it is added.
 */
export const NPM_SCRIPTS = [
    // Fetch their Pulumi plugin; tools/sources/plugins.ts does, verified.
    "@pulumi/command",
    "@pulumi/kubernetes",
    // Looks whether the binary of this platform is there, which is a package of its own.
    "esbuild",
    // Warns of version schemes.
    "protobufjs",
];

/** npm packages that their keepers call deprecated and that others of ours still need. */
export const NPM_DEPRECATED: readonly string[] = [];

/** Go modules that may stand in for another: the replacement by what it replaces. Same-named ones need no entry. */
export const GO_REPLACEMENTS: Readonly<Record<string, string>> = {
    // Pulumi's own replacement, which a module that uses it has to repeat.
    "github.com/atotto/clipboard": "github.com/tgummerer/clipboard",
    // Pulumi's own again: its bridge is made for this fork.
    "github.com/hashicorp/terraform-plugin-sdk/v2": "github.com/pulumi/terraform-plugin-sdk/v2",
    // The provider's module still bears the name of its first home.
    "github.com/terraform-providers/terraform-provider-docker":
        "github.com/kreuzwerker/terraform-provider-docker",
};

/**
 * Official releases that no checksum is pinned for, as `<tool> <platform>`; `*` is every platform. They are verified with the
 * publisher's own list (tools/sources/official.ts), which says nothing once the publisher's account is another's.
 */
export const UNPINNED_RELEASES = [
    // Where the pins were made the releases of the plugins could not be read.
    "plugin-command *",
    "plugin-docker *",
    "plugin-kubernetes *",
    // As with the plugins: the checksums of these two could not be read.
    "pulumi darwin-amd64",
    "pulumi darwin-arm64",
];

/** Advisories of npm packages that are known and accepted, by id (GHSA-…), each with the reason. Crates': krustlet/deny.toml. */
export const ACCEPTED_ADVISORIES: readonly string[] = [];
