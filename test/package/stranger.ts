// Somebody's own project: an empty folder, the package installed into it, a program from README.
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { run, type RunResult } from "../../steps/lib/run";
import { root, type Packed } from "./packed";

/** Versions that this project is tested with, by the names of packages. */
export async function pinned(...names: string[]): Promise<Record<string, string>> {
    const manifest = JSON.parse(await fs.readFile(path.join(root, "package.json"), "utf8")) as {
        devDependencies: Record<string, string>;
    };
    return Object.fromEntries(names.map((name) => [name, manifest.devDependencies[name]]));
}

/** The suite's tools with a Pulumi state in a folder of its own, and without this package's programs: those of the package must serve. */
async function strangersEnv(state: string): Promise<Record<string, string>> {
    const env = { ...(process.env as Record<string, string>) };
    for (const name of Object.keys(env)) {
        if (/^(KRUSTLET_|NODE_TEST_|npm_(lifecycle|package)_)|PASSPHRASE_FILE$/.test(name)) delete env[name];
    }
    const folders = (env.PATH ?? "").split(path.delimiter);
    const names = await Promise.all(folders.map((one) => fs.readdir(one).catch(() => [] as string[])));
    env.PATH = folders.filter((_, index) => !names[index].includes("krustlet-wasi")).join(path.delimiter);
    return { ...env, PULUMI_BACKEND_URL: `file://${state}`, PULUMI_CONFIG_PASSPHRASE: "strangers" };
}

export class Stranger {
    private constructor(
        /** The project. */
        public folder: string,
        private readonly env: Record<string, string>,
    ) {}

    static async create(name: string, packed: Packed): Promise<Stranger> {
        const folder = path.join(packed.folder, name);
        const state = path.join(packed.folder, `${name}-state`);
        await Promise.all([fs.mkdir(folder), fs.mkdir(state)]);
        return new Stranger(folder, await strangersEnv(state));
    }

    /** Puts the project in another place. */
    async move(name: string): Promise<void> {
        const to = path.join(path.dirname(this.folder), name);
        await fs.rename(this.folder, to);
        this.folder = to;
    }

    write(file: string, text: string | object): Promise<void> {
        return fs.writeFile(
            path.join(this.folder, file),
            typeof text === "string" ? text : `${JSON.stringify(text, null, 4)}\n`,
        );
    }

    /** Runs a program in the folder; an exit code that is not 0 is an error with its output. */
    run(...argv: string[]): Promise<RunResult> {
        const unset = Object.keys(process.env).map((name) => [name, undefined]);
        const env = { ...(Object.fromEntries(unset) as Record<string, undefined>), ...this.env };
        return run(argv, { cwd: this.folder, env, timeoutSeconds: 600 });
    }

    async install(manager: "npm" | "pnpm", packed: Packed): Promise<void> {
        const sdks = await pinned(
            ...["@pulumi/pulumi", "@pulumi/command", "@pulumi/docker", "@pulumi/kubernetes"],
        );
        const devDependencies = await pinned("typescript", "@types/node");
        const platform = path.basename(packed.platform).replace(/-\d+\.\d+\.\d+.*$/, "");
        // What a registry would give for the optional dependency is this archive.
        const overrides = { [platform]: `file:${packed.platform}` };
        await this.write("package.json", {
            name: "strangers",
            dependencies: { "krustlet-stack": `file:${packed.main}`, ...sdks },
            devDependencies,
            ...(manager === "npm" && { overrides }),
        });
        const options = ["install", "--ignore-scripts", "--prefer-offline"];
        if (manager === "npm") {
            await this.run("npm", ...options, "--loglevel=error");
        } else {
            await this.write("pnpm-workspace.yaml", { overrides });
            await this.run(process.execPath, path.join(root, "node_modules/pnpm/bin/pnpm.cjs"), ...options);
        }
    }

    /** What TypeScript's compiler says of the project's programs. */
    async typeErrors(options: object, ...files: string[]): Promise<string> {
        await this.write("tsconfig.json", {
            compilerOptions: { strict: true, target: "es2022", types: ["node"], noEmit: true, ...options },
            files,
        });
        const tsc = path.join(this.folder, "node_modules/typescript/bin/tsc");
        return (await run([process.execPath, tsc], { cwd: this.folder, allowFailure: true })).stdout;
    }
}
