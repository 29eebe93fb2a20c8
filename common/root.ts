import * as path from "node:path";

/** The project's folder: this file is compiled elsewhere in it. */
export const ROOT = path.dirname(require.resolve("krustlet-stack/package.json"));
