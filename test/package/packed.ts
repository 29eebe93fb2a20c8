// The package's archives as `npm run package` makes them, once for all tests of this folder.
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { run } from "../../steps/lib/run";
import type { SuiteContext } from "../suites";

export const root = path.resolve(__dirname, "../..");

/** The variable that tells the tests of the archives, as JSON. */
const VARIABLE = "KRUSTLET_TEST_PACKAGES";

export interface Packed {
    /** Holds the archives and whatever a test puts beside them. */
    folder: string;
    main: string;
    platform: string;
}

/** Runs `use` with the environment by which tests find the archives. */
export async function withPackages<T>(
    { env }: SuiteContext,
    use: (env: Record<string, string>) => Promise<T>,
): Promise<T> {
    const folder = await fs.realpath(await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-package-")));
    try {
        const { stdout } = await run([process.execPath, "build/package.cjs", folder], { cwd: root, env });
        const [main, platform] = stdout.trim().split("\n");
        return await use({ [VARIABLE]: JSON.stringify({ folder, main, platform } satisfies Packed) });
    } finally {
        await fs.rm(folder, { recursive: true, force: true });
    }
}

/** The archives. */
export function packages(): Packed {
    const text = process.env[VARIABLE];
    if (text === undefined) throw new Error(`${VARIABLE} is not set; \`npm test -- package\` sets it`);
    return JSON.parse(text) as Packed;
}

/** The program in README's section "In your own stack". */
export async function readmeProgram(): Promise<string> {
    const text = await fs.readFile(path.join(root, "README.md"), "utf8");
    const program = /^## In your own stack\n[^]*?^```ts\n([^]*?)^```$/m.exec(text)?.[1];
    if (program === undefined) throw new Error('README.md has no program under "In your own stack"');
    return program;
}

/** A text with parts put in the place of others, each of which is there, wherever they are. */
export function withParts(text: string, parts: Record<string, string>): string {
    return Object.entries(parts).reduce((now, [old, part]) => {
        assert.ok(now.includes(old), old);
        return now.replaceAll(old, part);
    }, text);
}
