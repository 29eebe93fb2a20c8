/** What a node leaves on this host: nothing that another user could read, and nothing that another node could take. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { describe, it } from "node:test";
import { agentFiles } from "../../steps/node/agent/agent";
import { run } from "../../steps/lib/run";
import { underTest } from "../node/underTest";
import { fail } from "../steps/runStep";

/** What makes a file one that only its user may read. */
const secrets = /PRIVATE KEY|client-key-data|^\s*token: |"token"|kind: "?Config|eyJhbGciOi/m;
/** Modules can be large, and hold no key of ours. */
const mostBytes = 4 << 20;

describe("the node's files", { timeout: 60_000 }, () => {
    const { stateDir, dataDir, kubeconfigFile } = agentFiles(underTest().node.stateDir);
    const mode = async (file: string) => ((await fs.stat(file)).mode & 0o7777).toString(8);

    it("each that holds a key, a token or a kubeconfig is 0600, in folders of 0700", async () => {
        const entries = await fs.readdir(stateDir, { recursive: true, withFileTypes: true });
        const found = new Set<string>();
        for (const entry of entries.filter((one) => one.isFile())) {
            const file = path.join(entry.parentPath, entry.name);
            // A file may go while one looks: an atomic write has a file for a moment.
            const content = await fs.readFile(file).catch(() => Buffer.alloc(0));
            const isKey = path.dirname(file) === path.join(dataDir, "keys");
            if (isKey || (content.length < mostBytes && secrets.test(content.toString("latin1"))))
                found.add(file);
        }
        // Else the search finds nothing.
        for (const file of [kubeconfigFile, path.join(dataDir, "config", "krustlet.key")])
            assert.ok(found.has(file), `${file} is not among ${[...found].join(", ")}`);
        for (const file of found) {
            assert.equal(await mode(file), "600", file);
            for (let dir = path.dirname(file); dir.startsWith(stateDir); dir = path.dirname(dir))
                assert.equal(await mode(dir), "700", dir);
        }
        assert.equal(await mode(stateDir), "700");
        assert.equal(await mode(dataDir), "700");
    });

    it("the folder of another node, or of another stack, is refused", async () => {
        const { node } = underTest();
        assert.match(
            await fail("launchNode", { ...node, nodeName: "krustlet-intruder" }),
            /stateDir: .* is of node "krustlet-under-test" of krustlet-stack\/krustlet-node-test, not of node "krustlet-intruder"/,
        );
        assert.match(
            await fail("launchNode", { ...node, owner: "krustlet-stack/intruder" }),
            /stateDir: .* not of node "krustlet-under-test" of krustlet-stack\/intruder/,
        );
    });

    it("the agent itself refuses the data folder of another node", async () => {
        const { node } = underTest();
        const argv = [
            "krustlet-wasi",
            "--node-name=krustlet-intruder",
            "--hostname=krustlet-intruder",
            `--node-ip=${node.nodeIp}`,
            `--addr=${node.nodeIp}`,
            "--port=3934",
            `--data-dir=${dataDir}`,
            `--bootstrap-file=${path.join(stateDir, "none")}`,
        ];
        const env = { KUBECONFIG: path.join(stateDir, "none") };
        const { stderr, stdout, exitCode } = await run(argv, { env, allowFailure: true, timeoutSeconds: 20 });
        assert.notEqual(exitCode, 0, stdout);
        assert.match(stderr + stdout, /data-dir.*krustlet-under-test/);
    });
});
