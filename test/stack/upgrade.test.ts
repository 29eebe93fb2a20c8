/**
 * States that earlier versions stored: this one updates and destroys them. Each was recorded by a real update of that version
 * (`pulumi stack export --show-secrets`, folders, host name and host id taken out). What it tells of stands, but for the node's processes, as after a
 * reboot; or is not there any more, as after a reinstalled host.
 */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { afterEach, beforeEach, describe, it } from "node:test";
import { thisHost } from "../../steps/lib/claim";
import { run } from "../../steps/lib/run";
import { removeTestCluster, removeTestStack } from "../killedRun";
import { stand } from "./states/standing";
import { leftovers, nothing, root, StackUnderTest } from "./stackUnderTest";

const NAME = "acceptance-upgrade";
const CLUSTER = "krustlet-upgrade";
const states = path.join(root, "test/stack/states");

void describe("a state that an earlier version stored", { timeout: 900_000 }, async () => {
    let stack: StackUnderTest;

    beforeEach(async () => {
        await sweep();
        stack = await StackUnderTest.create(NAME);
        await stack.configure({
            clusterName: CLUSTER,
            registryPort: 5121,
            nodes: [{ name: CLUSTER, port: 3121 }],
            workloads: [
                { name: "clock", kind: "Deployment", source: "workloads/ticker" },
                { name: "hello-wasm", source: "workloads/hello-world" },
            ],
        });
    });
    afterEach(async () => {
        await stack.remove();
        await sweep();
    });
    /** Removes what stands without a state, where a row failed before it was imported. */
    async function sweep(): Promise<void> {
        await removeTestStack(NAME);
        await removeTestCluster(CLUSTER);
    }

    const pulumi = async (args: string) => {
        const { stdout, stderr, exitCode } = await stack.pulumi(args);
        assert.equal(exitCode, 0, stdout + stderr);
        return stdout;
    };
    /** The stack with that state, and nothing else. */
    async function store(file: string, made = (state: string) => Promise.resolve(state)): Promise<void> {
        const text = await fs.readFile(path.join(states, file), "utf8");
        await run([process.execPath, "tools/run.js", "up", "--tools-only"], {
            cwd: root,
            env: { KRUSTLET_STACK_HOME: stack.home },
            timeoutSeconds: 300,
        });
        const own = path.join(stack.home, file);
        const here = text
            .replaceAll("@HOME@", stack.home)
            .replaceAll("@ROOT@", root)
            .replaceAll("@HOSTID@", (await thisHost()).id)
            .replaceAll("@CACHE@", path.join(os.homedir(), ".cache"));
        await fs.writeFile(own, await made(here));
        await pulumi(`stack init ${NAME} --no-select --non-interactive`);
        await pulumi(`stack import --stack ${NAME} --file ${own}`);
        assert.ok((await stack.resources()).length > 30);
    }
    async function down(): Promise<void> {
        const { stdout, stderr, exitCode } = await stack.npmRun("down");
        assert.equal(exitCode, 0, stdout + stderr);
        assert.deepEqual(await leftovers(CLUSTER, `-${NAME}-`, stack.home), nothing);
    }

    async function up(): Promise<string> {
        const { stdout, stderr, exitCode } = await stack.npmRun("up");
        assert.equal(exitCode, 0, stdout + stderr);
        assert.match(stdout, /^Hello, World!$/m);
        await pulumi(`preview --stack ${NAME} --expect-no-changes`);
        return stdout;
    }

    const files = (await fs.readdir(states)).filter((file) => file.endsWith(".json"));
    for (const file of files.sort()) {
        void it(`${file}: is destroyed where nothing of it is there`, async () => {
            await store(file);
            await down();
        });
        // The pushes of the one of before the first release have triggers: Pulumi would delete the pods first, in the cluster that is gone.
        if (file !== "0.1.0-before-claims.json")
            void it(`${file}: is updated where nothing of it is there, and has no change left`, async () => {
                await store(file);
                assert.match(await up(), /wasm-cluster-kind updated/);
                await down();
            });
        void it(`${file}: is updated as it stands, and nothing in its cluster is lost`, async () => {
            await store(file, stand);
            await stack.kubectl("create", "configmap", "mine", "--from-literal=a=b");
            await up();
            const mine = await stack.kubectl("get", "configmap", "mine", "--output=jsonpath={.data.a}");
            assert.equal(mine, "b");
            await down();
        });
        void it(`${file}: is destroyed as it stands`, async () => {
            await store(file, stand);
            await down();
        });
    }
});
