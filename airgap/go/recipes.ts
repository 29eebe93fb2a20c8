// What is built with Go, from which module at which version. The modules are pinned in the go.mod and go.sum of go/<module>.
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { cached, cacheKey } from "../../common/cache";
import { ROOT } from "../../common/root";
import {
    DISTRIBUTION_VERSION,
    ETCD_VERSION,
    KIND_VERSION,
    KUBERNETES_VERSION,
    PULUMI_VERSION,
} from "../../common/versions";
import { building, type MakeContext } from "../../common/building";
import { goBuild, goBuildArguments, GO_ENVIRONMENT, type GoBuild } from "../../common/go";

/** One entry of the cache: one or several programs from one module. */
export interface Recipe {
    /** Name in the cache, in log files and in progress. */
    name: string;
    version: string;
    build: GoBuild;
    /** Program as `go build` names it → as it is called, where these differ. */
    rename?: Readonly<Record<string, string>>;
}

const moduleDir = (name: string) => path.join(ROOT, "airgap", "go", name);

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
    return {
        name,
        version: KUBERNETES_VERSION,
        build: {
            moduleDir: moduleDir("kubernetes"),
            packages: programs.map((program) => `k8s.io/kubernetes/cmd/${program}`),
            variables: kubernetesVariables(),
            // As upstream's own build does: without it gRPC's tracing keeps the linker from leaving out unused methods.
            tags: ["grpcnotrace"],
        },
    };
}

export const RECIPES = {
    pulumi: {
        name: "pulumi",
        version: PULUMI_VERSION,
        build: {
            moduleDir: moduleDir("pulumi"),
            packages: ["github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"],
            variables: { "github.com/pulumi/pulumi/sdk/v3/go/common/version.Version": PULUMI_VERSION },
        },
    },
    kind: {
        name: "kind",
        version: KIND_VERSION,
        build: { moduleDir: moduleDir("kind"), packages: ["sigs.k8s.io/kind"] },
    },
    kubectl: kubernetes("kubectl", ["kubectl"]),
    /** The programs of the node image; one build, for they share most of what they are compiled from. */
    kubernetes: kubernetes("kubernetes", [
        ...["kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubelet", "kubeadm"],
    ]),
    etcd: {
        name: "etcd",
        version: ETCD_VERSION,
        build: {
            moduleDir: moduleDir("etcd"),
            packages: ["go.etcd.io/etcd/server/v3"],
            tags: ["grpcnotrace"],
        },
        rename: { server: "etcd" },
    },
    registry: {
        name: "registry",
        version: DISTRIBUTION_VERSION,
        build: {
            moduleDir: moduleDir("registry"),
            packages: ["github.com/distribution/distribution/v3/cmd/registry"],
            variables: { "github.com/distribution/distribution/v3/version.version": DISTRIBUTION_VERSION },
        },
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

/** Files of a module folder that decide what is built from it. */
async function sources(dir: string): Promise<string[]> {
    const names = await fs.readdir(dir);
    return names.filter((name) => /^go\.(mod|sum)$|\.go$/.test(name) && !name.endsWith("_test.go"));
}

/** What the result depends on: version, flags, pinned modules, own sources. */
export async function recipeKey(recipe: Recipe): Promise<string> {
    const values = [recipe.version, process.platform, process.arch, ...goBuildArguments(recipe.build, "")];
    return cacheKey(
        [...values, JSON.stringify(GO_ENVIRONMENT)],
        recipe.build.moduleDir,
        await sources(recipe.build.moduleDir),
    );
}

/** Name of its entries in the cache. */
export const cacheName = (recipe: Recipe) => `built-${recipe.name}`;

/** Folder with the programs, from the cache or built now. */
export async function built(name: RecipeName, ctx: MakeContext): Promise<string> {
    const recipe: Recipe = RECIPES[name];
    return cached(cacheName(recipe), await recipeKey(recipe), (outDir) =>
        building(
            ctx,
            `build-${name}`,
            `${name} ${recipe.version}, built from its Go module`,
            async (build) => {
                await goBuild(build, recipe.build, outDir);
                for (const [from, to] of Object.entries(recipe.rename ?? {})) {
                    await fs.rename(path.join(outDir, from), path.join(outDir, to));
                }
            },
        ),
    );
}
