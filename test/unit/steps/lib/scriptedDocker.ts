// A docker command (and a kind) of the same names that answer as a test says, first on PATH; what they were asked is kept.
import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, afterEach, beforeEach } from "node:test";

export class ScriptedTools {
    private folder = newFolder();
    private readonly path = process.env.PATH;

    /** Makes a command: the body of a JavaScript function of `argv`, which returns what is printed, or throws its exit code. */
    script(name: string, body: string): void {
        const file = path.join(this.folder, name);
        const program = `#!${process.execPath}
const fs = require("node:fs");
const argv = process.argv.slice(2);
fs.appendFileSync(${JSON.stringify(this.log)}, ${JSON.stringify(name)} + " " + argv.join(" ") + "\\n");
const print = (text) => fs.writeSync(1, text);
const say = (text) => fs.writeSync(2, text);
process.exitCode = (() => { ${body} })() ?? 0;
`;
        writeFileSync(file, program);
        chmodSync(file, 0o755);
        process.env.PATH = `${this.folder}:${this.path}`;
    }

    /** Makes docker one with these containers, whatever is asked for. */
    withContainers(...all: object[]): void {
        const ids = all.map((_, index) => String(index)).join("\n");
        this.script(
            "docker",
            `print(argv[0] === "ps" ? ${JSON.stringify(ids)} : ${JSON.stringify(JSON.stringify(all))});`,
        );
    }

    /** What was asked, in its order. */
    asked(): string[] {
        return readFileSync(this.log, "utf8").split("\n").filter(Boolean);
    }

    forget(): void {
        writeFileSync(this.log, "");
    }

    /** Begins anew, with no command. */
    renew(): void {
        this.folder = newFolder();
    }

    remove(): void {
        process.env.PATH = this.path;
        rmSync(this.folder, { recursive: true });
    }

    private get log(): string {
        return path.join(this.folder, "log");
    }
}

function newFolder(): string {
    return mkdtempSync(path.join(tmpdir(), "krustlet-scripted-"));
}

/** Tools that each test of this file, or of this describe, has anew. */
export function scriptedTools(): ScriptedTools {
    const tools = new ScriptedTools();
    tools.remove();
    beforeEach(() => {
        tools.renew();
    });
    afterEach(() => {
        tools.remove();
    });
    return tools;
}

/** A folder for the tests of this file, gone after them. */
export function scratchFolder(name: string): string {
    const folder = mkdtempSync(path.join(tmpdir(), `krustlet-${name}-`));
    after(() => {
        rmSync(folder, { recursive: true, force: true });
    });
    return folder;
}
