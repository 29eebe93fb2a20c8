// The docker stand-in, built and called over gRPC, against a real Docker daemon.
import { execFileSync } from "node:child_process";
import assert from "node:assert/strict";
import { after, before, describe, it } from "node:test";
import { at, isSecret, secret, textAt, unknownSentinel, type Props, type Value } from "../lib/values";
import { makeImage } from "./dockerImage";
import { PluginProcess, initFailure, rejection } from "./harness";

const prefix = `standin-test-${process.pid}`;
const image = `${prefix}:1`;
const urnOf = (type: string): string => `urn:pulumi:dev::project::${type}::thing`;
const containerUrn = urnOf("docker:index/container:Container");
const imageUrn = urnOf("docker:index/remoteImage:RemoteImage");
const volumeUrn = urnOf("docker:index/volume:Volume");
const networkUrn = urnOf("docker:index/network:Network");

let plugin: PluginProcess;

function docker(...args: string[]): string {
    return execFileSync("docker", args, { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] }).trim();
}

before(async () => {
    makeImage(image);
    plugin = await PluginProcess.start("docker");
    await plugin.configure({});
});

after(async () => {
    assert.equal(await plugin.stop(), 0);
    docker("image", "rm", image);
});

/** Checks, creates, hands inputs and state to the test, and deletes. */
async function withResource(
    urn: string,
    args: Props,
    test: (made: { id: string; state: Props; inputs: Props }) => Promise<void>,
): Promise<void> {
    const { inputs, failures } = await plugin.check(urn, args);
    assert.deepEqual(failures, []);
    const { id, state } = await plugin.create(urn, inputs);
    try {
        await test({ id, state, inputs });
    } finally {
        await plugin.delete(urn, id, state);
    }
}

void describe("checking a container", () => {
    it("fills in the defaults and says which they are", async () => {
        const { inputs, failures } = await plugin.check(containerUrn, {
            name: "x",
            image,
            ports: [{ internal: 5000 }],
        });
        assert.deepEqual(failures, []);
        assert.deepEqual(inputs, {
            name: "x",
            image,
            ports: [{ internal: 5000, ip: "0.0.0.0", protocol: "tcp", __defaults: ["ip", "protocol"] }],
            attach: false,
            containerReadRefreshTimeoutMilliseconds: 15000,
            logs: false,
            memoryReservation: 0,
            mustRun: true,
            networkMode: "bridge",
            readOnly: false,
            removeVolumes: true,
            restart: "no",
            rm: false,
            start: true,
            stdinOpen: false,
            tty: false,
            wait: false,
            waitTimeout: 60,
            __defaults: [
                "attach",
                "containerReadRefreshTimeoutMilliseconds",
                "logs",
                "memoryReservation",
                "mustRun",
                "networkMode",
                "readOnly",
                "removeVolumes",
                "restart",
                "rm",
                "start",
                "stdinOpen",
                "tty",
                "wait",
                "waitTimeout",
            ],
        });
    });

    it("makes up a name, and keeps it", async () => {
        const first = await plugin.check(containerUrn, { image });
        assert.match(textAt(first.inputs, "name"), /^thing-[0-9a-f]{7}$/);
        const again = await plugin.check(containerUrn, { image }, first.inputs);
        assert.equal(again.inputs.name, first.inputs.name);
    });

    it("names each fault, and itself for what it does not serve", async () => {
        const { failures } = await plugin.check(containerUrn, {
            name: 7,
            restart: "sometimes",
            gpus: "all",
            ports: [{ external: "80" }],
        });
        const type = "docker:index/container:Container";
        assert.deepEqual(failures.sort(), [
            `"name" of ${type} must be a string, got 7`,
            `"ports[0].external" of ${type} must be a number, got "80"`,
            `"restart" of ${type} must be one of no, on-failure, always, unless-stopped, got "sometimes"`,
            "Missing required property 'image'",
            "Missing required property 'ports[0].internal'",
            `the air-gapped stand-in of the docker plugin does not serve the argument "gpus" of ${type}`,
        ]);
    });
});

void describe("a container", () => {
    it("previews with what Docker will fill in as unknown", async () => {
        const { inputs } = await plugin.check(containerUrn, { name: "x", image, ports: [{ internal: 80 }] });
        const { id, state } = await plugin.create(containerUrn, inputs, { preview: true });
        assert.equal(id, "");
        assert.equal(state.name, "x");
        assert.equal(state.networkDatas, unknownSentinel);
        assert.equal(state.hostname, unknownSentinel);
        assert.equal(at(state, "ports", 0, "external"), unknownSentinel);
        assert.equal(docker("ps", "-aq", "--filter", "name=^x$"), "");
    });

    it("runs as told, and its outputs tell what Docker chose", async () => {
        const args = {
            name: `${prefix}-run`,
            image,
            envs: ["A=1", "B=2"],
            labels: [{ label: "who", value: "me" }],
            ports: [{ internal: 5000, ip: "127.0.0.1" }],
            restart: "unless-stopped",
            uploads: [{ file: "/etc/greeting", content: "hello" }],
        };
        await withResource(containerUrn, args, async ({ id, state, inputs }) => {
            const inspected = at(JSON.parse(docker("inspect", id)) as Value, 0) as Props;
            assert.equal(inspected.Id, id);
            assert.equal(at(inspected, "State", "Running"), true);
            assert.deepEqual(at(inspected, "Config", "Labels"), { who: "me" });
            assert.deepEqual(at(inspected, "Config", "Env"), ["A=1", "B=2"]);
            assert.equal(at(inspected, "HostConfig", "RestartPolicy", "Name"), "unless-stopped");
            assert.equal(docker("cp", `${id}:/etc/greeting`, "-").includes("hello"), true);

            const external = at(state, "ports", 0, "external");
            assert.ok(typeof external === "number" && external > 0);
            assert.deepEqual(state.ports, [{ internal: 5000, external, ip: "127.0.0.1", protocol: "tcp" }]);
            assert.deepEqual(state.command, ["/prog", "sleep"]);
            assert.equal(at(state, "networkDatas", 0, "networkName"), "bridge");
            assert.equal(state.__meta, '{"schema_version":"2"}');
            assert.equal("__defaults" in state, false);

            const same = await plugin.diff(containerUrn, id, state, inputs, inputs);
            assert.equal(same.changed, false, JSON.stringify(same));
            const read = await plugin.read(containerUrn, id, state, inputs);
            assert.deepEqual(read, { id, state, inputs });
        });
    });

    it("is replaced, the old one first, by nearly every change", async () => {
        const args = {
            name: `${prefix}-diff`,
            image,
            envs: ["A=1"],
            ports: [{ internal: 80, external: 18080 }],
        };
        const { inputs } = await plugin.check(containerUrn, args);
        const state = { ...inputs, hostname: "x" };
        const change = (news: Props) =>
            plugin.diff(containerUrn, "id", state, inputs, { ...inputs, ...news });
        assert.deepEqual(await change({ envs: ["A=2"] }), {
            changed: true,
            replaces: ["envs"],
            deleteBeforeReplace: true,
            details: { envs: "UPDATE_REPLACE" },
        });
        assert.deepEqual((await change({ image: unknownSentinel })).replaces, ["image"]);
        assert.deepEqual((await change({ labels: [{ label: "a", value: "b" }] })).details, {
            labels: "ADD_REPLACE",
        });
        assert.deepEqual((await change({ envs: ["A=1"], hostname: null })).changed, false);
        assert.deepEqual(await change({ restart: "always" }), {
            changed: true,
            replaces: [],
            deleteBeforeReplace: false,
            details: { restart: "UPDATE" },
        });
    });

    it("changes its restart policy in place", async () => {
        const args = { name: `${prefix}-update`, image };
        await withResource(containerUrn, args, async ({ id, state }) => {
            const { inputs } = await plugin.check(containerUrn, { ...args, restart: "always" });
            const updated = await plugin.update(containerUrn, id, state, inputs);
            assert.equal(updated.restart, "always");
            assert.equal(docker("inspect", "-f", "{{.HostConfig.RestartPolicy.Name}}", id), "always");
            await plugin.update(containerUrn, id, updated, (await plugin.check(containerUrn, args)).inputs);
        });
    });

    it("that stopped is seen by a refresh and started again", async () => {
        await withResource(containerUrn, { name: `${prefix}-stop`, image }, async ({ id, state, inputs }) => {
            docker("stop", "-t", "0", id);
            const read = await plugin.read(containerUrn, id, state, inputs);
            assert.equal(read.state.mustRun, false);
            const diff = await plugin.diff(containerUrn, id, read.state, read.inputs, inputs);
            assert.deepEqual(diff.details, { mustRun: "UPDATE" });
            await plugin.update(containerUrn, id, read.state, inputs);
            assert.equal(docker("inspect", "-f", "{{.State.Running}}", id), "true");
        });
    });

    it("that is gone reads as gone, and its delete is no error", async () => {
        const { inputs } = await plugin.check(containerUrn, { name: `${prefix}-gone`, image });
        const { id, state } = await plugin.create(containerUrn, inputs);
        docker("rm", "-f", id);
        assert.deepEqual(await plugin.read(containerUrn, id, state, inputs), {
            id: "",
            state: {},
            inputs: {},
        });
        await plugin.delete(containerUrn, id, state);
    });

    it("that does not start is an error, and is recorded so that it does not leak", async () => {
        const { inputs } = await plugin.check(containerUrn, {
            name: `${prefix}-bad`,
            image,
            command: ["/no-such-program"],
        });
        const failure = initFailure(await rejection(plugin.create(containerUrn, inputs)));
        assert.match(failure.message, /^Unable to start container: .*no such file or directory/);
        assert.equal(failure.state.name, `${prefix}-bad`);
        assert.notEqual(docker("ps", "-aq", "--no-trunc", "--filter", `id=${failure.id}`), "");
        await plugin.delete(containerUrn, failure.id, failure.state);
        assert.equal(docker("ps", "-aq", "--filter", `name=${prefix}-bad`), "");
    });

    it("whose image cannot be had says so", async () => {
        const { inputs } = await plugin.check(containerUrn, { name: "x", image: "127.0.0.1:1/nothing:1" });
        await assert.rejects(plugin.create(containerUrn, inputs), {
            details:
                /^Unable to create container with image 127\.0\.0\.1:1\/nothing:1: unable to find or pull image/,
        });
    });

    it("keeps secret arguments secret", async () => {
        const args = { name: `${prefix}-secret`, image, envs: secret(["TOKEN=s3cr3t"]) };
        await withResource(containerUrn, args, async ({ state }) => {
            assert.ok(isSecret(state.envs));
            assert.deepEqual(state.envs.value, ["TOKEN=s3cr3t"]);
            assert.equal(isSecret(state.image), false);
            await Promise.resolve();
        });
    });
});

void describe("a container's surroundings", () => {
    it("are a network with an alias and a volume, which go once it has gone", async () => {
        const label = { labels: [{ label: "by", value: prefix }] };
        await withResource(volumeUrn, { name: `${prefix}-data`, ...label }, async (data) => {
            assert.equal(data.id, `${prefix}-data`);
            assert.equal(data.state.driver, "local");
            assert.equal(typeof data.state.mountpoint, "string");
            assert.equal(
                (await plugin.diff(volumeUrn, data.id, data.state, data.inputs, data.inputs)).changed,
                false,
            );
            const network = { name: `${prefix}-net`, ...label, ipamConfigs: [{ subnet: "10.213.7.0/24" }] };
            await withResource(networkUrn, network, async (net) => {
                assert.equal(net.state.scope, "local");
                assert.equal(
                    (await plugin.diff(networkUrn, net.id, net.state, net.inputs, net.inputs)).changed,
                    false,
                );
                const args = {
                    name: `${prefix}-member`,
                    image,
                    networksAdvanced: [
                        { name: `${prefix}-net`, aliases: ["registry"], ipv4Address: "10.213.7.9" },
                    ],
                    volumes: [{ volumeName: `${prefix}-data`, containerPath: "/data" }],
                };
                await withResource(containerUrn, args, async ({ id, state, inputs }) => {
                    assert.deepEqual(
                        (state.networkDatas as Props[]).map((data) => [data.networkName, data.ipAddress]),
                        [[`${prefix}-net`, "10.213.7.9"]],
                    );
                    assert.equal(docker("inspect", "-f", "{{(index .Mounts 0).Name}}", id), `${prefix}-data`);
                    assert.equal((await plugin.diff(containerUrn, id, state, inputs, inputs)).changed, false);
                });
            });
        });
        assert.equal(docker("volume", "ls", "-q", "--filter", `label=by=${prefix}`), "");
        assert.equal(docker("network", "ls", "-q", "--filter", `label=by=${prefix}`), "");
    });
});

void describe("a remote image", () => {
    it("is the one on the machine, and stays if told so", async () => {
        const imageId = docker("image", "inspect", "-f", "{{.Id}}", image);
        await withResource(imageUrn, { name: image, keepLocally: true }, async ({ id, state, inputs }) => {
            assert.equal(id, imageId + image);
            assert.equal(state.imageId, imageId);
            assert.equal(state.repoDigest, "");
            assert.equal((await plugin.diff(imageUrn, id, state, inputs, inputs)).changed, false);
        });
        assert.equal(docker("image", "inspect", "-f", "{{.Id}}", image), imageId);
    });

    it("goes otherwise", async () => {
        docker("tag", image, `${prefix}:2`);
        await withResource(imageUrn, { name: `${prefix}:2` }, () => Promise.resolve());
        assert.equal(docker("image", "ls", "-q", `${prefix}:2`), "");
    });
});

void describe("what it does not serve", () => {
    it("is refused by name", async () => {
        await assert.rejects(plugin.check(urnOf("docker:index/service:Service"), {}), {
            details:
                "the air-gapped stand-in of the docker plugin does not serve the type docker:index/service:Service",
        });
    });
});
