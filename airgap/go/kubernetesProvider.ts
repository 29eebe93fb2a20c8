// Pulumi's plugin `kubernetes`, built from a copy of its own module.
import { copyFile, mkdir, readFile, writeFile } from "node:fs/promises";
import * as path from "node:path";
import type { Build } from "../../common/building";
import { GO_ENVIRONMENT, type GoBuild } from "../../common/go";
import { PLUGINS } from "../../common/versions";

export const KUBERNETES_PROVIDER = "github.com/pulumi/pulumi-kubernetes/provider/v4";

/** Components that the plugin can serve: the imports that they need, and their entries in its table. */
const COMPONENT_IMPORT = /^\tprovider(?:helmv4|kustomizev2|yamlv2) ".*"\n/gm;
const COMPONENT_ENTRY = /^\t"kubernetes:[^"]+":\s+provider\w+\.New\w+,\n/gm;

/**
 * The Go file that lists the plugin's components (Helm charts, Kustomize folders, YAML files), without them. They alone need Pulumi's
 * Go SDK of Kubernetes, one package of which takes 1.7 GB and minutes to compile. Throws when the file is another one than is known.
 */
export function withoutComponents(source: string): string {
    const found = [COMPONENT_IMPORT, COMPONENT_ENTRY].map((each) => [...source.matchAll(each)].length);
    if (found[0] !== 3 || found[1] !== 4)
        throw new Error(`the provider has ${found[1]} components by ${found[0]} imports; 4 by 3 are known`);
    return source.replace(COMPONENT_IMPORT, "").replace(COMPONENT_ENTRY, "");
}

/** Where the types of managed fields come from: in the Kubernetes modules of the release, and in those of the go.mod here. */
const MANAGED_FIELDS = [
    "sigs.k8s.io/structured-merge-diff/v4/",
    "sigs.k8s.io/structured-merge-diff/v6/",
] as const;

/**
 * The Go file that compares managed fields, for the Kubernetes modules that all programs here share. Throws when it imports no such
 * types: it is another file than is known.
 */
export function withCurrentManagedFields(source: string): string {
    const moved = source.replaceAll(...MANAGED_FIELDS);
    if (moved === source) throw new Error(`the provider does not import ${MANAGED_FIELDS[0]}`);
    return moved;
}

/** The schema that the plugin tells: with its version, which the module's own build puts in. */
export function embeddedSchema(schema: string): string {
    return JSON.stringify({
        ...(JSON.parse(schema) as object),
        version: PLUGINS.kubernetes.version.slice(1),
    });
}

const edit = async (file: string, change: (source: string) => string) =>
    writeFile(file, change(await readFile(file, "utf8")));

/**
 * Does in a copy of the module what its own build does (schema and mapping that are embedded), leaves out its components, and has
 * it compile with the Kubernetes modules of the go.mod here. The module comes from Go's cache, verified by go.sum. Gives the build
 * with a go.mod of its own, which points to the copy.
 */
export async function kubernetesProvider(build: Build, what: GoBuild, workDir: string): Promise<GoBuild> {
    const options = { cwd: what.moduleDir, env: GO_ENVIRONMENT };
    await build.run(["go", "mod", "download", KUBERNETES_PROVIDER], options);
    const listed = await build.run(
        ["go", "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", KUBERNETES_PROVIDER],
        options,
    );
    const copy = path.join(workDir, "provider");
    await mkdir(copy);
    // Files in Go's cache are read-only.
    await build.run(["cp", "-R", "--no-preserve=mode", `${listed.stdout.trim()}/.`, copy]);

    await edit(path.join(copy, "pkg", "provider", "provider_construct.go"), withoutComponents);
    await edit(path.join(copy, "pkg", "await", "await.go"), withCurrentManagedFields);
    const main = path.join(copy, "cmd", "pulumi-resource-kubernetes");
    await writeFile(
        path.join(main, "schema-embed.json"),
        embeddedSchema(await readFile(path.join(main, "schema.json"), "utf8")),
    );
    await copyFile(
        path.join(main, "terraform-mapping.json"),
        path.join(main, "terraform-mapping-embed.json"),
    );

    const modFile = path.join(workDir, "go.mod");
    for (const name of ["go.mod", "go.sum"])
        await copyFile(path.join(what.moduleDir, name), path.join(workDir, name));
    await build.run(["go", "mod", "edit", `-replace=${KUBERNETES_PROVIDER}=${copy}`, modFile], options);
    return { ...what, modFile };
}
