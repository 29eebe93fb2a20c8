import type { local } from "@pulumi/command";
import * as pulumi from "@pulumi/pulumi";
import { isDeepStrictEqual } from "node:util";
import { Children } from "../children";
import * as rules from "../rules";
import { stepInvoke, stepResource, type StepInput } from "../step";
import { boolean, checkArgs, oneOf, required, text, type Problem, type Rule } from "../validation";

/** Forms of a WebAssembly artifact. */
export const ArtifactFormat = {
    /** The one that the field has agreed on. */
    Wasm: "wasm",
    /** The one of the tool wasm-to-oci, which is older. */
    WasmToOci: "wasm-to-oci",
} as const;
export type ArtifactFormat = (typeof ArtifactFormat)[keyof typeof ArtifactFormat];

export interface WasmArtifactArgs {
    /** A WebAssembly file. Exactly one of `file`, `source` and `reference` is given. Example: `target/hello.wasm`. */
    file?: pulumi.Input<string>;
    /**
     * Folder of a cargo project with one binary, or with one library of the kind `cdylib` as servers are, which is built when its
     * sources change: for wasm32-wasip1, or for wasm32-wasip2 where the project's `.cargo/config.toml` says
     * `build.target = "wasm32-wasip2"`. Example: `workloads/hello-world`.
     */
    source?: pulumi.Input<string>;
    /**
     * An artifact that is in a registry already, by tag or by digest. It is looked up at every preview and update, so that a tag
     * that was moved since is a change. Nothing is pushed, and nothing is ever deleted. Example: `ghcr.io/you/hello-wasm:v1`.
     */
    reference?: pulumi.Input<string>;
    /**
     * Registry that the module is pushed to: host or host:port, possibly with the beginning of the repository's name. Required
     * with `file` and `source`. Example: `localhost:5001`.
     */
    registry?: pulumi.Input<string>;
    /** Repository in that registry. Required with `file` and `source`. Example: `demo/hello-wasm`. */
    repository?: pulumi.Input<string>;
    /** Tag that is set in the repository. Workloads run by digest, so it is for people. Default: `latest`. */
    tag?: pulumi.Input<string>;
    /**
     * Whether the tag is deleted with this resource, or when it gets another tag; only while it leads to what was pushed. The
     * artifact itself stays in the registry, for whoever runs it by digest; where a registry deletes no tags but only artifacts, one
     * that has no other tag goes. Default: false.
     */
    deleteTag?: boolean;
    /** Form of the artifact: `wasm`, or `wasm-to-oci` for tools that know that one alone. Default: `wasm`. */
    format?: pulumi.Input<ArtifactFormat>;
    /** Registries (host:port) that are spoken to over plain HTTP. Default: none. Example: `["localhost:5001"]`. */
    insecureRegistries?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * PEM file of certificate authorities that are trusted beside this host's own; `~` is the home folder. Default: none. Example:
     * `/etc/ssl/team-ca.pem`.
     */
    trustedCaFile?: pulumi.Input<string>;
    /**
     * Docker's config file with the logins, as `docker login` writes it; credential helpers that it names are asked. `~` is the home
     * folder. Default: Docker's own, `$DOCKER_CONFIG/config.json` or else `~/.docker/config.json`.
     */
    dockerConfigFile?: pulumi.Input<string>;
    /**
     * Changes when the registry has lost what it held, so that the module is pushed again: `LocalRegistry.instance`. Default:
     * none; the registry keeps its data.
     */
    registryInstance?: pulumi.Input<string>;
}

/** What is wrong with a module's origin: exactly one of `choices` must be given. */
export function originProblems(args: object, choices: readonly string[], path = ""): Problem[] {
    return rules.exactlyOne(args, choices, path, "says where the module comes from");
}

/** What is for an artifact that is pushed, and means nothing for one that is there. */
const pushOnly = ["registry", "repository", "tag", "deleteTag", "format", "registryInstance"] as const;

function pushProblems(args: WasmArtifactArgs): Problem[] {
    if (args.reference === undefined) return [];
    return pushOnly
        .filter((key) => args[key] !== undefined)
        .map((path) => ({ path, message: 'is for what is pushed; "reference" names what is there' }));
}

const children = new Children<{ build?: local.Command; push?: local.Command; tag?: local.Command }>();

/**
 * A WebAssembly module in an OCI registry: built (from `source`) and pushed, or found there (`reference`), and known by its
 * digest. The same bytes have the same digest, so nothing is pushed again and nothing that runs them changes.
 *
 * No login passes through Pulumi: passwords stay where `docker login` put them.
 *
 * @example
 * new WasmArtifact("hello", { source: "workloads/hello-world", registry: "ghcr.io/you", repository: "hello-wasm" });
 * new WasmArtifact("theirs", { reference: "ghcr.io/them/clock:v1" });
 */
export class WasmArtifact extends pulumi.ComponentResource {
    /** `registry/repository@sha256:…`: what workloads run. */
    readonly reference: pulumi.Output<string>;
    /** Digest of the artifact's manifest: `sha256:…`. */
    readonly digest: pulumi.Output<string>;
    /** Size of the module in bytes; of one that is not pushed, undefined. */
    readonly sizeBytes: pulumi.Output<number | undefined>;

    constructor(name: string, args: WasmArtifactArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmArtifact", name, {}, opts);
        const forPush = <T>(rule: Rule<T>, example: string) =>
            args.reference === undefined ? required(rule, example) : rule;
        const checked = checkArgs(
            "WasmArtifact",
            name,
            args,
            {
                file: text,
                source: text,
                reference: rules.artifactReference,
                registry: forPush(rules.registryWithPath, '"localhost:5001"'),
                repository: forPush(rules.repository, '"demo/hello-wasm"'),
                tag: rules.tag,
                deleteTag: boolean,
                format: oneOf(Object.values(ArtifactFormat)),
                insecureRegistries: rules.registries,
                trustedCaFile: text,
                dockerConfigFile: text,
                registryInstance: text,
            },
            [...originProblems(args, ["file", "source", "reference"]), ...pushProblems(args)],
        );
        const access: StepInput<"resolveArtifact"> = {
            reference: checked.reference ?? taggedReference(checked),
            insecureRegistries: pulumi.output(checked.insecureRegistries ?? []),
            trustedCaFile: checked.trustedCaFile,
            dockerConfigFile: checked.dockerConfigFile,
        };

        if (checked.reference !== undefined) {
            const found = stepInvoke("resolveArtifact", access, { parent: this });
            this.reference = found.reference;
            this.digest = found.digest;
            this.sizeBytes = pulumi.output(undefined);
            children.keep(this, {});
        } else {
            const { build, push, tag } = this.made(name, checked, access);
            this.reference = push.output.reference;
            this.digest = push.output.digest;
            this.sizeBytes = push.output.sizeBytes;
            children.keep(this, { build, push: push.command, tag });
        }
        this.registerOutputs({ reference: this.reference, digest: this.digest, sizeBytes: this.sizeBytes });
    }

    /** The Command that builds the module, with `source`: `<name>-build`. */
    get build(): local.Command | undefined {
        return children.of(this).build;
    }

    /** The Command that pushes it, with `source` and `file`: `<name>-push`. */
    get push(): local.Command | undefined {
        return children.of(this).push;
    }

    /** The Command that deletes its tag, with `deleteTag`: `<name>-tag`. */
    get tag(): local.Command | undefined {
        return children.of(this).tag;
    }

    /** Builds and pushes the module. */
    private made(name: string, args: WasmArtifactArgs, access: StepInput<"resolveArtifact">) {
        const { file, source } = args;
        // Looked at in every preview, so that a change of the bytes or sources is seen.
        const { sha256 } = stepInvoke("describeModule", { file, source }, { parent: this });
        const build =
            source === undefined
                ? undefined
                : stepResource(
                      `${name}-build`,
                      { create: "buildModule", input: { source }, triggers: [sha256] },
                      { parent: this },
                  );
        const module = build?.output ?? { file: file as pulumi.Input<string>, sha256 };
        const observed = stepInvoke("observeArtifact", { resource: `${name}-push` }, { parent: this });
        const push = stepResource(
            `${name}-push`,
            {
                create: "pushArtifact",
                delete: "forget",
                input: {
                    file: module.file,
                    sha256: module.sha256,
                    source,
                    format: args.format,
                    registryInstance: args.registryInstance,
                    because: observed.because,
                    ...access,
                },
                stands: pulumi
                    .all([observed.last, module.sha256, access.reference, args.format])
                    .apply(([last, ...now]) =>
                        last && isDeepStrictEqual([last.of.sha256, last.of.reference, last.of.format], now)
                            ? { digest: last.digest, reference: last.reference, sizeBytes: last.sizeBytes }
                            : undefined,
                    ),
            },
            { parent: this },
        );
        // A resource of its own, which nothing depends on: a tag that must go first takes no running pod with it.
        const tag = args.deleteTag
            ? stepResource(
                  `${name}-tag`,
                  {
                      create: "claimTag",
                      delete: "deleteTag",
                      input: { digest: push.output.digest, ...access },
                      triggers: [access.reference],
                  },
                  { parent: this },
              )
            : undefined;
        return { build: build?.command, push, tag: tag?.command };
    }
}

/** `registry/repository:tag` */
function taggedReference({ registry, repository, tag }: WasmArtifactArgs): pulumi.Output<string> {
    return pulumi.interpolate`${registry}/${repository}:${tag ?? "latest"}`;
}
