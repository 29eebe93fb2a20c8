import * as pulumi from "@pulumi/pulumi";
import * as rules from "../rules";
import { stepInvoke, stepResource } from "../step";
import { checkArgs, required, text, type Problem } from "../validation";

export interface WasmArtifactArgs {
    /** A WebAssembly file. Exactly one of `file` and `source` is given. Example: `target/hello.wasm`. */
    file?: pulumi.Input<string>;
    /**
     * Folder of a cargo project with one binary, which is built when its sources change: for wasm32-wasip1, or for wasm32-wasip2
     * where the project's `.cargo/config.toml` says `build.target = "wasm32-wasip2"`. Example: `workloads/hello-world`.
     */
    source?: pulumi.Input<string>;
    /** Registry (host or host:port) that the module is pushed to. Required. Example: `localhost:5001`. */
    registry: pulumi.Input<string>;
    /** Repository in that registry. Required. Example: `demo/hello-wasm`. */
    repository: pulumi.Input<string>;
    /** Tag that is set in the repository. Workloads run by digest, so it is for people. Default: `latest`. */
    tag?: pulumi.Input<string>;
    /** Registries (host:port) that are spoken to over plain HTTP. Default: none. Example: `["localhost:5001"]`. */
    insecureRegistries?: pulumi.Input<pulumi.Input<string>[]>;
    /**
     * Changes when the registry has lost what it held, so that the module is pushed again: `LocalRegistry.instance`. Default:
     * none; the registry keeps its data.
     */
    registryInstance?: pulumi.Input<string>;
}

/** What is wrong with a module's origin: exactly one of `choices` must be given. */
export function originProblems(args: object, choices: readonly string[], path = ""): Problem[] {
    const given = choices.filter((choice) => (args as Record<string, unknown>)[choice] !== undefined);
    if (given.length === 1) return [];
    const names = choices.map((choice) => `"${choice}"`).join(", ");
    const found = given.length === 0 ? "none is" : `${given.map((one) => `"${one}"`).join(" and ")} are`;
    return [{ path, message: `exactly one of ${names} says where the module comes from; ${found} given` }];
}

/**
 * A WebAssembly module in an OCI registry: built (from `source`), pushed, and known by its digest. The same bytes have the
 * same digest, so nothing that runs them changes.
 */
export class WasmArtifact extends pulumi.ComponentResource {
    /** `registry/repository@sha256:…`: what workloads run. */
    readonly reference: pulumi.Output<string>;
    /** Digest of the artifact's manifest: `sha256:…`. */
    readonly digest: pulumi.Output<string>;
    /** Size of the module in bytes. */
    readonly sizeBytes: pulumi.Output<number>;

    constructor(name: string, args: WasmArtifactArgs, opts?: pulumi.ComponentResourceOptions) {
        super("krustlet-stack:index:WasmArtifact", name, {}, opts);
        const checked = checkArgs(
            "WasmArtifact",
            name,
            args,
            {
                file: text,
                source: text,
                registry: required(rules.registryWithPath, '"localhost:5001"'),
                repository: required(rules.repository, '"demo/hello-wasm"'),
                tag: rules.tag,
                insecureRegistries: rules.registries,
                registryInstance: text,
            },
            originProblems(args, ["file", "source"]),
        );

        const module = this.module(name, checked);
        const push = stepResource(
            `${name}-push`,
            {
                create: "pushArtifact",
                input: {
                    file: module.file,
                    sha256: module.sha256,
                    reference: pulumi.interpolate`${checked.registry}/${checked.repository}:${checked.tag ?? "latest"}`,
                    insecureRegistries: pulumi.output(checked.insecureRegistries ?? []),
                },
                triggers: checked.registryInstance === undefined ? undefined : [checked.registryInstance],
            },
            { parent: this },
        );
        this.reference = push.output.reference;
        this.digest = push.output.digest;
        this.sizeBytes = push.output.sizeBytes;

        this.registerOutputs({ reference: this.reference, digest: this.digest, sizeBytes: this.sizeBytes });
    }

    /** The module's file and its SHA-256; looked at in every preview, so that a change of the bytes or sources is seen. */
    private module(name: string, args: WasmArtifactArgs) {
        const { file, source } = args;
        const { sha256 } = stepInvoke("describeModule", { file, source }, { parent: this });
        if (source === undefined) return { file: file as pulumi.Input<string>, sha256 };
        return stepResource(
            `${name}-build`,
            { create: "buildModule", input: { source }, triggers: [sha256] },
            { parent: this },
        ).output;
    }
}
