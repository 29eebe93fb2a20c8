// Lets Node.js load this project's TypeScript: `node --require ./typescript.cjs steps/host/preflight.ts`. esbuild strips the types;
// `npm run lint` checks them. Only .ts files are touched: docs/decisions/0004-typescript-without-build.md says why that matters.
"use strict";
const fs = require("node:fs");
const { transformSync } = require("esbuild");

require.extensions[".ts"] = (module, file) => {
    const { code } = transformSync(fs.readFileSync(file, "utf8"), {
        loader: "ts",
        format: "cjs",
        target: "node20",
        sourcefile: file,
        sourcemap: process.execArgv.includes("--enable-source-maps") ? "inline" : false,
    });
    module._compile(code, file);
};
