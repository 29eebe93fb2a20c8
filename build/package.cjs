// `npm run package [-- FOLDER]`: writes to FOLDER (default: dist/packages) the archives of the package and of its programs for this
// platform, as `npm publish` takes them. The programs are those on PATH, or those that cargo has built (CARGO_TARGET_DIR).
"use strict";
const { execFileSync } = require("node:child_process");
const fs = require("node:fs");
const path = require("node:path");
const { compile, dist, filesBelow, root } = require("./compile.cjs");

const manifest = JSON.parse(fs.readFileSync(path.join(root, "package.json"), "utf8"));
const platform = `${manifest.name}-${process.platform}-${process.arch}`;
const programs = ["krustlet-wasi", "krustlet-approver", "krustlet-supervisor", "wasm-oci"];

function run(argv, cwd) {
    return execFileSync(argv[0], argv.slice(1), {
        cwd,
        encoding: "utf8",
        stdio: ["ignore", "pipe", "inherit"],
    });
}

/** Makes dist/ whole: JavaScript, and declarations of what is there now. */
function build() {
    compile();
    for (const name of filesBelow(dist, ".d.ts")) fs.rmSync(path.join(dist, name));
    const tsc = path.join(path.dirname(require.resolve("typescript/package.json")), "bin", "tsc");
    run([process.execPath, tsc, "--project", path.join(root, "build", "tsconfig.json")], root);
}

/** Packs a folder; returns the archive. */
function pack(folder, to) {
    const [{ filename }] = JSON.parse(
        run(["npm", "pack", "--json", "--ignore-scripts", `--pack-destination=${to}`], folder),
    );
    return path.join(to, filename);
}

/** The package itself: what npm would take from this folder, with a manifest for those who install it. */
function packMain(staging, to) {
    const [{ files }] = JSON.parse(run(["npm", "pack", "--dry-run", "--json", "--ignore-scripts"], root));
    for (const { path: name } of files) {
        fs.mkdirSync(path.dirname(path.join(staging, name)), { recursive: true });
        fs.copyFileSync(path.join(root, name), path.join(staging, name));
    }
    const own = { ...manifest, optionalDependencies: { [platform]: manifest.version } };
    delete own.scripts;
    delete own.devDependencies;
    fs.writeFileSync(path.join(staging, "package.json"), `${JSON.stringify(own, null, 4)}\n`);
    return pack(staging, to);
}

function packPlatform(staging, to) {
    const { version, license, engines } = manifest;
    const description = `The programs of ${manifest.name} for ${process.platform} on ${process.arch}: ${programs.join(", ")}.`;
    const { header } = process.report.getReport();
    const libc =
        process.platform === "linux" ? { libc: [header.glibcVersionRuntime ? "glibc" : "musl"] } : {};
    const own = {
        name: platform,
        version,
        description,
        license,
        engines,
        os: [process.platform],
        cpu: [process.arch],
        ...libc,
    };
    fs.mkdirSync(path.join(staging, "bin"), { recursive: true });
    fs.writeFileSync(
        path.join(staging, "package.json"),
        `${JSON.stringify({ ...own, files: ["bin"] }, null, 4)}\n`,
    );
    fs.copyFileSync(path.join(root, "LICENSE"), path.join(staging, "LICENSE"));
    for (const name of programs) fs.copyFileSync(locate(name), path.join(staging, "bin", name));
    return pack(staging, to);
}

function locate(name) {
    const folders = (process.env.PATH ?? "").split(path.delimiter);
    folders.push(path.join(process.env.CARGO_TARGET_DIR ?? path.join(root, "krustlet", "target"), "release"));
    const found = folders.map((folder) => path.join(folder, name)).find((file) => fs.existsSync(file));
    if (found === undefined) {
        throw new Error(
            `${name} is not built: \`npm run up -- --tools-only\`, then \`eval "$(npm run --silent env)"\``,
        );
    }
    return found;
}

function main() {
    const to = path.resolve(process.argv[2] ?? path.join(dist, "packages"));
    const staging = fs.mkdtempSync(path.join(dist, "staging-"));
    try {
        // What is missing is said before the minute that the declarations take.
        programs.forEach(locate);
        build();
        fs.mkdirSync(to, { recursive: true });
        for (const file of [
            packMain(path.join(staging, "main"), to),
            packPlatform(path.join(staging, "platform"), to),
        ]) {
            console.log(file);
        }
    } finally {
        fs.rmSync(staging, { recursive: true });
    }
}

try {
    compile();
    main();
} catch (error) {
    console.error(error.message);
    process.exitCode = 1;
}
