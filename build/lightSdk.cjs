// Leaves out of Pulumi's SDK what this program has no use for: half of the processor time of a run without a change. To be loaded before
// the SDK itself; its runner has loaded no more of it by then than a connection to the engine needs.
"use strict";
const Module = require("node:module");

/** Puts functions in a module's place that load it when one of them is called. */
function loadWhenCalled(name, functions) {
    const file = require.resolve(name);
    const placeholder = Object.assign(new Module(file), { filename: file, loaded: true });
    for (const key of functions) {
        placeholder.exports[key] = (...args) => {
            if (require.cache[file] === placeholder) delete require.cache[file];
            return require(file)[key](...args);
        };
    }
    require.cache[file] ??= placeholder;
}

// What stores functions in the state, as dynamic providers do: TypeScript's compiler and npm's own tree of packages, 700 files.
loadWhenCalled("@pulumi/pulumi/runtime/closure/serializeClosure", [
    "serializeFunction",
    "serializeFunctionAsync",
]);
loadWhenCalled("@pulumi/pulumi/runtime/closure/codePaths", ["computeCodePaths"]);

// The SDK takes a stack trace for each promise, and its runner would look each line of it up in the source maps of packages. What is compiled here
// has none, and Node.js' own traces name the same functions.
Error.prepareStackTrace = undefined;
