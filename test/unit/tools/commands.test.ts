import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { cargoProgress } from "../../../tools/sources/agent";
import { ROOT } from "../../../common/root";
import { readOptions } from "../../../tools/cli";
import { environmentNotice, toolEnv } from "../../../tools/toolchain/environment";
import { homeOf, stackFiles } from "../../../tools/stack/home";
import { cached, isCached } from "../../../common/cache";
import { prependPath } from "../../../common/find";
import type { Reporter } from "../../../common/report";
import { exportLines, pathLine, shellQuote } from "../../../tools/lib/shell";
import { table } from "../../../tools/lib/table";
import { logArgs, outputsIn, readOutputs } from "../../../tools/stack/outputs";
import { installPlugin } from "../../../tools/sources/plugins";
import { clearStaleLocks, judgeLock } from "../../../tools/stack/pulumi";
import { PLUGINS } from "../../../common/versions";

let dir: string;
beforeEach(async () => {
    dir = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-test-"));
});
afterEach(() => fs.rm(dir, { recursive: true, force: true }));

describe("command line", () => {
    it("works on the stack dev of this project unless told otherwise", () => {
        assert.deepEqual(readOptions([]), { stack: "dev", cwd: ROOT, toolsOnly: false });
        assert.deepEqual(readOptions(["--stack", "ci", "--cwd", "/srv/demo"]), {
            stack: "ci",
            cwd: "/srv/demo",
            toolsOnly: false,
        });
        assert.equal(readOptions(["--tools-only"], ["toolsOnly"]).toolsOnly, true);
    });
    it("refuses what it does not know, and says what it does", () => {
        assert.throws(() => readOptions(["--stak", "x"]), /--stak.*Accepted: --stack NAME, --cwd FOLDER/);
        assert.throws(() => readOptions(["dev"]), /dev.*Accepted/);
        assert.throws(() => readOptions(["--tools-only"]), /--tools-only is for up/);
        assert.throws(() => readOptions(["--stack", "../x"]), /cannot be the name of a stack/);
    });
});

describe("npm run env", () => {
    it("prints what a shell reads back as it was", () => {
        const env = {
            A: "plain",
            B: "with space",
            C: 'it\'s "$HOME" `x` \\ \n end',
            D: "",
            PATH: `/a b:${process.env.PATH}`,
        };
        const script = `${exportLines({ ...env, GONE: undefined })} env -0`;
        const printed = execFileSync("sh", ["-c", script], {
            encoding: "utf8",
            env: { PATH: process.env.PATH, GONE: "here" },
        });
        const seen = Object.fromEntries(
            printed
                .split("\0")
                .map((entry) => [entry.slice(0, entry.indexOf("=")), entry.slice(entry.indexOf("=") + 1)]),
        );
        for (const [name, value] of Object.entries(env)) assert.equal(seen[name], value, name);
        assert.equal("GONE" in seen, false);
    });
    it("puts folders before the PATH of the shell that reads it", () => {
        const script = `${pathLine(["/with space", "/b"])} echo "$PATH"`;
        const printed = (PATH: string) =>
            execFileSync("/bin/sh", ["-c", script], { encoding: "utf8", env: { PATH } });
        assert.equal(printed("/usr/bin:/bin"), "/with space:/b:/usr/bin:/bin\n");
        assert.equal(printed(""), "/with space:/b\n");
        assert.equal(pathLine([]), "");
    });
    it("quotes only what needs it", () => {
        assert.equal(shellQuote("file:///a/b"), "file:///a/b");
        assert.equal(shellQuote("it's"), `'it'\\''s'`);
    });
    it("puts the tools before PATH, once, and not those that PATH has", () => {
        const env = toolEnv(
            homeOf({ KRUSTLET_STACK_HOME: "/home/x" }),
            {
                pulumi: { name: "pulumi", from: "airgap", dir: "/cache/pulumi" },
                kind: { name: "kind", from: "path", dir: "/usr/bin" },
                kubectl: { name: "kubectl", from: "official", dir: "/cache/kubectl" },
            },
            "/cache/krustlet",
            { PATH: "/cache/pulumi:/usr/bin:/bin" },
        );
        assert.equal(env.PATH, "/cache/krustlet:/cache/pulumi:/cache/kubectl:/usr/bin:/bin");
        assert.equal(env.PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION, "true");
        assert.equal(prependPath(["/x", "/x"], "/y::/x"), "/x:/y");
    });
    it("tells that the shell's Pulumi is another one, and how to leave it", () => {
        const notice = environmentNotice(homeOf({ KRUSTLET_STACK_HOME: "/home/x" }));
        assert.match(notice, /^In this shell Pulumi now has the backend, home and passphrase of \/home\/x: /);
        assert.match(notice, /To leave it, close the shell.*\n$/);
    });
    it("has Node.js keep what it compiles in the cache, unless the user has it kept elsewhere", () => {
        const kept = (env: NodeJS.ProcessEnv) => toolEnv(homeOf({}), {}, undefined, env).NODE_COMPILE_CACHE;
        assert.equal(kept({ XDG_CACHE_HOME: "/cache" }), "/cache/krustlet-stack/node-compiled");
        assert.equal(kept({ XDG_CACHE_HOME: "/cache", NODE_COMPILE_CACHE: "/mine" }), "/mine");
    });
    it("leaves the engine free to fetch plugins where nothing is air-gapped", () => {
        const env = toolEnv(
            homeOf({}),
            { pulumi: { name: "pulumi", from: "path", dir: "/usr/bin" } },
            undefined,
            { PATH: "/usr/bin" },
        );
        assert.equal("PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION" in env, false);
        assert.equal(env.PATH, "/usr/bin");
    });
});

describe("plugins", () => {
    it("are linked where the engine looks, and linked anew when they moved", async () => {
        const home = path.join(dir, "pulumi");
        for (const place of ["one", "two"]) {
            await fs.mkdir(path.join(dir, place));
            await fs.writeFile(path.join(dir, place, "pulumi-resource-docker"), place, { mode: 0o755 });
            await installPlugin("docker", path.join(dir, place), home);
            await installPlugin("docker", path.join(dir, place), home);
            const folder = path.join(home, "plugins", `resource-docker-${PLUGINS.docker.version}`);
            assert.deepEqual(await fs.readdir(folder), ["pulumi-resource-docker"]);
            assert.equal(await fs.readFile(path.join(folder, "pulumi-resource-docker"), "utf8"), place);
            assert.equal((await fs.lstat(folder)).isDirectory(), true);
        }
    });
    it("are not linked to nothing", async () => {
        await assert.rejects(installPlugin("docker", path.join(dir, "none"), path.join(dir, "pulumi")), {
            code: "ENOENT",
        });
    });
});

describe("locks", () => {
    const lock = { file: "x", pid: 7, hostname: "here", username: "me", timestamp: "2026-01-01T00:00:00Z" };
    it("are stale only when their process is gone from this host", () => {
        assert.equal(
            judgeLock(lock, "here", () => false),
            "stale",
        );
        assert.equal(
            judgeLock(lock, "here", () => true),
            "held",
        );
        assert.equal(
            judgeLock(lock, "elsewhere", () => false),
            "held",
        );
    });

    const said: string[] = [];
    const report = { warn: (message: string) => said.push(message) } as unknown as Reporter;
    async function withLock(content: object) {
        const files = stackFiles(homeOf({ KRUSTLET_STACK_HOME: dir }), "demo", "dev", dir);
        await fs.mkdir(files.locks, { recursive: true });
        await fs.writeFile(path.join(files.locks, "1.json"), JSON.stringify(content));
        await fs.writeFile(path.join(files.locks, "1.json.attrs"), '{"md5":"lo83xqBSE+lc9r6BenCddw=="}');
        return files;
    }
    it("of a killed run are removed", async () => {
        const gone = Number(execFileSync("sh", ["-c", "echo $$"], { encoding: "utf8" }));
        const files = await withLock({ ...lock, pid: gone, hostname: os.hostname() });
        await clearStaleLocks(files, report);
        assert.deepEqual(await fs.readdir(files.locks), []);
        assert.match(
            said[0],
            /The last run on stack dev was killed \(process \d+ of me@.*\): its lock is removed/,
        );
        await clearStaleLocks(files, report);
    });
    it("of a run that was killed while it wrote are removed with what it had not written", async () => {
        const gone = Number(execFileSync("sh", ["-c", "echo $$"], { encoding: "utf8" }));
        const files = await withLock({ ...lock, pid: gone, hostname: os.hostname() });
        const folder = path.dirname(files.state);
        await fs.mkdir(folder, { recursive: true });
        await fs.writeFile(files.state, "{}");
        await fs.writeFile(`${files.state}.attrs`, "");
        await fs.writeFile(`${files.state}.bak.attrs`, "{}");
        await clearStaleLocks(files, report);
        assert.deepEqual((await fs.readdir(folder)).sort(), ["dev.json", "dev.json.bak.attrs"]);
        assert.match(said.at(-1) ?? "", /was killed while it wrote \S+dev\.json\.attrs: removed/);
    });
    it("of another host stop the run", async () => {
        const files = await withLock(lock);
        await assert.rejects(
            clearStaleLocks(files, report),
            /Another run is at work on stack dev \(process 7 of me@here.*pulumi cancel --stack dev/,
        );
        assert.deepEqual((await fs.readdir(files.locks)).sort(), ["1.json", "1.json.attrs"]);
    });
});

describe("outputs", () => {
    it("are read as the stack exports them", () => {
        const web = { kind: "Deployment", name: "web-1", url: "http://web.default.svc:80" };
        const outputs = readOutputs({
            kubeconfigFile: "/k",
            clusterName: "krustlet",
            nodeNames: ["krustlet"],
            registryAddress: "localhost:5001",
            artifacts: { hello: "localhost:5001/hello@sha256:1" },
            workloads: {
                hello: {
                    kind: "Pod",
                    name: "hello",
                    namespace: "default",
                    logsCommand: "kubectl logs hello",
                },
                web,
            },
        });
        assert.deepEqual(outputs, {
            kubeconfigFile: "/k",
            clusterName: "krustlet",
            nodeNames: ["krustlet"],
            registryAddress: "localhost:5001",
            workloads: [
                {
                    kind: "Pod",
                    name: "hello",
                    namespace: "default",
                    app: "hello",
                    artifact: "localhost:5001/hello@sha256:1",
                },
                { ...web, namespace: "default", app: "web", artifact: undefined },
            ],
        });
        assert.deepEqual(logArgs("/k", outputs.workloads[0], 5), [
            "--kubeconfig",
            "/k",
            "--namespace",
            "default",
            "logs",
            "pod/hello",
            "--tail=5",
        ]);
        const cron = { kind: "CronJob", name: "hello-1a2b3c4d", namespace: "apps", app: "hello" };
        assert.deepEqual(logArgs("/k", cron, 5).slice(2), [
            ...["--namespace", "apps", "logs", "--selector", "app=hello", "--prefix", "--tail=5"],
        ]);
        const target = logArgs("/k", { ...cron, kind: "DaemonSet" }, 5)[5];
        assert.equal(target, "daemonset/hello-1a2b3c4d");
    });
    it("are told without the engine, from the state, which says where some are encrypted", () => {
        const state = (resources: unknown) =>
            JSON.stringify({ version: 3, checkpoint: { latest: { resources } } });
        const stack = { type: "pulumi:pulumi:Stack", outputs: { kubeconfigFile: "/k" } };
        const none = { outputs: {}, secrets: false };
        assert.deepEqual(outputsIn(state([{ type: "x", outputs: { kubeconfigFile: "/x" } }, stack])), {
            outputs: { kubeconfigFile: "/k" },
            secrets: false,
        });
        assert.deepEqual(outputsIn(state([{ type: "pulumi:pulumi:Stack" }])), none);
        assert.deepEqual(outputsIn(state([])), none);
        assert.deepEqual(outputsIn(JSON.stringify({ version: 3, checkpoint: { latest: null } })), none);
        const secret = {
            "4dabf18193072939515e22adb298388d": "1b47061264138c4ac30d75fd1eb44270",
            ciphertext: "v1:…",
        };
        const workloads = { hello: { name: "hello", kind: "Pod", url: secret } };
        assert.equal(outputsIn(state([{ ...stack, outputs: { workloads } }])).secrets, true);
    });
    it("may be absent, or be another project's", () => {
        const nothing = {
            kubeconfigFile: undefined,
            clusterName: undefined,
            nodeNames: [],
            registryAddress: undefined,
            workloads: [],
        };
        assert.deepEqual(readOutputs({}), nothing);
        assert.deepEqual(
            readOutputs({ kubeconfigFile: 3, nodeNames: "x", workloads: { a: null, b: { name: "b" } } }),
            nothing,
        );
    });
});

describe("the cache", () => {
    const cacheHome = process.env.XDG_CACHE_HOME;
    beforeEach(() => {
        process.env.XDG_CACHE_HOME = dir;
    });
    afterEach(() => {
        if (cacheHome === undefined) delete process.env.XDG_CACHE_HOME;
        else process.env.XDG_CACHE_HOME = cacheHome;
    });
    const make = (content: string) =>
        cached("thing", "key", (into) => fs.writeFile(path.join(into, "file"), content));

    it("sees a changed file, also one of the same size and time", async () => {
        const entry = await make("good");
        const file = path.join(entry, "file");
        assert.equal(await isCached("thing", "key"), true);
        const { atime, mtime } = await fs.stat(file);
        await fs.writeFile(file, "evil");
        await fs.utimes(file, atime, mtime);
        assert.equal(await isCached("thing", "key"), false);
        await make("good");
        assert.equal(await fs.readFile(file, "utf8"), "good");
    });
    it("trusts an entry that was copied, after reading it once more", async () => {
        const entry = await make("good");
        await fs.cp(entry, `${entry}-copy`, { recursive: true });
        assert.equal(await isCached("thing", "key-copy"), true);
        await fs.writeFile(path.join(`${entry}-copy`, "file"), "evil");
        assert.equal(await isCached("thing", "key-copy"), false);
    });
    it("writes nothing when it is asked only to look", async () => {
        const entry = await make("good");
        const before = (await fs.readdir(entry)).sort();
        await fs.rm(path.join(entry, "verified.json"), { force: true });
        assert.equal(await isCached("thing", "key", { remember: false }), true);
        assert.deepEqual(
            (await fs.readdir(entry)).sort(),
            before.filter((name) => name !== "verified.json"),
        );
    });
    it("clears away what a killed run left, and not what a living one makes", async () => {
        const gone = Number(execFileSync("sh", ["-c", "echo $$"], { encoding: "utf8" }));
        const names = [`old.making-${gone}-0a1b2c3d`, `new.making-${process.pid}-0a1b2c3d`];
        for (const name of names)
            await fs.mkdir(path.join(dir, "krustlet-stack", "thing", name), { recursive: true });
        await make("good");
        assert.deepEqual((await fs.readdir(path.join(dir, "krustlet-stack", "thing"))).sort(), [
            "key",
            names[1],
        ]);
    });
    it("misses what is gone", async () => {
        const entry = await make("good");
        await fs.rm(path.join(entry, "file"));
        assert.equal(await isCached("thing", "key"), false);
    });
});

it("shows how far cargo is", () => {
    assert.equal(
        cargoProgress("    Building [=====>     ] 123/456: tokio, wasmtime..."),
        "123 of 456 crates: tokio, wasmtime",
    );
    assert.equal(cargoProgress("\x1b[1m\x1b[36mBuilding\x1b[0m [=>] 1/9"), "1 of 9 crates");
    assert.equal(cargoProgress("   Compiling tokio v1.2/3"), undefined);
});

it("lines a table up", () => {
    assert.equal(
        table([
            ["a", "bb"],
            ["ccc", "d"],
        ]),
        "a    bb\nccc  d",
    );
});
