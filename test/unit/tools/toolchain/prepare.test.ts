// The commands themselves, as a person runs them, on a machine that this test makes up: programs on PATH that tell the
// versions they are told to, and a server with the official releases of the plugins.
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { createHash } from "node:crypto";
import * as fs from "node:fs/promises";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { run, type RunResult } from "../../../../steps/lib/run";
import { ROOT } from "../../../../common/root";
import { releaseOf, platformOf } from "../../../../tools/sources/releases";
import {
    KIND_VERSION,
    KUBERNETES_VERSION,
    NODE_IMAGE,
    PLUGINS,
    PULUMI_VERSION,
    REGISTRY_IMAGE,
    type PluginName,
} from "../../../../common/versions";

let dir: string;
let server: Server;
let mirror: string;
const files = new Map<string, Buffer>();
const asked: string[] = [];
const platform = platformOf(process.platform, process.arch);
assert.ok(platform);

const program = (text: string) => `#!/bin/sh\n${text}\n`;

/** Programs of a machine that has all but the plugins. */
function programs(): Record<string, string> {
    return {
        pulumi: program(`echo ${PULUMI_VERSION}`),
        "pulumi-language-nodejs": program("exit 1"),
        kind: program(`echo kind ${KIND_VERSION} go1.26.8 linux/amd64`),
        kubectl: program(`echo Client Version: ${KUBERNETES_VERSION}`),
        docker: program(`
            case "$1 $2" in
            "version --format") echo 28.2.2 ;;
            "context show") echo default ;;
            "image inspect") for tag; do :; done
                case $tag in
                kindest/node:*) echo '["kindest/node@${NODE_IMAGE.digest}"]' ;;
                registry:*) echo '["registry@${REGISTRY_IMAGE.digest}"]' ;;
                *) exit 1 ;;
                esac ;;
            *) exit 1 ;;
            esac`),
        rustc: program(
            'if [ "$1" = --print ]; then echo "$SYSROOT"; else echo "rustc 1.95.0 (f2d3ce0bd 2026-03-21)"; fi',
        ),
        rustup: program('shift 2; for target; do mkdir -p "$SYSROOT/lib/rustlib/$target/lib"; done'),
        cargo: program(`
            echo "$1" >>"$CARGO_TARGET_DIR/asked"
            mkdir -p "$CARGO_TARGET_DIR/release"
            for name in krustlet-wasi krustlet-approver krustlet-supervisor wasm-oci; do
                printf '#!/bin/sh\\necho %s\\n' $name >"$CARGO_TARGET_DIR/release/$name"
                chmod +x "$CARGO_TARGET_DIR/release/$name"
            done`),
    };
}

async function machine(overrides: Record<string, string | undefined> = {}): Promise<void> {
    const bin = path.join(dir, "bin");
    await fs.rm(bin, { recursive: true, force: true });
    await fs.mkdir(bin);
    for (const [name, text] of Object.entries({ ...programs(), ...overrides })) {
        if (text !== undefined) await fs.writeFile(path.join(bin, name), text, { mode: 0o755 });
    }
}

/** Runs a command of tools/ there. */
function tool(
    name: string,
    args: string[] = [],
    env: Record<string, string | undefined> = {},
): Promise<RunResult> {
    return run(
        [
            process.execPath,
            "--require",
            path.join(ROOT, "typescript.cjs"),
            path.join(ROOT, "tools", `${name}.ts`),
            ...args,
        ],
        {
            cwd: ROOT,
            allowFailure: true,
            timeoutSeconds: 120,
            env: {
                PATH: [path.join(dir, "bin"), path.dirname(process.execPath), "/usr/bin", "/bin"].join(
                    path.delimiter,
                ),
                XDG_CACHE_HOME: path.join(dir, "cache"),
                KRUSTLET_STACK_HOME: path.join(dir, "home"),
                KRUSTLET_STACK_MIRROR: mirror,
                KRUSTLET_STACK_SOURCE: undefined,
                DOCKER_HOST: undefined,
                SYSROOT: path.join(dir, "sysroot"),
                ...env,
            },
        },
    );
}

function servePlugins(): void {
    for (const name of Object.keys(PLUGINS) as PluginName[]) {
        const release = releaseOf(`plugin-${name}`, platform!, mirror);
        const folder = path.join(dir, "plugin", name);
        execFileSync("mkdir", ["-p", folder]);
        execFileSync("sh", [
            "-c",
            `printf '#!/bin/sh\\necho ${name}\\n' >"$0" && chmod +x "$0"`,
            path.join(folder, `pulumi-resource-${name}`),
        ]);
        const archive = execFileSync("tar", ["-czf", "-", "-C", folder, `pulumi-resource-${name}`]);
        const sum = createHash("sha256").update(archive).digest("hex");
        files.set(release.url.slice(mirror.length), archive);
        files.set(release.checksumsUrl.slice(mirror.length), Buffer.from(`${sum}  ${release.fileName}\n`));
    }
    files.set("/github.com/kubernetes-sigs/kind/releases", Buffer.from("here"));
}

async function listing(folder: string): Promise<string[]> {
    return (await fs.readdir(folder, { recursive: true }).catch(() => [])).sort();
}

before(async () => {
    server = createServer((request, response) => {
        asked.push(request.url ?? "");
        const file = files.get(request.url ?? "");
        response.writeHead(file ? 200 : 404).end(request.method === "HEAD" ? undefined : file);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    mirror = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
after(async () => {
    server.closeAllConnections();
    server.close();
    await fs.rm(dir, { recursive: true, force: true });
});
beforeEach(async () => {
    if (dir) await fs.rm(dir, { recursive: true, force: true });
    dir = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-test-"));
    files.clear();
    asked.length = 0;
});

describe("npm run up -- --tools-only", () => {
    it("gets what is missing, then finds it there, and npm run env hands it on", async () => {
        await machine();
        servePlugins();
        const first = await tool("up", ["--tools-only"]);
        assert.equal(first.exitCode, 0, first.stderr);
        assert.match(first.stderr, /✓ plugin-docker v5\.0\.0, official release/);
        assert.match(
            first.stderr,
            /no checksum of it is pinned here; verified with the publisher's own sha256/,
        );
        assert.match(
            first.stderr,
            /✓ krustlet-wasi, krustlet-approver, krustlet-supervisor, wasm-oci, built with cargo/,
        );
        // Crates of another clone, which cargo would take for this one's, go first.
        const targets = path.join(dir, "cache/krustlet-stack/cargo-target");
        const [target] = await fs.readdir(targets);
        assert.equal(await fs.readFile(path.join(targets, target, "asked"), "utf8"), "clean\nbuild\n");
        assert.match(first.stderr, /✓ Rust target wasm32-wasip1 and wasm32-wasip2/);
        assert.doesNotMatch(first.stderr, /Air-gapped/);
        for (const [name, { version }] of Object.entries(PLUGINS)) {
            const plugin = path.join(
                dir,
                "home/pulumi/plugins",
                `resource-${name}-${version}`,
                `pulumi-resource-${name}`,
            );
            assert.equal(execFileSync(plugin, { encoding: "utf8" }), `${name}\n`);
        }

        asked.length = 0;
        const second = await tool("up", ["--tools-only"]);
        assert.equal(second.exitCode, 0, second.stderr);
        assert.deepEqual(asked, [], "nothing is asked for when all is there");
        assert.equal(
            second.stderr,
            `  All tools are ready. For plain pulumi and kubectl: eval "$(npm run -s env)"\n`,
        );

        const env = await tool("env");
        assert.equal(env.exitCode, 0, env.stderr);
        const seen = execFileSync("sh", ["-c", `${env.stdout}\nkrustlet-wasi; wasm-oci; env`], {
            encoding: "utf8",
            env: { PATH: process.env.PATH, PULUMI_CONFIG_PASSPHRASE: "" },
        });
        assert.match(seen, /^krustlet-wasi\nwasm-oci\n/);
        assert.match(seen, new RegExp(`^PULUMI_HOME=${dir}/home/pulumi$`, "m"));
        assert.match(seen, new RegExp(`^PULUMI_BACKEND_URL=file://${dir}/home/backend$`, "m"));
        assert.doesNotMatch(seen, /^PULUMI_CONFIG_PASSPHRASE=/m);
        assert.doesNotMatch(seen, /^KUBECONFIG=/m);
    });

    it("refuses a plugin that is not what its publisher says, and builds none in its place", async () => {
        await machine();
        servePlugins();
        const release = releaseOf("plugin-docker", platform, mirror);
        files.set(release.url.slice(mirror.length), Buffer.from("evil"));
        const { exitCode, stderr } = await tool("up", ["--tools-only"]);
        assert.equal(exitCode, 1);
        assert.match(
            stderr,
            /\nError: The official release of plugin-docker cannot be used: .*sha256 is .* The file was thrown away/,
        );
        assert.deepEqual(
            (await listing(path.join(dir, "cache"))).filter((name) =>
                name.includes("pulumi-resource-docker"),
            ),
            [],
        );
    });

    it("says in one message what only the user can mend, and changes nothing", async () => {
        await machine({ rustc: program("echo rustc 1.63.0"), docker: program("echo no daemon >&2; exit 1") });
        const { exitCode, stderr } = await tool("up", ["--tools-only"], { DOCKER_HOST: "tcp://127.0.0.1:1" });
        assert.equal(exitCode, 1);
        assert.match(
            stderr,
            /Some things are missing on this machine:\n {2}- no Docker daemon answers \(no daemon\)\n/,
        );
        assert.match(stderr, / {2}- Rust is 1\.63\.0, older than 1\.95\.0\n {4}Run `rustup update stable`\n/);
        assert.deepEqual(await listing(path.join(dir, "home")), []);
        assert.deepEqual(await listing(path.join(dir, "cache")), []);
    });

    it("refuses a source that there is not", async () => {
        await machine();
        const { exitCode, stderr } = await tool("up", ["--tools-only"], { KRUSTLET_STACK_SOURCE: "cloud" });
        assert.equal(exitCode, 1);
        assert.match(stderr, /KRUSTLET_STACK_SOURCE is "cloud"; it can be official or airgap/);
    });
});

describe("npm run doctor", () => {
    it("shows the decisions and changes nothing", async () => {
        await machine();
        servePlugins();
        const { exitCode, stdout } = await tool("doctor");
        assert.equal(exitCode, 0, stdout);
        assert.match(stdout, /✓ {2}pulumi +v3\.246\.0 +PATH: .*\/bin\/pulumi\n/);
        assert.match(
            stdout,
            /✓ {2}plugin kubernetes +v4\.25\.0 +not here; will be downloaded \(verified with the publisher's checksum file: none is pinned\)\n/,
        );
        assert.match(stdout, /✓ {2}image registry +3\.1\.2 +in Docker, by its pinned digest\n/);
        assert.match(stdout, /✓ {2}rust wasm32-wasip1 +not here; will be added with rustup\n/);
        assert.match(stdout, /✓ {2}rust wasm32-wasip2 +not here; will be added with rustup\n/);
        assert.match(stdout, /What is not here comes from official releases: 127\.0\.0\.1:\d+ answers\./);
        assert.match(stdout, /Nothing is missing that `npm run up` could not get\./);
        for (const place of ["home", "cache", "sysroot"])
            assert.deepEqual(await listing(path.join(dir, place)), []);
    });
    it("fails when something is missing, and says what to do", async () => {
        await machine({ cargo: undefined, rustc: program("exit 1"), rustup: undefined });
        const { exitCode, stdout } = await tool("doctor", [], {
            PATH: [path.join(dir, "bin"), path.dirname(process.execPath), "/bin"].join(":"),
        });
        assert.equal(exitCode, 1);
        assert.match(stdout, /✗ {2}rust +>= 1\.95\.0 /);
        assert.match(
            stdout,
            / {2}✗ no Rust toolchain \(cargo and rustc\) on PATH\n {4}Install Rust with rustup: https:\/\/rustup\.rs\n/,
        );
    });
});

describe("without a stack", () => {
    it("down and status say so and make nothing", async () => {
        await machine();
        const down = await tool("down");
        assert.equal(down.exitCode, 0, down.stderr);
        assert.match(down.stderr, /There is no stack dev in .*\/home\/backend: nothing to destroy\./);
        const status = await tool("status");
        assert.equal(status.exitCode, 0);
        assert.match(status.stdout, /There is no stack dev .*`npm run up` makes it\./);
        const env = await tool("env");
        assert.equal(env.exitCode, 1);
        assert.equal(env.stdout, "");
        assert.match(env.stderr, /The tools are not set up yet: run `npm run up`/);
        for (const place of ["home", "cache"]) assert.deepEqual(await listing(path.join(dir, place)), []);
    });
    it("every command says what it accepts", async () => {
        for (const name of ["up", "down", "status", "env", "doctor"]) {
            const { exitCode, stderr } = await tool(name, ["--nonsense"]);
            assert.equal(exitCode, 2, name);
            assert.match(stderr, /--nonsense.*Accepted: /s, name);
        }
    });
});
