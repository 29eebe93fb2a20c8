import assert from "node:assert/strict";
import { test } from "node:test";
import { LocalRegistry } from "../../../../components";
import { commandInputs, forgotten, notUndone, steps } from "../fixtures";
import { record } from "../mocks";

test("a registry of defaults, on the loopback address alone, known when it answers", async () => {
    const { resources, result } = await record({ steps }, () => {
        const { address, instance, containerName } = new LocalRegistry("r");
        return { address, instance, containerName };
    });
    const parent = "krustlet-stack:index:LocalRegistry::r";
    assert.deepEqual(resources, {
        r: { type: "krustlet-stack:index:LocalRegistry", parent: undefined, inputs: {}, options: {} },
        "r-image": {
            type: "docker:index/remoteImage:RemoteImage",
            parent,
            inputs: { name: "registry:3.1.2", keepLocally: true, pullTriggers: [] },
            options: {},
        },
        "r-room": {
            type: "command:local:Command",
            parent,
            inputs: {
                ...commandInputs("clearRegistry"),
                stdin: JSON.stringify({ containerName: "project-stack-registry" }),
            },
            options: notUndone,
        },
        "r-container": {
            type: "docker:index/container:Container",
            parent,
            inputs: {
                name: "project-stack-registry",
                image: "sha256:image",
                ports: [{ internal: 5000, external: 5001, ip: "127.0.0.1", protocol: "tcp" }],
                envs: ["OTEL_TRACES_EXPORTER=none", "REGISTRY_STORAGE_DELETE_ENABLED=true"],
                labels: [{ label: "krustlet-stack.owner", value: "project/stack/0123456789abcdef" }],
                networkMode: "bridge",
                restart: "unless-stopped",
                mustRun: true,
                removeVolumes: true,
            },
            options: {
                deleteBeforeReplace: true,
                dependsOn: ["command:local:Command::r-room", "docker:index/remoteImage:RemoteImage::r-image"],
            },
        },
        "r-ready": {
            type: "command:local:Command",
            parent,
            inputs: {
                ...commandInputs("awaitRegistry", "forget"),
                stdin: JSON.stringify({
                    address: "localhost:5001",
                    plainHttp: true,
                    timeoutSeconds: 60,
                    container: { id: "r-container-id", name: "project-stack-registry" },
                }),
            },
            options: { ...forgotten, dependsOn: ["docker:index/container:Container::r-container"] },
        },
    });
    assert.deepEqual(result, {
        address: "localhost:5001",
        instance: "r-container-id",
        containerName: "project-stack-registry",
    });
});

test("every argument reaches its child", async () => {
    const { resources } = await record({ steps }, () => {
        const args = { port: 5005, image: "registry:3", containerName: "mine", readyTimeoutSeconds: 5 };
        return new LocalRegistry("r", args).address;
    });
    const container = resources["r-container"].inputs;
    assert.equal(resources["r-image"].inputs.name, "registry:3");
    assert.equal(container.name, "mine");
    assert.deepEqual(container.ports, [{ internal: 5000, external: 5005, ip: "127.0.0.1", protocol: "tcp" }]);
    assert.deepEqual(JSON.parse(String(resources["r-ready"].inputs.stdin)), {
        address: "localhost:5005",
        plainHttp: true,
        timeoutSeconds: 5,
        container: { id: "r-container-id", name: "mine" },
    });
});

test("a container that is gone is made anew for that reason, and one that has stopped is only started", async () => {
    const seen = async (answer: object) => {
        const all = { ...steps, observeRegistry: answer };
        const { resources } = await record({ steps: all }, () => new LocalRegistry("r").address);
        const { labels } = resources["r-container"].inputs as { labels: object[] };
        const input = JSON.parse(String(resources["r-ready"].inputs.stdin)) as Record<string, unknown>;
        return { labels: labels.slice(1), because: input.because, lost: input.lost };
    };
    assert.deepEqual(await seen({ because: "it has stopped" }), {
        labels: [],
        because: "it has stopped",
        lost: undefined,
    });
    assert.deepEqual(await seen({ lost: "it is gone" }), {
        labels: [{ label: "krustlet-stack.because", value: "it is gone" }],
        because: undefined,
        lost: "it is gone",
    });
});

test("data that is kept is in a volume of its own, which stays and is found again by its name", async () => {
    const { resources, result } = await record({ steps }, () => {
        return new LocalRegistry("r", { keepData: true, containerName: "mine" }).instance;
    });
    assert.deepEqual(resources["r-data"], {
        type: "docker:index/volume:Volume",
        parent: "krustlet-stack:index:LocalRegistry::r",
        inputs: { name: "mine-data", labels: [{ label: "krustlet-stack.owner", value: "project/stack" }] },
        options: { retainOnDelete: true },
    });
    const { volumes, removeVolumes } = resources["r-container"].inputs;
    assert.deepEqual(volumes, [{ volumeName: "mine-data", containerPath: "/var/lib/registry" }]);
    assert.equal(removeVolumes, true, "of those without a name");
    assert.equal(result, "mine-data", "another container has the same data");
});

test("a port that is none is refused", async () => {
    await record({ steps }, () =>
        assert.throws(() => new LocalRegistry("r", { port: 70000 }), {
            message:
                'LocalRegistry "r" has 1 problem:\n  - port: must be a whole number from 1 to 65535, not 70000',
        }),
    );
});
