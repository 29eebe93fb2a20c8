/**
 * `npm run docs`: writes docs/reference/configuration.md from what Pulumi.yaml declares, the arguments' doc comments, and their rules.
 * `configurationPage` alone is what the test compares.
 */
import { readFileSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { load } from "js-yaml";
import * as ts from "typescript";
import type { Rule } from "../../steps/rules";
import { configKeys } from "../../components/stack/stackConfig";
import { nodeRules, workloadRulesOfAll } from "../../components/stack/wasmStackArgs";

const root = path.resolve(__dirname, "../..");

interface Declared {
    type: string;
    default: unknown;
    description: string;
}

/** The text of docs/reference/configuration.md. */
export function configurationPage(): string {
    const { config } = load(readFileSync(path.join(root, "Pulumi.yaml"), "utf8")) as {
        config: Record<string, Declared>;
    };
    const keys = Object.keys(configKeys).flatMap((key) => {
        const { type, default: value, description } = config[key];
        const given = value === "" ? "none" : `\`${JSON.stringify(value).replace(/^"|"$/g, "")}\``;
        return [`### ${key}`, "", ...wrapped(description), "", `Type: ${type}. Default: ${given}.`, ""];
    });
    const comments = docComments();
    return [
        "# Configuration",
        "",
        ...wrapped(
            "Every key of the stack's configuration (`pulumi config set clusterName two`), then what an item of `nodes` and of " +
                "`workloads` may have. Made by `npm run docs` from Pulumi.yaml, the arguments' doc comments and their rules; a " +
                "test sees that it is up to date.",
        ),
        "",
        "## Keys",
        "",
        ...keys,
        "## Each of nodes",
        "",
        ...items(nodeRules, comments("components/stack/wasmStackArgs.ts", "WasmStackNodeArgs")),
        "## Each of workloads",
        "",
        ...items(workloadRulesOfAll, comments("components/stack/wasmStackArgs.ts", "WasmStackWorkloadArgs")),
    ]
        .join("\n")
        .trimEnd()
        .concat("\n");
}

function items(rules: Record<string, Rule>, comments: Record<string, string>): string[] {
    return Object.entries(rules).flatMap(([name, { allowed }]) => [
        `### ${name}`,
        "",
        ...wrapped(comments[name]),
        ...(allowed === undefined ? [] : ["", ...wrapped(`Must be ${allowed}.`)]),
        "",
    ]);
}

/** The doc comments of an interface's properties, inherited ones among them. */
function docComments(): (file: string, name: string) => Record<string, string> {
    const entry = path.join(root, "components/stack/wasmStackArgs.ts");
    const program = ts.createProgram([entry], { skipLibCheck: true, noLib: true, types: [] });
    const checker = program.getTypeChecker();
    return (file, name) => {
        const source = program.getSourceFile(path.join(root, file));
        const found = source?.statements.find(
            (one): one is ts.InterfaceDeclaration => ts.isInterfaceDeclaration(one) && one.name.text === name,
        );
        if (found === undefined) throw new Error(`${file} declares no interface ${name}`);
        const properties = checker.getTypeAtLocation(found).getProperties();
        return Object.fromEntries(
            properties.map((one) => [
                one.name,
                ts.displayPartsToString(one.getDocumentationComment(checker)).replace(/\s+/g, " "),
            ]),
        );
    };
}

/** Lines that fit a terminal. */
function wrapped(text: string): string[] {
    const lines = [""];
    for (const word of text.trim().split(/\s+/)) {
        const last = lines[lines.length - 1];
        if (last !== "" && last.length + word.length + 1 > 100) lines.push(word);
        else lines[lines.length - 1] = last === "" ? word : `${last} ${word}`;
    }
    return lines;
}

if (require.main === module)
    writeFileSync(path.join(root, "docs/reference/configuration.md"), configurationPage());
