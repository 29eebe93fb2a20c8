// The stack's program as Pulumi starts it: compiled first, when a source has changed since.
"use strict";
require("./build/lightSdk.cjs");
const { compile } = require("./build/compile.cjs");

try {
    compile();
} catch (error) {
    const { RunError } = require("@pulumi/pulumi");
    throw new RunError(error.message);
}
module.exports = require("./dist/index.js");
