// The language host's decisions: options, packages, and the runner's command line.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs";
import * as os from "node:os";
import * as path from "node:path";
import { after, describe, it } from "node:test";
import { versionOf } from "../language-host/host";
import { parseOptions, splitWords } from "../language-host/options";
import {
    pluginOf,
    programDependencies,
    requiredPackages,
    resolvePackageManager,
} from "../language-host/packages";
import * as run from "../language-host/run";

const folder = fs.mkdtempSync(path.join(os.tmpdir(), "language-host-"));
after(() => fs.rmSync(folder, { recursive: true }));

function write(file: string, content: unknown): void {
    const target = path.join(folder, file);
    fs.mkdirSync(path.dirname(target), { recursive: true });
    fs.writeFileSync(target, typeof content === "string" ? content : JSON.stringify(content));
}

void describe("runtime options", () => {
    it("default to TypeScript by ts-node, and npm", () => {
        assert.deepEqual(parseOptions({}), {
            typescript: true,
            tsconfig: undefined,
            nodeargs: [],
            packagemanager: "auto",
        });
    });

    it("are taken as they are", () => {
        assert.deepEqual(
            parseOptions({
                typescript: false,
                nodeargs: "--import tsx",
                tsconfig: "a.json",
                packagemanager: "pnpm",
            }),
            { typescript: false, tsconfig: "a.json", nodeargs: ["--import", "tsx"], packagemanager: "pnpm" },
        );
    });

    it("of a wrong type are refused", () => {
        assert.throws(() => parseOptions({ typescript: "yes" }), {
            message: "typescript option must be a boolean",
        });
        assert.throws(() => parseOptions({ nodeargs: ["a"] }), {
            message: "nodeargs option must be a string",
        });
        assert.throws(() => parseOptions({ packagemanager: "cargo" }), {
            message: 'packagemanager option must be one of auto, npm, yarn, pnpm, bun, got "cargo"',
        });
    });

    it("split node's arguments as a shell would", () => {
        assert.deepEqual(splitWords(` --a="b c"  'd "e"' f\\ g "" # comment`), [
            "--a=b c",
            'd "e"',
            "f g",
            "",
        ]);
        assert.throws(() => splitWords("'open"), { message: "nodeargs option has an unclosed '" });
        assert.throws(() => splitWords("a\\"), { message: "nodeargs option ends in a backslash" });
    });
});

void describe("required packages", () => {
    it("are the plugins of the packages in node_modules, nested ones too, each once", () => {
        const sdk = (name: string, version: string, extra: object = {}) => ({
            name: `@pulumi/${name}`,
            version,
            pulumi: { resource: true, name, ...extra },
        });
        write("app/node_modules/@pulumi/command/package.json", sdk("command", "1.2.1"));
        write(
            "app/node_modules/@pulumi/kubernetes/package.json",
            sdk("kubernetes", "4.34.2", { server: "https://example.org" }),
        );
        write("app/node_modules/other/package.json", { name: "other", version: "1.0.0" });
        write("app/node_modules/other/node_modules/@pulumi/command/package.json", sdk("command", "1.2.1"));
        write("app/node_modules/other/node_modules/@pulumi/docker/package.json", sdk("docker", "v5.0.0"));
        write("app/node_modules/broken/package.json", "{");
        const found = requiredPackages(path.join(folder, "app"));
        assert.deepEqual(
            found.map(({ name, version, server }) => [name, version, server]),
            [
                ["command", "v1.2.1", ""],
                ["docker", "v5.0.0", ""],
                ["kubernetes", "v4.34.2", "https://example.org"],
            ],
        );
    });

    it("are none without node_modules", () => {
        assert.deepEqual(requiredPackages(path.join(folder, "nowhere")), []);
    });

    it("take a plugin's name from the package's only in Pulumi's own scope", () => {
        assert.equal(
            pluginOf({ name: "@pulumi/aws", version: "1.0.0", pulumi: { resource: true } })?.name,
            "aws",
        );
        assert.equal(pluginOf({ name: "third", version: "1.0.0", pulumi: { resource: true } }), undefined);
        assert.equal(pluginOf({ name: "@pulumi/pulumi", version: "3.0.0" }), undefined);
    });
});

void describe("a program's dependencies", () => {
    it("come from the lock file: direct ones, or all", () => {
        write("dep/package.json", { dependencies: { a: "^1" }, devDependencies: { b: "^2" } });
        write("dep/package-lock.json", {
            packages: {
                "": { version: "0.1.0" },
                "node_modules/a": { version: "1.1.0" },
                "node_modules/b": { version: "2.2.0" },
                "node_modules/b/node_modules/a": { version: "0.9.0" },
                "node_modules/c": { version: "3.3.0" },
            },
        });
        const directory = path.join(folder, "dep");
        assert.deepEqual(programDependencies(directory, false), [
            { name: "a", version: "1.1.0" },
            { name: "b", version: "2.2.0" },
        ]);
        assert.equal(programDependencies(directory, true).length, 4);
    });

    it("need a lock file", () => {
        const directory = path.join(folder, "unlocked");
        assert.throws(() => programDependencies(directory, false), /no package-lock\.json found/);
    });

    it("are installed by the package manager whose lock file is there", () => {
        write("yarn/yarn.lock", "");
        write("pnpm/pnpm-lock.yaml", "");
        assert.equal(resolvePackageManager("auto", path.join(folder, "yarn")), "yarn");
        assert.equal(resolvePackageManager("auto", path.join(folder, "pnpm")), "pnpm");
        assert.equal(resolvePackageManager("auto", path.join(folder, "dep")), "npm");
        assert.equal(resolvePackageManager("bun", path.join(folder, "yarn")), "bun");
    });

    it("says the version of the package manager that there is, and nothing of one that there is not", async () => {
        const version = execFileSync("npm", ["--version"], { encoding: "utf8" });
        assert.equal(await versionOf("npm"), version.trim());
        assert.equal(await versionOf("no-such-manager"), "");
    });
});

const request: run.RunRequest = {
    engineAddress: "127.0.0.1:1",
    monitorAddress: "127.0.0.1:2",
    organization: "organization",
    project: "p",
    stack: "dev",
    rootDirectory: "/root-dir",
    programDirectory: "/program",
    entryPoint: ".",
    dryRun: true,
    parallel: 4,
    args: ["extra"],
    config: new Map([["p:name", "value"]]),
    configSecretKeys: ["p:token"],
    options: {},
    attachDebugger: false,
};

void describe("the runner", () => {
    it("gets the engine, the stack and the entry point as arguments", () => {
        assert.deepEqual(
            run.runnerArguments("/run.js", request).join(" "),
            "/run.js --monitor 127.0.0.1:2 --engine 127.0.0.1:1 --organization organization --project p " +
                "--root-directory /root-dir --stack dev --pwd /program --dry-run --parallel 4 . extra",
        );
    });

    it("gets configuration and TypeScript in its environment", () => {
        assert.deepEqual(run.runnerEnvironment(request, parseOptions({ tsconfig: "t.json" })), {
            PULUMI_CONFIG: '{"p:config:name":"value"}',
            PULUMI_CONFIG_SECRET_KEYS: '["p:token"]',
            PULUMI_NODEJS_TYPESCRIPT: "true",
            PULUMI_NODEJS_TSCONFIG_PATH: "t.json",
        });
        assert.equal(
            "PULUMI_NODEJS_TYPESCRIPT" in run.runnerEnvironment(request, parseOptions({ typescript: false })),
            false,
        );
    });

    it("is that of the program's own SDK, and its absence is told", () => {
        assert.match(
            run.locateRunner("@pulumi/pulumi/cmd/run", __dirname, "pulumi install"),
            /cmd\/run\/index\.js$/,
        );
        assert.throws(() => run.locateRunner("@pulumi/pulumi/cmd/run", "/", "pulumi install"), {
            message: "It looks like the Pulumi SDK has not been installed. Have you run pulumi install?",
        });
    });

    it("ends well, quietly failed, or with a message", () => {
        const end = { signal: null, outOfMemory: false };
        assert.deepEqual(run.resultOf({ ...end, code: 0 }), { error: "", bail: false });
        assert.deepEqual(run.resultOf({ ...end, code: 32 }), { error: "", bail: true });
        assert.deepEqual(run.resultOf({ ...end, code: 7 }), {
            error: "Program exited with non-zero exit code: 7",
            bail: false,
        });
        assert.match(run.resultOf({ ...end, code: 134, outOfMemory: true }).error, /--max-old-space-size/);
        assert.equal(
            run.resultOf({ code: null, signal: "SIGKILL", outOfMemory: false }).error,
            "Program was ended by signal SIGKILL",
        );
    });
});
