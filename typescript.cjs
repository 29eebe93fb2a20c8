// Lets Node.js load the TypeScript of test/, and of what tests import: `node --require ./typescript.cjs test/run.ts`. esbuild strips
// the types; `npm run lint` checks them. What users run is compiled (build/compile.cjs): docs/decisions/0012-compiled-when-changed.md.
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
