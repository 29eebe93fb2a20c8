// Cargo's files are TOML, and read by a parser of it.
import { StepError } from "../lib/errors";

export type TomlTable = Record<string, unknown>;

/** The table that a text is; `file` is its name in the error. */
export function parseToml(text: string, file: string): TomlTable {
    // Only here: most of a step's life is its start.
    // eslint-disable-next-line @typescript-eslint/no-require-imports
    const toml = require("smol-toml") as { parse(text: string): TomlTable };
    try {
        return toml.parse(text);
    } catch (error) {
        const { line } = error as { line?: number };
        const where = line === undefined ? "" : ` (line ${line})`;
        throw new StepError(
            `WasmArtifact.source: ${file} cannot be read as TOML${where}; \`cargo metadata\` says more`,
        );
    }
}

/** The table at a key; an empty one where there is none. */
export function tableAt(table: TomlTable, key: string): TomlTable {
    const value = Object.hasOwn(table, key) ? table[key] : undefined;
    return typeof value === "object" && value !== null && !Array.isArray(value) ? (value as TomlTable) : {};
}
