// The artifact tool as anybody runs it, in an environment that has nothing but what is given.
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { run } from "../../steps/lib/run";
import { padded } from "../node/lib/scriptedRegistry";

/** `(module (func (export "_start")))` */
const MODULE = Buffer.concat([
    Buffer.from("0061736d01000000", "hex"),
    Buffer.from("01040160000003020100070a01065f737461727400000a040102000b", "hex"),
]);

/** A module of some size that no other call gives: `mark` is in it. */
export function module(mark: string, bytes = 1000): Buffer {
    return Buffer.concat([padded(MODULE, bytes), named(mark)]);
}

/** A component without anything in it but a section that means nothing. */
export function component(mark: string): Buffer {
    return Buffer.concat([Buffer.from("0061736d0d000100", "hex"), named(mark)]);
}

function named(mark: string): Buffer {
    const name = Buffer.from(mark);
    return Buffer.concat([Buffer.from([0, name.length + 1, name.length]), name]);
}

export interface Ran {
    exitCode: number;
    stdout: string;
    stderr: string;
}

/** A folder of its own with a docker configuration. */
export class Workplace {
    readonly folder = mkdtempSync(path.join(tmpdir(), "krustlet-registries-"));
    private readonly bin = path.join(this.folder, "bin");

    constructor(
        private readonly environment: Record<string, string> = {},
        private readonly options: string[] = [],
    ) {
        mkdirSync(this.bin);
        this.dockerConfig({});
    }

    remove(): void {
        rmSync(this.folder, { recursive: true, force: true });
    }

    file(name: string): string {
        return path.join(this.folder, name);
    }

    write(name: string, content: string | Buffer): string {
        writeFileSync(this.file(name), content, { mode: 0o600 });
        return this.file(name);
    }

    /** What docker's config.json holds from now on. */
    dockerConfig(content: object): void {
        this.write("config.json", JSON.stringify(content));
    }

    /** A credential helper that knows the logins of some servers, and writes down which ones it was asked for. */
    helper(name: string, logins: Record<string, { user: string; secret: string }>): { asked(): string[] } {
        const answers = Object.fromEntries(
            Object.entries(logins).map(([server, { user, secret }]) => [
                server,
                JSON.stringify({ ServerURL: server, Username: user, Secret: secret }),
            ]),
        );
        const [known, log] = [
            this.write(`${name}.json`, JSON.stringify(answers)),
            this.write(`${name}.log`, ""),
        ];
        const file = path.join(this.bin, `docker-credential-${name}`);
        const program = `#!${process.execPath}
const fs = require("node:fs");
const server = fs.readFileSync(0, "utf8").trim();
fs.appendFileSync(${JSON.stringify(log)}, \`\${process.argv[2]} \${server}\\n\`);
const answer = JSON.parse(fs.readFileSync(${JSON.stringify(known)}, "utf8"))[server];
console.log(answer ?? "credentials not found in native keychain");
process.exitCode = answer === undefined ? 1 : 0;
`;
        writeFileSync(file, program, { mode: 0o700 });
        return {
            asked: () =>
                readFileSync(log, "utf8")
                    .split("\n")
                    .filter((line) => line !== ""),
        };
    }

    /** Runs `wasm-oci`, or another program, whatever its exit code is. */
    async run(argv: string[], input?: string, more: Record<string, string> = {}): Promise<Ran> {
        const cleared = Object.keys(process.env).filter((name) =>
            /^(https?|all|no)_proxy$|^DOCKER_/i.test(name),
        );
        return run(argv[0] === "wasm-oci" ? [...argv, ...this.options] : argv, {
            cwd: this.folder,
            env: {
                ...Object.fromEntries(cleared.map((name) => [name, undefined])),
                PATH: `${this.bin}${path.delimiter}${process.env.PATH}`,
                DOCKER_CONFIG: this.folder,
                ...this.environment,
                ...more,
            },
            input,
            allowFailure: true,
            timeoutSeconds: 60,
        });
    }

    /** Runs `wasm-oci … --json`, which must succeed, and returns what it printed. */
    async wasmOci(...argv: string[]): Promise<Record<string, unknown>> {
        const { exitCode, stdout, stderr } = await this.run(["wasm-oci", ...argv, "--json"]);
        if (exitCode !== 0) throw new Error(`wasm-oci ${argv.join(" ")}: ${exitCode}: ${stderr}`);
        return JSON.parse(stdout) as Record<string, unknown>;
    }
}
