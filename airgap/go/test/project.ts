// A small Pulumi project for a test: its folder, its state, and plain `pulumi` commands on it.
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { ROOT } from "../../../common/root";

/** What a variable of the suite's set-up says. */
export function given(variable: string): string {
    const value = process.env[variable];
    assert.ok(value, `${variable} must be set`);
    return value;
}

export interface Project {
    /** Runs a program in the project's folder. Gives its standard output; an error holds both outputs. */
    run(program: string, ...args: string[]): Promise<string>;
    /** Runs `pulumi`. */
    pulumi(...args: string[]): Promise<string>;
    /** What such a command says that has to fail. */
    failure(...args: string[]): Promise<string>;
    /** Variables that the commands to come are run with, besides those of the test. */
    env: NodeJS.ProcessEnv;
    /** Destroys what the stack has, and removes the folder. */
    remove(): Promise<void>;
}

interface Configuration {
    plain: Record<string, string>;
    secret: Record<string, string>;
}

/** A project of that program with a stack `dev`. The plugins are those that the set-up installed. */
export async function makeProject(
    name: string,
    program: string,
    { plain, secret }: Configuration,
): Promise<Project> {
    const folder = await fs.mkdtemp(path.join(os.tmpdir(), `${name}-`));
    // The language host is beside the `pulumi` of PATH.
    await fs.mkdir(path.join(folder, "home"));
    await fs.symlink(path.join(given("PULUMI_HOME"), "plugins"), path.join(folder, "home", "plugins"));
    const loader = path.join(ROOT, "typescript.cjs");
    const runtime = `{ name: nodejs, options: { typescript: false, nodeargs: "--require ${loader}" } }`;
    const write = (file: string, text: string) => fs.writeFile(path.join(folder, file), text);
    await write("Pulumi.yaml", `name: ${name}\nruntime: ${runtime}\n`);
    await write("package.json", `{ "name": "${name}", "main": "index.ts" }`);
    await write("index.ts", program);
    await fs.symlink(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
    await fs.mkdir(path.join(folder, "state"));
    const env: NodeJS.ProcessEnv = {
        ...process.env,
        PULUMI_HOME: path.join(folder, "home"),
        PULUMI_BACKEND_URL: `file://${path.join(folder, "state")}`,
        PULUMI_CONFIG_PASSPHRASE: "test",
        PULUMI_CONFIG_PASSPHRASE_FILE: undefined,
        PULUMI_SKIP_UPDATE_CHECK: "true",
    };
    const run = (command: string, ...args: string[]): Promise<string> =>
        new Promise((resolve, reject) => {
            const options = { cwd: folder, env, maxBuffer: 64 * 1024 * 1024, timeout: 300_000 };
            execFile(command, args, options, (error, stdout, stderr) => {
                if (error) reject(new Error(`${command} ${args[0]}: ${error.message}\n${stdout}\n${stderr}`));
                else resolve(stdout);
            });
        });
    const pulumi = (...args: string[]) => run("pulumi", "--non-interactive", ...args);
    const failure = (...args: string[]) =>
        pulumi(...args).then(
            () => assert.fail(`pulumi ${args[0]} should have failed`),
            (error: Error) => error.message,
        );
    await pulumi("stack", "init", "dev");
    const pairs = (flag: string, values: Record<string, string>): string[] =>
        Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${value}`]);
    await pulumi("config", "set-all", ...pairs("--plaintext", plain), ...pairs("--secret", secret));
    const remove = async () => {
        await pulumi("destroy", "--yes", "--skip-preview");
        await fs.rm(folder, { recursive: true });
    };
    return { run, pulumi, failure, env, remove };
}
