import assert from "node:assert/strict";
import { afterEach, describe, it } from "node:test";
import * as path from "node:path";
import type { StepClaim } from "../../../../steps/contract";
import { enterClaim, thisHost } from "../../../../steps/lib/claim";
import {
    containerNamed,
    containers,
    containersOn,
    contextEndpoint,
    dockerHost,
    network,
    volume,
} from "../../../../steps/lib/docker";
import { running } from "../../../../steps/node/daemon/container";
import { scratchFolder, scriptedTools } from "./scriptedDocker";

const tools = scriptedTools();

/** Answers `ps` and `inspect` as Docker does: a name's filter is a regular expression. */
function withContainers(...containers: { Id: string; Name: string; networks?: string[] }[]): void {
    const all = containers.map(({ Id, Name, networks = ["bridge"] }) => ({
        Id,
        Name: `/${Name}`,
        NetworkSettings: { Networks: Object.fromEntries(networks.map((name) => [name, {}])) },
    }));
    tools.script(
        "docker",
        `const all = ${JSON.stringify(all)};
         if (argv[0] === "ps") {
            const [, kind, value] = /^--filter=(name|network)=(.*)$/.exec(argv.at(-1));
            const found = all.filter((one) => kind === "name"
                ? new RegExp(value).test(one.Name)
                : Object.keys(one.NetworkSettings.Networks).some((name) => name.startsWith(value)));
            print(found.map(({ Id }) => Id + "\\n").join(""));
         } else print(JSON.stringify(all.filter(({ Id }) => argv.includes(Id))));`,
    );
}

describe("a container", () => {
    it("is found by exactly its name", async () => {
        withContainers(
            { Id: "1", Name: "reg-1" },
            { Id: "2", Name: "reg.1" },
            { Id: "3", Name: "reg.1.old" },
        );
        assert.equal((await containerNamed("reg.1"))?.Id, "2");
        assert.equal((await containerNamed("reg-1"))?.Id, "1");
        assert.equal(await containerNamed("reg"), undefined);
        assert.equal(await containerNamed("reg_1"), undefined);
    });

    it("is on exactly the network that is meant", async () => {
        withContainers(
            { Id: "1", Name: "a", networks: ["kind"] },
            { Id: "2", Name: "b", networks: ["kind-2"] },
        );
        assert.deepEqual(
            (await containersOn("kind")).map(({ Id }) => Id),
            ["1"],
        );
    });
});

describe("a daemon that is not the stack's", () => {
    const folder = scratchFolder("daemon");
    const claim = async (name: string): Promise<StepClaim> => ({
        ...{ id: "0123456789abcdef", owner: "shop/dev/0123456789abcdef" },
        ...{ folder: path.join(folder, name), host: await thisHost() },
    });
    /** A daemon of that id, which has nothing. */
    const daemon = (id: string) => {
        const info = JSON.stringify({ ID: id, ServerVersion: "28.1" });
        const missing = 'say("Error: No such " + argv[0] + ": x"); print("[]"); return 1;';
        tools.script(
            "docker",
            `if (argv[0] === "info") print(${JSON.stringify(info)}); else if (argv[1] === "inspect") { ${missing} }`,
        );
    };
    const looks: Record<string, () => Promise<unknown>> = {
        containers: () => containers("id=x").then((all) => all.at(0)),
        "a container by its name": () => containerNamed("x"),
        "whether one runs": () => running({ id: "x", name: "x", network: "kind", address: "172.18.0.3" }),
        "a network": () => network("x"),
        "a volume": () => volume("x"),
    };
    afterEach(() => enterClaim(undefined));

    for (const [what, look] of Object.entries(looks)) {
        it(`says nothing of ${what}: it is named, and the one that is meant`, async () => {
            await enterClaim(await claim(what));
            daemon("ours");
            await dockerHost();
            assert.equal(await look(), undefined);
            await enterClaim(await claim(`${what} of another process`));
            await dockerHost();
            daemon("other");
            await assert.rejects(
                look(),
                /^StepError: Docker: this stack \(shop\/dev\/0123456789abcdef\) is in the daemon with the id ours, and the one with the id other answers; set DOCKER_HOST/,
            );
            tools.script("docker", 'say("Cannot connect to the Docker daemon at unix:///x.sock"); return 1;');
            await assert.rejects(
                look(),
                /^StepError: Docker: no daemon answers \(Cannot connect to the Docker daemon/,
            );
            // Nor does it where nothing is known of a daemon yet.
            await enterClaim(undefined);
            await assert.rejects(look(), /Cannot connect to the Docker daemon/);
        });
    }

    it("is asked for once in a process", async () => {
        await enterClaim(await claim("once"));
        daemon("ours");
        await dockerHost();
        tools.forget();
        await Promise.all(Object.values(looks).map((look) => look()));
        await containerNamed("x");
        assert.equal(tools.asked().filter((call) => call.startsWith("docker info")).length, 1);
    });
});

describe("the docker command", () => {
    const info = { ID: "d", ServerVersion: "28.1", CgroupVersion: "2", Name: "here", KernelVersion: "6.1" };
    const prints = (text: string, stderr = "", code = 0) => {
        tools.script(
            "docker",
            `print(${JSON.stringify(text)}); say(${JSON.stringify(stderr)}); return ${code};`,
        );
    };
    it("may warn on standard error", async () => {
        prints(JSON.stringify(info), "WARNING: No swap limit support\n");
        assert.deepEqual(await dockerHost(), {
            id: "d",
            serverVersion: "28.1",
            cgroupVersion: "2",
            name: "here",
            kernelVersion: "6.1",
            securityOptions: [],
        });
    });

    const podman = /^Docker: the docker command is Podman's stand-in, .*install Docker/;
    const faults: [string, string, string, number, RegExp][] = [
        ["podman's own answer", '{"host":{"arch":"amd64"},"store":{},"version":{}}', "", 0, podman],
        [
            "podman that says so",
            "",
            "Emulate Docker CLI using podman. Create /etc/containers/nodocker to quiet msg.\nError: x",
            125,
            podman,
        ],
        ["podman that prints it", "Emulate Docker CLI using podman.\n{}", "", 0, podman],
        [
            "a warning before the answer",
            `WARNING: old config\n${JSON.stringify(info)}`,
            "",
            0,
            /must print JSON alone, and printed: WARNING: old config; make the docker command/,
        ],
        ["nothing", "", "", 0, /must print JSON alone, and printed: nothing/],
        ["no daemon", '{"ServerErrors":["Cannot connect"]}', "", 0, /no daemon answers \(Cannot connect\)/],
        [
            "no daemon, as a failure",
            "",
            "Cannot connect to the Docker daemon\n",
            1,
            /no daemon answers \(Cannot connect to the Docker daemon\)/,
        ],
    ];
    for (const [what, stdout, stderr, code, message] of faults) {
        it(`is told of by its cause: ${what}`, async () => {
            prints(stdout, stderr, code);
            await assert.rejects(
                dockerHost(),
                ({ message: said }: Error) => message.test(said) || assert.fail(said),
            );
        });
    }

    it("goes by its current context where the environment names no daemon", async () => {
        prints('{"name":"colima","host":"unix:///c.sock"}');
        assert.deepEqual(await contextEndpoint({}), { name: "colima", host: "unix:///c.sock" });
        tools.forget();
        for (const set of [{ DOCKER_HOST: "tcp://x" }, { DOCKER_CONTEXT: "x" }])
            assert.equal(await contextEndpoint(set), undefined);
        assert.deepEqual(tools.asked(), []);
    });
});
