// The way in of `npm run …`: plain JavaScript, for on a fresh clone there are no packages yet. It installs them
// (exactly those of package-lock.json, and only when that file has changed), compiles what has changed, and hands over to the command.
"use strict";
const { spawn, spawnSync } = require("node:child_process");
const { createHash } = require("node:crypto");
const fs = require("node:fs");
const path = require("node:path");

const root = path.dirname(__dirname);
const [command, ...args] = process.argv.slice(2);

const [major, minor] = process.versions.node.split(".").map(Number);
if (major < 20 || (major === 20 && minor < 19)) {
    console.error(`Node.js ${process.versions.node} is too old: krustlet-stack needs 20.19 or newer.`);
    process.exit(1);
}

const lock = createHash("sha256")
    .update(fs.readFileSync(path.join(root, "package-lock.json")))
    .digest("hex");
const stamp = path.join(root, "node_modules", ".krustlet-stack-lock");
const installed = () => fs.existsSync(stamp) && fs.readFileSync(stamp, "utf8") === lock;

/** Two commands at once in a fresh clone: one installs, and the other waits for it. One that was killed holds up nobody. */
function alone(act) {
    const file = path.join(root, ".npm-ci.pid");
    for (;;) {
        try {
            fs.writeFileSync(file, String(process.pid), { flag: "wx" });
            break;
        } catch (error) {
            if (error.code !== "EEXIST") throw error;
        }
        try {
            // Before it has written its id, that is 0: this process' own group.
            process.kill(Number(fs.readFileSync(file, "utf8")), 0);
        } catch (error) {
            if (error.code === "ESRCH") fs.rmSync(file, { force: true });
        }
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 200);
    }
    const leave = () => fs.rmSync(file, { force: true });
    // An act that fails ends the process.
    process.once("exit", leave);
    act();
    process.off("exit", leave);
    leave();
}

function install() {
    if (installed()) return;
    const begun = Date.now();
    console.error("> npm packages (package-lock.json)");
    // No install scripts: nothing that is needed has one, and the Pulumi plugins come from tools/.
    const npm = spawnSync("npm", ["ci", "--ignore-scripts", "--no-fund", "--no-audit", "--loglevel=error"], {
        cwd: root,
        stdio: ["ignore", 2, 2],
    });
    if (npm.status !== 0) {
        console.error("npm ci failed: is the npm registry reachable? Its output is above.");
        process.exit(1);
    }
    fs.writeFileSync(stamp, lock);
    console.error(`✓ npm packages (${((Date.now() - begun) / 1000).toFixed(1)} s)`);
}

if (!installed()) alone(install);

try {
    const { compile } = require(path.join(root, "build", "compile.cjs"));
    for (const part of ["stack", "tools"]) compile(part);
} catch (error) {
    console.error(error.message);
    process.exit(1);
}

const tests = { test: "test/run.ts", bench: "test/bench/run.ts", "crash-table": "test/stack/crash/run.ts" };
const script =
    command in tests
        ? ["--require", path.join(root, "typescript.cjs"), path.join(root, tests[command])]
        : [path.join(root, "dist", "tools", `${command}.js`)];
const child = spawn(process.execPath, [...script, ...args], {
    cwd: root,
    stdio: "inherit",
    // Node.js from 22.21 on then downloads through HTTPS_PROXY; older ones do not know it.
    env: { NODE_USE_ENV_PROXY: "1", ...process.env },
});
// The command decides what an interruption means and ends in good order; this process only waits for it. A terminal sends
// Ctrl-C to both.
process.on("SIGINT", () => undefined);
for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
child.on("exit", (code) => process.exit(code ?? 1));
