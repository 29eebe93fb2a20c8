// The package's archives as `npm run package` makes them, once for all tests of this folder.
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { run } from "../../steps/lib/run";

export const root = path.resolve(__dirname, "../..");

export interface Packed {
    /** Holds the archives and whatever a test puts beside them. */
    folder: string;
    main: string;
    platform: string;
}

export async function makePackages(): Promise<Packed> {
    const folder = await fs.realpath(await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-package-")));
    const { stdout } = await run([process.execPath, "build/package.cjs", folder], { cwd: root });
    const [main, platform] = stdout.trim().split("\n");
    return { folder, main, platform };
}
