import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { describe, it } from "node:test";
import { ROOT } from "../../common/root";
import { run } from "../../steps/lib/run";

/** What a process prints that loads the SDK as the stack's program does: after a part of its runner. */
async function printed(script: string): Promise<unknown> {
    const program = `
        require("source-map-support/register");
        require("./build/lightSdk.cjs");
        const pulumi = require("@pulumi/pulumi");
        const loaded = (name) => Object.keys(require.cache).some((file) => file.includes("/node_modules/" + name + "/"));
        (async () => { ${script} })().then((value) => console.log(JSON.stringify(value)));`;
    const { stdout } = await run([process.execPath, "--eval", program], { cwd: ROOT });
    return JSON.parse(stdout);
}

describe("Pulumi's SDK for this program", () => {
    it("is loaded without what stores functions", async () => {
        const names = ["@pulumi/pulumi", "typescript", "@npmcli/arborist"];
        const loaded = await printed(`return ${JSON.stringify(names)}.map(loaded)`);
        assert.deepEqual(loaded, [true, false, false]);
    });
    it("stores functions all the same, and finds the packages that they want", async () => {
        const project = await fs.mkdtemp(path.join(os.tmpdir(), "krustlet-stack-sdk-"));
        const one = path.join(project, "node_modules", "one");
        await fs.mkdir(one, { recursive: true });
        const manifest = { name: "project", version: "1.0.0", dependencies: { one: "1.0.0" } };
        await fs.writeFile(path.join(project, "package.json"), JSON.stringify(manifest));
        await fs.writeFile(path.join(one, "package.json"), '{"name":"one","version":"1.0.0"}');
        try {
            const [text, paths] = (await printed(`
                const { text } = await pulumi.runtime.serializeFunction((a) => a + 42);
                process.chdir(${JSON.stringify(project)});
                return [text, [...(await pulumi.runtime.computeCodePaths()).keys()]]`)) as [string, string[]];
            assert.match(text, /return \(a\) => a \+ 42/);
            assert.deepEqual(paths, ["node_modules/one"]);
        } finally {
            await fs.rm(project, { recursive: true });
        }
    });
    it("takes stack traces as Node.js has them, of the files that run", async () => {
        const stack = await printed(
            "try { new pulumi.Config('project').require('missing') } catch ({ stack }) { return stack }",
        );
        assert.match(String(stack), /at Config\.require \(\S+\/@pulumi\/pulumi\/config\.js:\d+:\d+\)/);
    });
});
