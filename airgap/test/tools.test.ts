import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { describe, it } from "node:test";
import {
    COREDNS_VERSION,
    DISTRIBUTION_VERSION,
    ETCD_VERSION,
    KIND_VERSION,
    KUBERNETES_VERSION,
    PULUMI_VERSION,
} from "../../common/versions";
import { goBuildArguments, goFault, GO_NEEDED } from "../../common/go";
import { embeddedSchema, withCurrentManagedFields, withoutComponents } from "../go/kubernetesProvider";
import { GO_MODULE, RECIPES, recipeKey, type Recipe } from "../go/recipes";

const recipes: Recipe[] = Object.values(RECIPES);

describe("go build", () => {
    it("gets one list of arguments", () => {
        const build = {
            moduleDir: "/m",
            packages: ["a/b", "a/c"],
            variables: { "x.v": "v1", "x.w": "2" },
            tags: ["s", "t"],
        };
        assert.deepEqual(goBuildArguments(build, "out/"), [
            ...["build", "-v", "-mod=readonly", "-trimpath", "-buildvcs=false", "-pgo=off", "-tags=s,t"],
            ...["-ldflags=-s -w -X x.v=v1 -X x.w=2", "-o", "out/", "a/b", "a/c"],
        ]);
        assert.deepEqual(goBuildArguments({ moduleDir: "/m", packages: ["."] }, "o").slice(6), [
            "-ldflags=-s -w",
            "-o",
            "o",
            ".",
        ]);
    });

    it("needs a fitting Go", () => {
        assert.equal(goFault(`go${GO_NEEDED}\nlocal\n`), undefined);
        assert.equal(goFault("go1.30\nauto\n"), undefined);
        assert.equal(goFault("go1.21.3\nauto\n"), undefined, "gets a newer toolchain by itself");
        assert.match(
            goFault("go1.25.9\nlocal\n") ?? "",
            /^Go on PATH is go1\.25\.9: install Go 1\.26\.0 or newer/,
        );
        assert.match(goFault("go1.20.1\n") ?? "", /^Go on PATH is go1\.20\.1: /);
        assert.match(goFault(undefined) ?? "", /^Go is not on PATH: install Go/);
    });
});

describe("the Go module", () => {
    const required = async (folder = GO_MODULE) => {
        const text = await fs.readFile(path.join(folder, "go.mod"), "utf8");
        return new Map(
            [...text.matchAll(/^\t?(?:require )?(\S+) (v\S+)/gm)].map((match) => [match[1], match[2]]),
        );
    };

    it("pins the versions of common/versions.ts", async () => {
        const pinned: [string, string][] = [
            ["github.com/pulumi/pulumi/pkg/v3", PULUMI_VERSION],
            ["sigs.k8s.io/kind", KIND_VERSION],
            ["k8s.io/kubernetes", KUBERNETES_VERSION],
            ["go.etcd.io/etcd/server/v3", ETCD_VERSION],
            ["github.com/distribution/distribution/v3", DISTRIBUTION_VERSION],
        ];
        const found = await required();
        for (const [name, version] of pinned) assert.equal(found.get(name), version, name);
        const own = await required(RECIPES.coredns.build.moduleDir);
        assert.equal(own.get("github.com/coredns/coredns"), COREDNS_VERSION);
    });

    it("is one for all other programs, so that what they have in common is compiled once", () => {
        const from = recipes.filter(({ build }) => build.packages[0] !== ".");
        assert.equal(from.length, 8);
        for (const { name, build } of from) {
            assert.equal(build.moduleDir, GO_MODULE, name);
            assert.equal(build.tags?.[0], "grpcnotrace", name);
        }
    });

    it("replaces every staging module of Kubernetes by its release", async () => {
        const text = await fs.readFile(path.join(GO_MODULE, "go.mod"), "utf8");
        const replaced = [...text.matchAll(/^\t?(?:replace )?(k8s\.io\/\S+) => (\S+) (\S+)$/gm)];
        assert.equal(replaced.length, 33);
        for (const [, from, to, version] of replaced) {
            assert.equal(to, from);
            assert.equal(version, KUBERNETES_VERSION.replace(/^v1/, "v0"));
        }
    });

    it("needs the Go that is asked for", async () => {
        for (const { name, build } of recipes) {
            const text = await fs.readFile(path.join(build.moduleDir, "go.mod"), "utf8");
            assert.equal(/^go (\S+)$/m.exec(text)?.[1], GO_NEEDED, name);
        }
    });
});

describe("the key of a build", () => {
    it("is the same for the same recipe, and changes with version and flags", async () => {
        const recipe: Recipe = RECIPES.kubectl;
        const key = await recipeKey(recipe);
        assert.match(key, /^[0-9a-f]{16}$/);
        assert.equal(await recipeKey({ ...recipe, name: "other" }), key);
        assert.notEqual(await recipeKey({ ...recipe, version: "v0.0.0" }), key);
        assert.notEqual(await recipeKey({ ...recipe, build: { ...recipe.build, tags: [] } }), key);
        assert.notEqual(
            await recipeKey({
                ...recipe,
                build: { ...recipe.build, moduleDir: RECIPES.pause.build.moduleDir },
            }),
            key,
        );
    });

    it("differs from recipe to recipe", async () => {
        const keys = await Promise.all(recipes.map(recipeKey));
        assert.equal(new Set(keys).size, recipes.length);
    });
});

describe("the plugin kubernetes", () => {
    const source = [
        "import (",
        '\t"fmt"',
        '\tproviderhelmv4 "example.org/helm/v4"',
        '\tproviderkustomizev2 "example.org/kustomize/v2"',
        '\tprovideryamlv2 "example.org/yaml/v2"',
        ")",
        "var resourceProviders = map[string]Factory{",
        '\t"kubernetes:yaml/v2:ConfigFile":     provideryamlv2.NewConfigFileProvider,',
        '\t"kubernetes:yaml/v2:ConfigGroup":    provideryamlv2.NewConfigGroupProvider,',
        '\t"kubernetes:helm.sh/v4:Chart":       providerhelmv4.NewChartProvider,',
        '\t"kubernetes:kustomize/v2:Directory": providerkustomizev2.NewDirectoryProvider,',
        "}",
        "",
    ].join("\n");

    it("is built without its components", () => {
        assert.equal(
            withoutComponents(source),
            'import (\n\t"fmt"\n)\nvar resourceProviders = map[string]Factory{\n}\n',
        );
    });

    it("is not built from a source whose components are others", () => {
        const other = source.replace("provideryamlv2.NewConfigFileProvider", "other.New");
        assert.throws(() => withoutComponents(other), /4 by 3 are known/);
    });

    it("is built with the types of managed fields that its Kubernetes modules have", () => {
        const file = (version: string) => `import "sigs.k8s.io/structured-merge-diff/${version}/fieldpath"\n`;
        assert.equal(withCurrentManagedFields(file("v4")), file("v6"));
        assert.throws(() => withCurrentManagedFields(file("v5")), /does not import .*v4/);
    });

    it("tells its version", () => {
        assert.equal(embeddedSchema('{ "name": "kubernetes" }'), '{"name":"kubernetes","version":"4.25.0"}');
    });
});
