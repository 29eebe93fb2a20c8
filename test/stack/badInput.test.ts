/** Bad input: one clear message each, and nothing is created. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import { createServer } from "node:net";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { REGISTRY_IMAGE } from "../../common/versions";
import { leftovers, nothing, StackUnderTest, type StackConfig } from "./stackUnderTest";

const REGISTRY_PORT = 5104;
const FOREIGN = "krustlet-foreign";

const good: StackConfig = {
    clusterName: "krustlet-refused",
    registryPort: REGISTRY_PORT,
    nodes: [{ name: "krustlet-refused", port: 3104 }],
    workloads: [{ name: "hello-wasm", source: "workloads/hello-world" }],
};

void describe("bad input", { timeout: 600_000 }, () => {
    let stack: StackUnderTest;

    before(async () => {
        stack = await StackUnderTest.create("acceptance-refused");
    });

    after(async () => {
        await stack.remove();
    });

    /** `up` with a changed configuration must fail with these words, and leave the machine as it was. */
    async function refused(
        change: StackConfig,
        words: RegExp[],
        env: Record<string, string> = {},
        containers: string[] = [],
    ): Promise<void> {
        await stack.configure({ ...good, ...change });
        const begun = Date.now();
        const { stdout, stderr, exitCode } = await stack.npmRun("up", env);
        const output = stdout + stderr;
        // A refusal is no long work: the SDK once took half a minute to lay out the error.
        assert.ok(Date.now() - begun < 20_000, `${Date.now() - begun} ms`);
        assert.notEqual(exitCode, 0, output);
        for (const word of words) assert.match(output, word);
        // A stack trace is no message.
        assert.doesNotMatch(output, /^\s+at .*\.[cm]?[jt]s:\d+/m);
        assert.deepEqual(await leftovers("krustlet-refused", "acceptance-refused", FOREIGN), {
            ...nothing,
            containers,
        });
        assert.ok(!(await stack.files()).some((file) => file.startsWith("nodes")));
    }

    void it("an unknown configuration key", async () => {
        await refused({ clusterNmae: "x" }, [/clusterNmae/, /did you mean "?clusterName/]);
    });

    void it("a cluster name that kind would refuse, and a clash of names, in one message", async () => {
        const twice = { name: "hello-wasm", source: "workloads/hello-world" };
        await refused({ clusterName: "Bad_Name", workloads: [twice, twice] }, [
            /clusterName.*Bad_Name/,
            /workloads\[1\]\.name/,
        ]);
    });

    void it("a port in use", async () => {
        const server = createServer();
        await new Promise<void>((resolve) => server.listen(REGISTRY_PORT, "127.0.0.1", resolve));
        try {
            await refused({}, [new RegExp(`LocalRegistry\\.port: ${REGISTRY_PORT} is in use`)]);
        } finally {
            await new Promise((resolve) => server.close(resolve));
        }
    });

    void it("a .wasm file that is no WebAssembly", async () => {
        const file = path.join(stack.home, "text.wasm");
        await fs.writeFile(file, "this is no module\n");
        await refused({ workloads: [{ name: "hello-wasm", file }] }, [/text\.wasm/, /WebAssembly/]);
    });

    void it("a registry that is not there", async () => {
        const elsewhere = { registryAddress: "localhost:5998/team", registryPlainHttp: true };
        await refused(elsewhere, [/localhost:5998/]);
    });

    void it("a cluster of that name that is not ours, which is left alone", async () => {
        const image = `${REGISTRY_IMAGE.name}:${REGISTRY_IMAGE.tag}`;
        const label = `io.x-k8s.kind.cluster=${FOREIGN}`;
        const node = `${FOREIGN}-control-plane`;
        await run(["docker", "create", "--name", node, "--label", label, image]);
        try {
            await refused({ clusterName: FOREIGN }, [new RegExp(FOREIGN)], {}, [node]);
        } finally {
            await run(["docker", "rm", "--force", "--volumes", node]);
        }
    });

    void it("Docker down", async () => {
        const env = { DOCKER_HOST: "unix:///var/run/nobody-listens.sock" };
        await refused({}, [/Docker/], env);
    });
});
