import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { after, describe, it } from "node:test";
import { buildFailed, modulesIn, targetFolder, withoutHome } from "../../../../steps/workload/buildModule";
import * as modules from "../../../../steps/workload/modules";
import { RunError } from "../../../../steps/lib/run";
import { targetOf, targetsIn } from "../../../../steps/workload/target";
import { outputOf } from "../../../../steps/workload/pushArtifact";

const folder = mkdtempSync(join(tmpdir(), "krustlet-stack-test-"));
after(() => {
    rmSync(folder, { recursive: true, force: true });
});

function write(files: Record<string, string>): void {
    for (const [name, content] of Object.entries(files)) {
        mkdirSync(dirname(join(folder, name)), { recursive: true });
        writeFileSync(join(folder, name), content);
    }
}

describe("the first bytes of a file", () => {
    const cases: [string, Buffer, RegExp | undefined][] = [
        ["a module", Buffer.from("\0asm\x01\0\0\0", "latin1"), undefined],
        ["a component", Buffer.from("\0asm\x0d\0\x01\0", "latin1"), undefined],
        ["another version", Buffer.from("\0asm\x02\0\0\0", "latin1"), /no WebAssembly module of version 1/],
        ["a cut file", Buffer.from("\0asm\x01", "latin1"), /is cut off/],
        ["an empty file", Buffer.alloc(0), /is empty/],
        [
            "an ELF program",
            Buffer.from("\x7fELF\x02\x01\x01\0", "latin1"),
            /is no WebAssembly: it does not begin with \\0asm;/,
        ],
        ["the text form", Buffer.from("(module)"), /it is in text form: `wat2wasm` translates it/],
    ];
    for (const [what, head, fault] of cases) {
        it(`tell ${what}`, () => {
            const found = modules.moduleFault(head);
            if (fault) assert.match(found ?? "", fault);
            else assert.equal(found, undefined);
        });
    }
});

describe("a description", () => {
    it("is the SHA-256 of a module", async () => {
        writeFileSync(join(folder, "m.wasm"), Buffer.from("\0asm\x01\0\0\0", "latin1"));
        assert.deepEqual(await modules.describe({ file: join(folder, "m.wasm") }), {
            sha256: "93a44bbb96c751218e4c00d479e4c14358122a389acca16205b1e4d0dc5f9476",
        });
    });
    it("needs a file or a source, and not both", async () => {
        await assert.rejects(modules.describe({}), /exactly one of file .* and source .*; neither was given/);
        await assert.rejects(modules.describe({ file: "a", source: "b" }), /both was given/);
    });
    it("says what a path is instead", async () => {
        await assert.rejects(
            modules.describe({ file: join(folder, "none") }),
            /WasmArtifact\.file: .*none does not exist/,
        );
        await assert.rejects(
            modules.describe({ file: folder }),
            /is a folder; for a cargo project give source/,
        );
        await assert.rejects(
            modules.describe({ source: folder }),
            /WasmArtifact\.source: .* has no Cargo\.toml/,
        );
    });
});

describe("the hash of sources", () => {
    const hash = (name: string) => modules.hashOfSources(join(folder, name));
    const project = (name: string) => ({
        [`${name}/Cargo.toml`]: '[package]\nname = "a"\n[dependencies]\nlib = { path = "../lib" }\n',
        [`${name}/Cargo.lock`]: "",
        [`${name}/src/main.rs`]: "fn main() {}",
    });
    it("is the same for the same content in another place", async () => {
        write({
            ...project("one/a"),
            "one/lib/Cargo.toml": "",
            ...project("two/a"),
            "two/lib/Cargo.toml": "",
        });
        assert.equal(await hash("one/a"), await hash("two/a"));
    });
    it("changes with a source, a path dependency's, and the cargo settings above; not with output", async () => {
        write({ ...project("x/a"), "x/lib/Cargo.toml": "", "x/lib/src/lib.rs": "1" });
        const seen = [await hash("x/a")];
        const changes: [string, string, boolean][] = [
            ["x/a/src/main.rs", "fn main() { }", true],
            ["x/a/src/new.rs", "", true],
            ["x/lib/src/lib.rs", "2", true],
            ["x/.cargo/config.toml", "[build]", true],
            ["x/a/target/CACHEDIR.TAG", "", false],
            ["x/a/target/out", "1", false],
            ["x/a/.git/HEAD", "1", false],
            ["x/Cargo.lock", "of another project", false],
        ];
        for (const [name, content, matters] of changes) {
            write({ [name]: content });
            const now = await hash("x/a");
            assert.equal(now !== seen[seen.length - 1], matters, name);
            seen.push(now);
        }
    });
    it("knows the lock file of a workspace above", async () => {
        write({ "w/Cargo.toml": "[workspace]", "w/Cargo.lock": "1", "w/a/Cargo.toml": "[package]" });
        const before = await hash("w/a");
        write({ "w/Cargo.lock": "2" });
        assert.notEqual(await hash("w/a"), before);
    });
    it("knows what a workspace above lends", async () => {
        write({
            "l/Cargo.toml": '[workspace]\n[workspace.dependencies]\nlib = { path = "shared/lib" }\n',
            "l/Cargo.lock": "",
            "l/a/Cargo.toml": "[package]\n[dependencies]\nlib.workspace = true\n",
            "l/shared/lib/Cargo.toml": "",
            "l/shared/lib/src/lib.rs": "1",
        });
        const before = await hash("l/a");
        write({ "l/shared/lib/src/lib.rs": "2" });
        assert.notEqual(await hash("l/a"), before);
    });
    it("changes with what a linked folder holds, and ends where links lead in a circle", async () => {
        write({ ...project("k/a"), "k/lib/Cargo.toml": "", "k/shared/deep/part.rs": "1" });
        rmSync(join(folder, "k/a/src"), { recursive: true });
        write({ "k/shared/main.rs": "fn main() {}" });
        symlinkSync("../shared", join(folder, "k/a/src"));
        symlinkSync("..", join(folder, "k/shared/deep/up"));
        symlinkSync("nowhere", join(folder, "k/a/dangling"));
        const before = await hash("k/a");
        write({ "k/shared/deep/part.rs": "2" });
        const after = await hash("k/a");
        assert.notEqual(after, before);
        rmSync(join(folder, "k/a/dangling"));
        symlinkSync("elsewhere", join(folder, "k/a/dangling"));
        assert.notEqual(await hash("k/a"), after);
    });
    it("names what is neither file nor folder, and does not wait for it", async () => {
        write({ ...project("f/a"), "f/lib/Cargo.toml": "" });
        const pipe = join(folder, "f/a/src/pipe");
        execFileSync("mkfifo", [pipe]);
        const message =
            /pipe is a named pipe \(FIFO\), and only files and folders can be built from; move it out/;
        await assert.rejects(hash("f/a"), message);
        await assert.rejects(
            modules.describe({ file: pipe }),
            /pipe is a named pipe \(FIFO\); it must be a \.wasm file/,
        );
        rmSync(pipe);
        execFileSync("mkfifo", [join(folder, "f/pipe")]);
        symlinkSync("../../pipe", pipe);
        await assert.rejects(hash("f/a"), message);
    });
    it("reads path dependencies of every table", () => {
        const manifest = [
            '[package]\nname = "x"',
            '[lib]\npath = "src/other.rs"',
            '[[bin]]\npath = "src/bin.rs"',
            '[dependencies]\na = { version = "1", path = "../a" }\n# b = { path = "../b" }',
            "[dependencies.c]\npath = '../c'",
            "[target.'cfg(unix)'.dependencies]\nd = { path = \"../d\" }",
            '[build-dependencies]\ne = { path = "../e" }',
            '[dev-dependencies]\nf = { path = "../f" }',
            'note = """\n[dependencies]\nno = { path = "../no" }\n"""',
            "[dependencies.h]\nversion = \"1\"\n\"path\" = '''../h''' # mine",
            '[patch.crates-io]\ng = { path = "../g" }',
        ].join("\n");
        assert.deepEqual(modules.pathDependencies(manifest), [
            "../a",
            "../c",
            "../h",
            "../e",
            "../d",
            "../g",
        ]);
    });
});

describe("a build", () => {
    it("keeps its output in the cache, apart for each place of the source", () => {
        assert.match(
            targetFolder("/a", { XDG_CACHE_HOME: "/c" }),
            /^\/c\/krustlet-stack\/workloads\/[0-9a-f]{16}$/,
        );
        assert.notEqual(targetFolder("/a", {}), targetFolder("/b", {}));
    });
    it("is for what the project's cargo settings say, and else for preview 1", () => {
        const config = (target: string) => `[build]\ntarget = "${target}"\n`;
        write({
            "t/.git/HEAD": "",
            "t/.cargo/config.toml": config("wasm32-wasip2"),
            "t/a/b/Cargo.toml": "",
            "t/other/.cargo/config.toml": config("wasm32-wasip1"),
            "t/silent/.cargo/config.toml": "[net]\n",
            "t/native/.cargo/config.toml": config("x86_64-unknown-linux-gnu"),
            "u/.git/HEAD": "",
            ".cargo/config.toml": config("wasm32-wasip2"),
        });
        const target = (name: string) => targetOf(join(folder, name));
        assert.equal(target("t/a/b"), "wasm32-wasip2");
        assert.equal(target("t/other"), "wasm32-wasip1");
        assert.equal(target("t/silent"), "wasm32-wasip2");
        // What lies above a repository is the machine's.
        assert.equal(target("u"), "wasm32-wasip1");
        assert.throws(
            () => target("t/native"),
            /native\/\.cargo\/config\.toml says build\.target = "x86_64-unknown-linux-gnu"; a Wasm node runs wasm32-wasip1 and wasm32-wasip2/,
        );
        rmSync(join(folder, ".cargo"), { recursive: true });
    });
    it("is for what the environment tells cargo, before any settings", () => {
        write({ "env/.git/HEAD": "", "env/.cargo/config.toml": '[build]\ntarget = "wasm32-wasip1"\n' });
        const target = (set: string) => targetOf(join(folder, "env"), { CARGO_BUILD_TARGET: set });
        assert.equal(target("wasm32-wasip2"), "wasm32-wasip2");
        assert.equal(target(""), "wasm32-wasip1");
        assert.throws(
            () => target("riscv"),
            /the environment says CARGO_BUILD_TARGET = "riscv"; a Wasm node runs/,
        );
    });
    it("is for one target", () => {
        write({ "two/.cargo/config.toml": '[build]\ntarget = [\n "wasm32-wasip1",\n "wasm32-wasip2" ]\n' });
        assert.throws(
            () => targetOf(join(folder, "two"), {}),
            /says build\.target = \["wasm32-wasip1","wasm32-wasip2"\]; a Wasm node runs .*, and one of them is built/,
        );
        write({ "two/.cargo/config.toml": "[build\n" });
        assert.throws(
            () => targetOf(join(folder, "two"), {}),
            /config\.toml cannot be read as TOML \(line 1\)/,
        );
    });
    const settings: [string, string[] | undefined][] = [
        ['[build]\ntarget = "a"', ["a"]],
        ["[build]\njobs = 1\n  target='a' # c", ["a"]],
        ['build.target = "a"', ["a"]],
        ['[build]\ntarget = ["a"]', ["a"]],
        ['[build]\ntarget = [\n  "a", # one\n]', ["a"]],
        ['build = { "target" = "a" }', ["a"]],
        ['[env]\nX = """\n[build]\ntarget = "a"\n"""', undefined],
        ['[build]\ntarget-dir = "a"', undefined],
        ['[target.a]\ntarget = "a"', undefined],
        ['[build]\n# target = "a"', undefined],
        ["", undefined],
    ];
    for (const [text, target] of settings) {
        it(`reads ${JSON.stringify(text)}`, () => assert.deepEqual(targetsIn(text), target));
    }
    it("leaves no name of the user's home in the module", () => {
        assert.equal(
            withoutHome({ CARGO_HOME: '/h/"x"' }),
            'build.rustflags=["--remap-path-prefix=/h/\\"x\\"=/cargo"]',
        );
        assert.match(withoutHome({}), /--remap-path-prefix=\/.*\/\.cargo=\/cargo/);
    });
    const lines = (messages: object[]) => `${messages.map((one) => JSON.stringify(one)).join("\n")}\n`;
    it("finds the binary in cargo's messages", () => {
        const messages = [
            { reason: "compiler-artifact", executable: null },
            { reason: "compiler-artifact", executable: "/t/a.wasm" },
            { reason: "build-finished", success: true },
        ];
        assert.deepEqual(modulesIn(lines(messages), "/a/Cargo.toml", "wasm32-wasip1"), ["/t/a.wasm"]);
    });
    it("finds the library that is a server, where there is no binary", () => {
        const library = (of: string, type: string, ...filenames: string[]) => ({
            reason: "compiler-artifact",
            executable: null,
            manifest_path: `/${of}/Cargo.toml`,
            target: { crate_types: [type] },
            filenames,
        });
        const messages = [
            library("dependency", "cdylib", "/t/dependency.wasm"),
            library("a", "rlib", "/t/liba.rlib"),
            library("a", "cdylib", "/t/a.wasm", "/t/a.d"),
        ];
        assert.deepEqual(modulesIn(lines(messages), "/a/Cargo.toml", "wasm32-wasip2"), ["/t/a.wasm"]);
        // It would begin nowhere.
        assert.deepEqual(modulesIn(lines(messages), "/a/Cargo.toml", "wasm32-wasip1"), []);
        const binary = { reason: "compiler-artifact", executable: "/t/b.wasm" };
        assert.deepEqual(modulesIn(lines([...messages, binary]), "/a/Cargo.toml", "wasm32-wasip2"), [
            "/t/b.wasm",
        ]);
    });
    const failure = (stderr: string) =>
        buildFailed(
            "/a",
            "wasm32-wasip2",
            new RunError(["cargo"], { stdout: "", stderr, exitCode: 101 }, "exit code 101"),
        ).message;
    it("says what to do about a missing target", () => {
        const words =
            "error[E0463]: can't find crate for `std`\n  = note: the `wasm32-wasip2` target may not be installed";
        assert.equal(
            failure(words),
            "WasmArtifact.source: Rust's target wasm32-wasip2 is missing; run `rustup target add wasm32-wasip2`",
        );
    });
    it("says what to do about a lock file that does not fit", () => {
        const words =
            "error: the lock file /a/Cargo.lock needs to be updated but --locked was passed to prevent this";
        assert.match(
            failure(words),
            /Cargo\.lock of \/a is missing or does not fit.*cargo generate-lockfile/,
        );
    });
    it("repeats the compiler's errors", () => {
        assert.equal(
            failure("   Compiling a v0.1.0\nwarning: unused\nerror: expected `;`\n --> src/main.rs:1:1\n"),
            "WasmArtifact.source: cargo could not build /a:\nerror: expected `;`\n --> src/main.rs:1:1",
        );
    });
});

describe("a push", () => {
    const digest = `sha256:${"a".repeat(64)}`;
    it("yields a reference by digest", () => {
        assert.deepEqual(outputOf({ digest, size: 7, reference: "x" }, "localhost:5000/a/b:v1"), {
            digest,
            reference: `localhost:5000/a/b@${digest}`,
            sizeBytes: 7,
        });
    });
    it("without a digest is none", () => {
        assert.throws(
            () => outputOf({ size: 7 }, "localhost:5000/a:v1"),
            /wasm-oci push did not print a digest: \{"size":7\}/,
        );
    });
});
