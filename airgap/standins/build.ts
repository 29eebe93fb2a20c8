// Builds the stand-ins for the parts of Pulumi that package registries do not serve: each one executable file, a node script
// with all that it needs bundled in, so that it may be moved and starts fast.
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { build } from "esbuild";
import { ROOT } from "../../common/root";

interface StandIn {
    /** File name of the executable, as the engine looks for it. */
    executable: string;
    entryPoint: string;
    /** The npm package whose version the stand-in takes: the engine asks for the plugin of just that version. */
    sdk: string;
}

const standIns: readonly StandIn[] = [
    {
        executable: "pulumi-language-nodejs",
        entryPoint: "airgap/standins/language-host/main.ts",
        sdk: "@pulumi/pulumi",
    },
    {
        executable: "pulumi-resource-command",
        entryPoint: "airgap/standins/command/main.ts",
        sdk: "@pulumi/command",
    },
];

/** Files and folders, relative to the project's root, that the built executables depend on. */
export const standInSources: readonly string[] = [
    "airgap/standins/language-host",
    ...["build.ts", "lib", "command"].map((name) => `airgap/standins/${name}`),
    "package-lock.json",
];

/** Writes the executables `pulumi-language-nodejs` and `pulumi-resource-command` into the folder. */
export async function buildStandIns(outDir: string): Promise<void> {
    await fs.mkdir(outDir, { recursive: true });
    await Promise.all(standIns.map((standIn) => buildOne(standIn, outDir)));
}

async function buildOne(standIn: StandIn, outDir: string): Promise<void> {
    const file = path.join(outDir, standIn.executable);
    const partial = `${file}.partial`;
    await build({
        absWorkingDir: ROOT,
        entryPoints: [standIn.entryPoint],
        outfile: partial,
        bundle: true,
        platform: "node",
        target: "node20",
        format: "cjs",
        banner: { js: "#!/usr/bin/env node" },
        define: { STANDIN_VERSION: JSON.stringify(await sdkVersion(standIn.sdk)) },
        minifySyntax: true,
        minifyWhitespace: true,
        legalComments: "none",
        logLevel: "error",
    });
    await fs.chmod(partial, 0o755);
    await fs.rename(partial, file);
}

/** The version of an npm package that is installed here, without a leading v. */
async function sdkVersion(name: string): Promise<string> {
    const manifest = JSON.parse(
        await fs.readFile(path.join(ROOT, "node_modules", ...name.split("/"), "package.json"), "utf8"),
    ) as { version: string };
    return manifest.version;
}
