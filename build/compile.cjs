// Compiles the program, the components and the steps to dist/, and the tools for who asks, when a source has changed since: some 20 ms
// when none has.
// Types are checked by `npm run lint` and when the package is made (package.cjs), not at each edit.
"use strict";
const { createHash, randomBytes } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const root = path.dirname(__dirname);
const dist = path.join(root, "dist");
/** Files, and folders of which all is compiled; and the file in dist/ that says what of, written last. */
const parts = {
    stack: { names: ["index.ts", "components", "steps"], stamp: path.join(dist, ".sources") },
    tools: { names: ["airgap", "common", "tools"], stamp: path.join(dist, ".sources-of-tools") },
};

/** Files below a folder whose names end so, relative to the folder, sorted. */
function filesBelow(folder, ending) {
    if (!fs.existsSync(folder)) return [];
    const found = fs.readdirSync(folder, { recursive: true, encoding: "utf8" });
    return found.filter((name) => name.endsWith(ending)).sort();
}

function sources(names) {
    return names.flatMap((name) =>
        name.endsWith(".ts")
            ? [name]
            : filesBelow(path.join(root, name), ".ts").map((file) => path.join(name, file)),
    );
}

function keyOf(files) {
    const hash = createHash("sha256");
    for (const file of [...files, "build/compile.cjs", "tsconfig.json", "package-lock.json"]) {
        hash.update(`${file}\0`)
            .update(fs.readFileSync(path.join(root, file)))
            .update("\0");
    }
    return hash.digest("hex");
}

/** Puts a file in its place in one step: another process may be reading it. */
function write(file, content) {
    if (fs.existsSync(file) && fs.readFileSync(file, "utf8") === content) return;
    fs.mkdirSync(path.dirname(file), { recursive: true });
    const partial = `${file}.${process.pid}-${randomBytes(4).toString("hex")}`;
    fs.writeFileSync(partial, content);
    fs.renameSync(partial, file);
}

/** Makes a part of dist/ what its sources say. Throws one line when that cannot be. */
function compile(part = "stack") {
    const { names, stamp } = parts[part];
    const files = sources(names);
    const key = keyOf(files);
    if (fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === key) return;
    const outputs = transform(files);
    for (const { path: file, text } of outputs) write(file, text);
    const current = new Set(outputs.map(({ path: file }) => path.relative(dist, file)));
    for (const folder of names.filter((name) => !name.endsWith(".ts"))) {
        for (const file of filesBelow(path.join(dist, folder), ".js")) {
            if (!current.has(path.join(folder, file))) fs.rmSync(path.join(dist, folder, file));
        }
    }
    write(stamp, key);
}

function transform(files) {
    let esbuild;
    try {
        esbuild = require("esbuild");
    } catch (error) {
        if (error.code !== "MODULE_NOT_FOUND") throw error;
        throw new Error(
            `krustlet-stack: dist/ is older than its sources and esbuild is missing: run \`npm ci\` in ${root}`,
        );
    }
    try {
        return esbuild.buildSync({
            absWorkingDir: root,
            entryPoints: files,
            outdir: dist,
            outbase: root,
            format: "cjs",
            platform: "node",
            target: "node20",
            write: false,
            logLevel: "error",
        }).outputFiles;
    } catch (error) {
        throw new Error(
            `krustlet-stack: dist/ cannot be compiled: ${error.message.split("\n").slice(0, 2).join(" ")}`,
        );
    }
}

module.exports = { compile, dist, filesBelow, root };
if (require.main === module) compile();
