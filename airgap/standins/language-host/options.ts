// The `runtime.options` of Pulumi.yaml that a Node.js language host knows.

export type PackageManager = "auto" | "npm" | "yarn" | "pnpm" | "bun";

const packageManagers: readonly PackageManager[] = ["auto", "npm", "yarn", "pnpm", "bun"];

export interface NodeOptions {
    /** Load ts-node into the program's process. Default true, as with the official host. */
    typescript: boolean;
    /** Path of the tsconfig.json that ts-node takes. */
    tsconfig?: string;
    /** Arguments for node, before the SDK's runner. */
    nodeargs: string[];
    packagemanager: PackageManager;
}

/** Reads the options; throws one clear error for the first that has the wrong type. */
export function parseOptions(options: Record<string, unknown>): NodeOptions {
    const { typescript = true, tsconfig, nodeargs = "", packagemanager = "auto" } = options;
    if (typeof typescript !== "boolean") {
        throw new Error("typescript option must be a boolean");
    }
    if (tsconfig !== undefined && typeof tsconfig !== "string") {
        throw new Error("tsconfig option must be a string");
    }
    if (typeof nodeargs !== "string") {
        throw new Error("nodeargs option must be a string");
    }
    const manager = packageManagers.find((known) => known === packagemanager);
    if (manager === undefined) {
        throw new Error(
            `packagemanager option must be one of ${packageManagers.join(", ")}, got ${JSON.stringify(packagemanager)}`,
        );
    }
    return { typescript, tsconfig, nodeargs: splitWords(nodeargs), packagemanager: manager };
}

/** Splits a line into words as a POSIX shell does: blanks, quotes, backslashes, and `#` comments; nothing is expanded. */
export function splitWords(line: string): string[] {
    const words: string[] = [];
    let word: string | undefined;
    let quote: '"' | "'" | undefined;
    for (let i = 0; i < line.length; i++) {
        const c = line[i];
        if (quote === "'") {
            if (c === "'") quote = undefined;
            else word += c;
        } else if (quote === '"') {
            if (c === '"') quote = undefined;
            else if (c === "\\" && i + 1 < line.length && '"\\'.includes(line[i + 1])) word += line[++i];
            else word += c;
        } else if (c === '"' || c === "'") {
            quote = c;
            word ??= "";
        } else if (c === "\\") {
            if (i + 1 === line.length) throw new Error("nodeargs option ends in a backslash");
            word = (word ?? "") + line[++i];
        } else if (/\s/.test(c)) {
            if (word !== undefined) words.push(word);
            word = undefined;
        } else if (c === "#" && word === undefined) {
            break;
        } else {
            word = (word ?? "") + c;
        }
    }
    if (quote !== undefined) {
        throw new Error(`nodeargs option has an unclosed ${quote}`);
    }
    if (word !== undefined) {
        words.push(word);
    }
    return words;
}
