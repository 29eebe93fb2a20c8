// What is built with Go, from which module at which version. All are pinned in the one go.mod here, with its go.sum: of what they
// have in common there is one version, which is compiled once.
import { existsSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { cached, cacheKey, sha256File } from "../../common/cache";
import { ROOT } from "../../common/root";
import {
    COREDNS_VERSION,
    DISTRIBUTION_VERSION,
    ETCD_VERSION,
    KIND_VERSION,
    KUBERNETES_VERSION,
    PLUGINS,
    PULUMI_VERSION,
} from "../../common/versions";
import { building, type Build, type MakeContext } from "../../common/building";
import { goBuild, goBuildArguments, GO_ENVIRONMENT, type GoBuild } from "../../common/go";
import { KUBERNETES_PROVIDER, kubernetesProvider } from "./kubernetesProvider";

/** One entry of the cache: one or several programs from one module. */
export interface Recipe {
    /** Name in the cache, in log files and in progress. */
    name: string;
    version: string;
    build: GoBuild;
    /** Program as `go build` names it → as it is called, where these differ. */
    rename?: Readonly<Record<string, string>>;
    /** What is done before the build, in a folder of its own, and the file that says so. */
    prepare?: {
        by: string;
        make(build: Build, what: GoBuild, workDir: string): Promise<GoBuild>;
    };
}

/** Folder of the go.mod that they are built from. */
export const GO_MODULE = path.join(ROOT, "airgap", "go");

/** A build from it. Its tag is one that Kubernetes' own build has: without it gRPC's tracing keeps the linker from leaving out unused methods. */
function pinned(
    packages: readonly string[],
    variables: Readonly<Record<string, string>> = {},
    tags: readonly string[] = [],
): GoBuild {
    return { moduleDir: GO_MODULE, packages, variables, tags: ["grpcnotrace", ...tags] };
}

/** The version that Kubernetes programs report, as its own build sets it. */
function kubernetesVariables(): Record<string, string> {
    const [major = "", minor = ""] = KUBERNETES_VERSION.slice(1).split(".");
    const info = "k8s.io/component-base/version";
    return {
        [`${info}.gitVersion`]: KUBERNETES_VERSION,
        [`${info}.gitMajor`]: major,
        [`${info}.gitMinor`]: minor,
        [`${info}.gitTreeState`]: "clean",
    };
}

function kubernetes(name: string, programs: readonly string[]): Recipe {
    const packages = programs.map((program) => `k8s.io/kubernetes/cmd/${program}`);
    return { name, version: KUBERNETES_VERSION, build: pinned(packages, kubernetesVariables()) };
}

const DISTRIBUTION = "github.com/distribution/distribution/v3";

export const RECIPES = {
    pulumi: {
        name: "pulumi",
        version: PULUMI_VERSION,
        build: pinned(
            ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"],
            { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": PULUMI_VERSION },
            // Google's storage client without gRPC's service mesh, which serves only from within Google's cloud: 143 packages.
            ["disable_grpc_modules"],
        ),
    },
    "pulumi-resource-kubernetes": {
        name: "pulumi-resource-kubernetes",
        version: PLUGINS.kubernetes.version,
        build: pinned([`${KUBERNETES_PROVIDER}/cmd/pulumi-resource-kubernetes`], {
            [`${KUBERNETES_PROVIDER}/pkg/version.Version`]: PLUGINS.kubernetes.version.slice(1),
        }),
        prepare: { by: "kubernetesProvider.ts", make: kubernetesProvider },
    },
    "pulumi-resource-docker": {
        name: "pulumi-resource-docker",
        version: PLUGINS.docker.version,
        build: pinned(
            ["./pulumi-resource-docker"],
            { "main.version": PLUGINS.docker.version.slice(1) },
            // Its resources of Docker Compose, which we do not use, are 180 packages more.
            ["no_compose"],
        ),
    },
    kind: { name: "kind", version: KIND_VERSION, build: pinned(["sigs.k8s.io/kind"]) },
    kubectl: kubernetes("kubectl", ["kubectl"]),
    /** The programs of the node image; one build, for they share most of what they are compiled from. */
    kubernetes: kubernetes("kubernetes", [
        ...["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kube-proxy", "kubelet"],
        "kubeadm",
    ]),
    etcd: {
        name: "etcd",
        version: ETCD_VERSION,
        build: pinned(["go.etcd.io/etcd/server/v3"]),
        rename: { server: "etcd" },
    },
    /** Of a module of its own: as a part of the one here it would raise etcd's client above etcd. */
    coredns: {
        name: "coredns",
        version: COREDNS_VERSION,
        build: { ...pinned(["."]), moduleDir: path.join(ROOT, "airgap", "image", "coredns") },
    },
    registry: {
        name: "registry",
        version: DISTRIBUTION_VERSION,
        build: pinned(["./registry"], { [`${DISTRIBUTION}/version.version`]: DISTRIBUTION_VERSION }),
    },
    pause: {
        name: "pause",
        version: "1",
        build: { moduleDir: path.join(ROOT, "airgap", "image", "pause"), packages: ["."] },
    },
    /** The OCI runtime for hosts with restricted capabilities. */
    "oci-runtime": {
        name: "oci-runtime",
        version: "1",
        build: { moduleDir: path.join(ROOT, "airgap", "docker", "oci-runtime"), packages: ["."] },
    },
} as const satisfies Record<string, Recipe>;

export type RecipeName = keyof typeof RECIPES;

/** Files of a module folder that decide what is built: its pins, and the sources of those packages that lie in it. */
async function sources({ moduleDir, packages }: GoBuild): Promise<string[]> {
    const own = packages.filter((name) => name.startsWith("."));
    const folders = await Promise.all(
        own.map(async (dir) =>
            (await fs.readdir(path.join(moduleDir, dir)))
                .filter((name) => name.endsWith(".go") && !name.endsWith("_test.go"))
                .map((name) => path.join(dir, name)),
        ),
    );
    const pins = ["go.mod", "go.sum"].filter((name) => existsSync(path.join(moduleDir, name)));
    return [...pins, ...folders.flat()];
}

/** What the result depends on: version, flags, pinned modules, own sources. */
export async function recipeKey(recipe: Recipe): Promise<string> {
    const values = [recipe.version, process.platform, process.arch, ...goBuildArguments(recipe.build, "")];
    if (recipe.prepare) values.push(await sha256File(path.join(ROOT, "airgap", "go", recipe.prepare.by)));
    return cacheKey(
        [...values, JSON.stringify(GO_ENVIRONMENT)],
        recipe.build.moduleDir,
        await sources(recipe.build),
    );
}

/** Name of its entries in the cache. */
export const cacheName = (recipe: Recipe) => `built-${recipe.name}`;

async function goBuildPrepared(build: Build, recipe: Recipe, outDir: string): Promise<void> {
    if (!recipe.prepare) return goBuild(build, recipe.build, outDir);
    const workDir = await fs.mkdtemp(path.join(os.tmpdir(), `krustlet-stack-${recipe.name}-`));
    try {
        await goBuild(build, await recipe.prepare.make(build, recipe.build, workDir), outDir);
    } finally {
        await fs.rm(workDir, { recursive: true, force: true });
    }
}

/** Folder with the programs, from the cache or built now. */
export async function built(name: RecipeName, ctx: MakeContext): Promise<string> {
    const recipe: Recipe = RECIPES[name];
    return cached(cacheName(recipe), await recipeKey(recipe), (outDir) =>
        building(
            ctx,
            `build-${name}`,
            `${name} ${recipe.version}, built from its Go module`,
            async (build) => {
                await goBuildPrepared(build, recipe, outDir);
                for (const [from, to] of Object.entries(recipe.rename ?? {})) {
                    await fs.rename(path.join(outDir, from), path.join(outDir, to));
                }
            },
        ),
    );
}
