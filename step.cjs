#!/usr/bin/env node
// Runs a step: `node step.cjs node/launchNode < input.json`. It is what Pulumi's commands come to by
// `require("krustlet-stack/step")`, in a project that has the package as in a checkout of its source.
"use strict";
const fs = require("node:fs");
const Module = require("node:module");
const path = require("node:path");

// Only a checkout has this: what was edited is compiled first.
const build = path.join(__dirname, "build", "compile.cjs");
try {
    if (fs.existsSync(build)) require(build).compile();
} catch (error) {
    console.error(error.message);
    process.exit(1);
}

const name = process.argv[2] ?? "";
const { stepFolders, stepPath } = require("./dist/steps/contract.js");
const steps = Object.keys(stepFolders).map(stepPath);
if (!steps.includes(name)) {
    console.error(`krustlet-stack: no step "${name}"; the steps are: ${steps.join(", ")}`);
    process.exit(1);
}
// The step is what this process runs, as if it had been started by its own file.
process.argv.splice(1, 2, path.join(__dirname, "dist", "steps", `${name}.js`));
Module.runMain();
