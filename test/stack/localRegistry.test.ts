/** The local registry: it comes back with Docker, keeps its data where asked, and serves the cluster's own nodes. */
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { load } from "js-yaml";
import { run } from "../../steps/lib/run";
import { REGISTRY_IMAGE } from "../../common/versions";
import { leftovers, nothing, StackUnderTest } from "./stackUnderTest";

const PORT = 5108;
const CONTAINER = "krustlet-stack-acceptance-registry-registry";
const VOLUME = `${CONTAINER}-data`;
const APP = `localhost:${PORT}/team/app:v1`;

async function docker(...args: string[]): Promise<string> {
    return (await run(["docker", ...args], { timeoutSeconds: 120 })).stdout.trim();
}

/** Names of what the registry holds, as soon as it answers. */
async function repositories(): Promise<string[]> {
    for (let turn = 0; ; turn++) {
        try {
            const answer = await fetch(`http://localhost:${PORT}/v2/_catalog`);
            return ((await answer.json()) as { repositories: string[] }).repositories;
        } catch (error) {
            if (turn >= 100) throw error;
            await sleep(100);
        }
    }
}

void describe("the local registry", { timeout: 900_000 }, () => {
    let stack: StackUnderTest;

    before(async () => {
        await run(["docker", "volume", "rm", VOLUME], { allowFailure: true });
        stack = await StackUnderTest.create("acceptance-registry");
        await stack.configure({
            clusterName: "krustlet-registry",
            registryPort: PORT,
            registryKeepData: true,
            nodes: [],
        });
    });
    after(async () => {
        await stack.remove();
        await run(["docker", "rmi", APP], { allowFailure: true });
        await run(["docker", "volume", "rm", VOLUME], { allowFailure: true });
    });

    async function up(): Promise<void> {
        const { stdout, stderr, exitCode } = await stack.npmRun("up");
        assert.equal(exitCode, 0, stdout + stderr);
    }

    void it("is announced to the cluster", async () => {
        await up();
        const data = await stack.kubectl(
            ...["get", "configmap", "local-registry-hosting", "--namespace=kube-public"],
            "--output=jsonpath={.data.localRegistryHosting\\.v1}",
        );
        assert.deepEqual(load(data), {
            host: `localhost:${PORT}`,
            hostFromContainerRuntime: `${CONTAINER}:5000`,
            hostFromClusterNetwork: `${CONTAINER}:5000`,
            help: "https://kind.sigs.k8s.io/docs/user/local-registry/",
        });
    });

    void it("a container image that is pushed to it runs on the cluster's own node", async () => {
        await docker("tag", `${REGISTRY_IMAGE.name}:${REGISTRY_IMAGE.tag}`, APP);
        await docker("push", "--quiet", APP);
        await stack.kubectl("run", "app", `--image=${APP}`, "--restart=Never");
        await stack.kubectl("wait", "--for=condition=Ready", "pod/app", "--timeout=60s");
        await stack.kubectl("delete", "pod", "app", "--grace-period=1");
    });

    void it("preview and refresh see no change, though it is on the cluster's network now", async () => {
        for (const command of ["preview", "refresh --yes"]) {
            const { stdout, stderr, exitCode } = await stack.pulumi(
                `${command} --stack ${stack.name} --expect-no-changes`,
            );
            assert.equal(exitCode, 0, stdout + stderr);
        }
    });

    void it("starts again when it dies, with its data, and the node reaches it again", async () => {
        const pid = await docker("inspect", "--format={{.State.Pid}}", CONTAINER);
        // Not `docker kill`: that is a wish to have it stopped. When the daemon starts it does as it does here.
        process.kill(Number(pid), "SIGKILL");
        const deadline = Date.now() + 30_000;
        const state = "--format={{.State.Running}} {{.State.Pid}}";
        while (!/^true (?!0)/.test(await docker("inspect", state, CONTAINER)) && Date.now() < deadline)
            await sleep(100);
        assert.deepEqual(await repositories(), ["team/app"]);
        assert.notEqual(await docker("inspect", "--format={{.State.Pid}}", CONTAINER), pid);
        await stack.kubectl("run", "again", `--image=${APP}`, "--image-pull-policy=Always");
        await stack.kubectl("wait", "--for=condition=Ready", "pod/again", "--timeout=60s");
    });

    void it("has its data when it was stopped and started", async () => {
        await docker("stop", "--time=1", CONTAINER);
        await docker("start", CONTAINER);
        assert.deepEqual(await repositories(), ["team/app"]);
    });

    void it("down leaves its data, and nothing else", async () => {
        const { stdout, stderr, exitCode } = await stack.npmRun("down");
        assert.equal(exitCode, 0, stdout + stderr);
        assert.deepEqual(await leftovers("krustlet-registry", CONTAINER, stack.home), {
            ...nothing,
            volumes: [VOLUME],
        });
    });

    void it("the next up finds it", async () => {
        await up();
        assert.deepEqual(await repositories(), ["team/app"]);
        const { exitCode } = await stack.npmRun("down");
        assert.equal(exitCode, 0);
    });

    void it("a volume of that name that is somebody else's is refused before anything is made", async () => {
        await docker("volume", "rm", VOLUME);
        await docker("volume", "create", "--label=krustlet-stack.owner=krustlet-stack/other", VOLUME);
        const { stdout, stderr, exitCode } = await stack.npmRun("up");
        assert.notEqual(exitCode, 0);
        assert.match(
            stdout + stderr,
            /LocalRegistry\.keepData: a volume "krustlet-stack-acceptance-registry-registry-data" exists and belongs to krustlet-stack\/other/,
        );
        const { containers } = await leftovers("krustlet-registry", CONTAINER);
        assert.deepEqual(containers, []);
    });
});
