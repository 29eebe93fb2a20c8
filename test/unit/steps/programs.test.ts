import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import {
    cpSync,
    existsSync,
    mkdirSync,
    mkdtempSync,
    readdirSync,
    readFileSync,
    rmSync,
    writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, beforeEach, describe, it } from "node:test";
import { howToGet } from "../../../steps/lib/programs/package";
import { platformPackage } from "../../../steps/lib/programs/programs";

const root = path.resolve(__dirname, "../../..");

/** A cargo that does not compile: it says what it was asked, and leaves programs. */
const cargo = `#!/bin/sh
echo "$PWD|$*" >> "$CARGO_CALLS"
for i in $(seq 50); do echo "   Compiling crate$i v1.0.0" >&2; done
[ -z "$CARGO_FAILS" ] || { echo "error: no linker" >&2; exit 101; }
sleep 0.3
mkdir -p "$CARGO_TARGET_DIR/release"
for name in krustlet-wasi krustlet-approver krustlet-supervisor wasm-oci; do printf '#!/bin/sh\\necho built' > "$CARGO_TARGET_DIR/release/$name"; chmod 755 "$CARGO_TARGET_DIR/release/$name"; done
`;

describe("the programs of an installed package", () => {
    let dir: string;
    let installed: string;
    const script = (file: string, text: string) => {
        mkdirSync(path.dirname(file), { recursive: true });
        writeFileSync(file, text, { mode: 0o755 });
        return file;
    };
    before(() => {
        dir = mkdtempSync(path.join(tmpdir(), "krustlet-stack-"));
        installed = path.join(dir, "project/node_modules/krustlet-stack");
        mkdirSync(installed, { recursive: true });
        for (const part of ["package.json", "dist/steps"])
            cpSync(path.join(root, part), path.join(installed, part), { recursive: true });
        for (const file of ["krustlet/Cargo.lock", "krustlet/agent/src/main.rs"])
            script(path.join(installed, file), "one");
    });
    beforeEach(() => {
        for (const name of ["bin", "cargo", "cache", "calls"])
            rmSync(path.join(dir, name), { recursive: true, force: true });
        rmSync(path.join(path.dirname(installed), platformPackage), { recursive: true, force: true });
    });
    after(() => rmSync(dir, { recursive: true }));

    /** What the package's `needProgram` finds, with these folders on PATH. */
    function need(program: string, folders: string[], env: Record<string, string> = {}) {
        const code = `require(${JSON.stringify(path.join(installed, "dist/steps/lib/programs/programs.js"))})
            .needProgram(${JSON.stringify(program)}, "Node.program").then(console.log, (e) => { console.error("E " + e.message); process.exitCode = 1; });`;
        const child = spawn(process.execPath, ["--eval", code], {
            env: {
                PATH: [...folders.map((name) => path.join(dir, name)), "/usr/bin", "/bin"].join(
                    path.delimiter,
                ),
                XDG_CACHE_HOME: path.join(dir, "cache"),
                CARGO_CALLS: path.join(dir, "calls"),
                ...env,
            },
        });
        const said = { out: "", err: "" };
        child.stdout.on("data", (text: Buffer) => (said.out += text.toString()));
        child.stderr.on("data", (text: Buffer) => (said.err += text.toString()));
        return new Promise<{ out: string; err: string }>((resolve) => child.on("close", () => resolve(said)));
    }
    const calls = () =>
        (existsSync(path.join(dir, "calls")) ? readFileSync(path.join(dir, "calls"), "utf8") : "")
            .split("\n")
            .filter(Boolean);

    it("are those on PATH, or in the place that is given, first", async () => {
        script(path.join(path.dirname(installed), platformPackage, "package.json"), "{}");
        script(path.join(path.dirname(installed), platformPackage, "bin/krustlet-wasi"), "");
        const mine = script(path.join(dir, "bin/krustlet-wasi"), "");
        assert.deepEqual(await need("krustlet-wasi", ["bin"]), { out: `${mine}\n`, err: "" });
        assert.deepEqual(await need(mine, []), { out: `${mine}\n`, err: "" });
    });

    it("are those of the platform's package, else", async () => {
        script(path.join(path.dirname(installed), platformPackage, "package.json"), "{}");
        const file = script(path.join(path.dirname(installed), platformPackage, "bin/wasm-oci"), "");
        script(path.join(dir, "cargo/cargo"), cargo);
        assert.deepEqual(await need("wasm-oci", ["cargo"]), { out: `${file}\n`, err: "" });
        assert.deepEqual(calls(), []);
    });

    it("are built, once for all who ask, and again when a source has changed", async () => {
        script(path.join(dir, "cargo/cargo"), cargo);
        const both = await Promise.all([need("wasm-oci", ["cargo"]), need("krustlet-wasi", ["cargo"])]);
        const built = both.map(({ out }) => out.trim());
        assert.deepEqual(
            built.map((file) => path.basename(file)),
            ["wasm-oci", "krustlet-wasi"],
        );
        assert.equal(readFileSync(built[0], "utf8"), "#!/bin/sh\necho built");
        assert.deepEqual(calls(), [
            `${path.join(installed, "krustlet")}|build --release --locked --bin krustlet-wasi --bin krustlet-approver --bin krustlet-supervisor --bin wasm-oci`,
        ]);
        const words = both.map(({ err }) => err).join("");
        assert.match(
            words,
            /^building krustlet-wasi, krustlet-approver, krustlet-supervisor, wasm-oci with cargo, once: this takes minutes\n/,
        );
        assert.match(words, /\ncargo: 50 crates, now crate50\n/);
        // Neither cargo's own output nor a lock is left.
        assert.deepEqual(readdirSync(path.dirname(path.dirname(built[0]))), [
            path.basename(path.dirname(built[0])),
        ]);
        assert.deepEqual(await need("wasm-oci", []), { out: `${built[0]}\n`, err: "" });
        script(path.join(installed, "krustlet/agent/src/main.rs"), "two");
        await need("wasm-oci", ["cargo"]);
        assert.equal(calls().length, 2);
    });

    it("are built in spite of a lock whose holder has ended", async () => {
        script(path.join(dir, "cargo/cargo"), cargo);
        const { out } = await need("wasm-oci", ["cargo"]);
        const entry = path.dirname(out.trim());
        rmSync(entry, { recursive: true });
        writeFileSync(`${entry}.lock`, "4194304");
        assert.equal((await need("wasm-oci", ["cargo"])).out, out);
    });

    it("say what to do where nothing gives them", async () => {
        const { err } = await need("krustlet-wasi", []);
        assert.equal(
            err,
            `E Node.program: program "krustlet-wasi" is not on PATH, the npm package ${platformPackage} is not installed, and cargo ` +
                "is not on PATH to build it; install cargo (https://rustup.rs)\n",
        );
        assert.equal(
            (await need("krustlet-wasm", [])).err,
            'E Node.program: program "krustlet-wasm" is not on PATH or in that place; install krustlet-wasm, or give its path\n',
        );
        script(path.join(dir, "cargo/cargo"), cargo);
        assert.match(
            (await need("wasm-oci", ["cargo"], { CARGO_FAILS: "yes" })).err,
            /\nE cargo could not build krustlet-wasi, krustlet-approver, krustlet-supervisor, wasm-oci from \/.*\(Rust 1\.95 or later is needed\); put them on PATH, or mend:\n.*\n(.*\n)*error: no linker\n$/,
        );
    });
});

describe("a tool that is missing", () => {
    it("leads to its own page, and in a checkout to the doctor", () => {
        assert.equal(howToGet(["kind", "k3d"], true), "`npm run doctor` shows what to do");
        assert.equal(
            howToGet(["kind", "k3d"], false),
            "install kind (https://kind.sigs.k8s.io/docs/user/quick-start/#installation), k3d (https://k3d.io)",
        );
    });
});
