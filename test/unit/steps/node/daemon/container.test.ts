/** How a node's program comes into a container: what Docker is told, and what is made of its answers. */
import assert from "node:assert/strict";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import * as path from "node:path";
import { describe, it } from "node:test";
import type { NodeInput, StepClaim } from "../../../../../steps/contract";
import * as claim from "../../../../../steps/lib/claim";
import { daemonFile } from "../../../../../steps/lib/docker";
import { agentPlace } from "../../../../../steps/node/agent/inContainer";
import * as container from "../../../../../steps/node/daemon/container";
import { runs, type DaemonRecord } from "../../../../../steps/node/daemon/daemon";
import { scratchFolder, scriptedTools } from "../../lib/scriptedDocker";

const folder = scratchFolder("container");

const tools = scriptedTools();

const asked = () => tools.asked().map((line) => line.replace(/^docker /, ""));

void describe("a container's name", () => {
    for (const [owner, nodeName, name] of [
        ["project/dev/0123456789abcdef", "krustlet", "project-dev-krustlet-agent"],
        ["project/dev", "edge.one", "project-dev-edge.one-agent"],
    ])
        void it(name, () => {
            assert.equal(container.containerName(owner, nodeName, "agent"), name);
        });
    void it("ends where names of hosts end, by which it is asked for, and is still another one for each node", () => {
        const owner = "a-project-with-a-long-name/production/0123456789abcdef";
        const nodes = ["a-node-with-a-long-name-too-1", "a-node-with-a-long-name-too-2", "n".repeat(63)];
        const names = nodes.flatMap((node) =>
            (["agent", "approver"] as const).map((part) => container.containerName(owner, node, part)),
        );
        for (const name of names) assert.ok(name.length <= 63, name);
        assert.equal(new Set(names).size, names.length);
        assert.match(names[0], /^a-project-with-a-long-name-production-a-node-wit-[0-9a-f]{8}-agent$/);
        assert.equal(container.containerName(owner, nodes[0], "agent"), names[0]);
        const exact = "a".repeat(63 - "p-s--agent".length);
        assert.equal(container.containerName("p/s", exact, "agent"), `p-s-${exact}-agent`);
        // No label of a host's name may begin or end with what is between the words.
        const dotted = container.containerName("p/s", `${"a".repeat(43)}.${"b".repeat(19)}`, "agent");
        assert.match(dotted, /^p-s-a{43}-[0-9a-f]{8}-agent$/);
    });
});

void describe("a mount", () => {
    for (const [mount, option] of [
        [{ path: "/srv/a", readOnly: false }, "--mount=type=bind,source=/srv/a,target=/srv/a"],
        [{ path: "/etc/x", readOnly: true }, "--mount=type=bind,source=/etc/x,target=/etc/x,readonly"],
        [{ path: '/a,"b', readOnly: false }, '--mount=type=bind,"source=/a,""b","target=/a,""b"'],
    ] as const)
        void it(option, () => {
            assert.equal(container.mountOption(mount), option);
        });
});

void describe("a container's options", () => {
    const user = `--user=${process.getuid?.()}:${process.getgid?.()}`;
    const shut = ["--read-only", "--tmpfs=/tmp:rw,noexec,nosuid,nodev,size=64m", "--cap-drop=ALL"];
    for (const [what, securityOptions, options] of [
        [
            "as this user",
            ["name=seccomp,profile=default"],
            [user, ...shut, "--security-opt=no-new-privileges"],
        ],
        [
            "of a rootless daemon",
            ["name=rootless"],
            ["--user=0:0", ...shut, "--security-opt=no-new-privileges"],
        ],
        [
            "on a host with SELinux",
            ["name=selinux"],
            [user, ...shut, "--security-opt=no-new-privileges", "--security-opt=label=disable"],
        ],
        [
            "where users are others in containers, who have no right to a node's folder",
            ["name=userns"],
            [user, "--userns=host", ...shut, "--security-opt=no-new-privileges"],
        ],
    ] as const)
        void it(what, async () => {
            const info = JSON.stringify({ ID: "d", ServerVersion: "28", SecurityOptions: securityOptions });
            tools.script("docker", `print(${JSON.stringify(info)});`);
            assert.deepEqual(await container.shutIn([], "krustlet"), {
                options: ["--hostname=krustlet", "--restart=unless-stopped", ...options],
            });
            // It begins with the rights that its supervisor gives up, and is that user's from then on.
            const first = ["NET_ADMIN", "SETGID", "SETPCAP", "SETUID"].map((right) => `--cap-add=${right}`);
            const [own, ...others] = options;
            const at = others.indexOf("--cap-drop=ALL") + 1;
            assert.deepEqual(await container.shutIn([], undefined, "/state/data/pod-routes"), {
                options: [
                    "--restart=unless-stopped",
                    "--user=0:0",
                    ...[...others.slice(0, at), ...first, ...others.slice(at)],
                ],
                supervisorFlags: [own, "--pod-routes=/state/data/pod-routes"],
            });
        });
});

void describe("a program in a container", () => {
    const whose = { owner: "p/s", stateDir: "/state", part: "agent" as const };
    const record = (id: string): DaemonRecord => ({
        pid: 4711,
        startTime: "",
        launchedAt: 0,
        logOffset: 0,
        container: { name: "n", id, network: "kind", address: "172.18.0.3" },
    });
    const found = (State: object, Networks: object = { kind: { IPAddress: "172.18.0.4" } }) => ({
        Id: "0",
        Name: "/n",
        Config: { Labels: null },
        State,
        NetworkSettings: { Networks },
    });
    for (const [what, all, does] of [
        ["runs", [found({ Running: true })], true],
        ["has stopped", [found({ Running: false })], false],
        ["is paused", [found({ Running: true, Paused: true })], false],
        ["is started by Docker again and again", [found({ Running: true, Restarting: true })], false],
        ["was taken off its network", [found({ Running: true }, {})], false],
        ["is gone", [], false],
    ] as const)
        void it(what, async () => {
            tools.withContainers(...all);
            assert.equal(await runs(record("0")), does);
        });
    void it("tells the address that it has now", async () => {
        tools.withContainers(found({ Running: true }));
        const { container: known } = record("0");
        assert.deepEqual(known && (await container.running(known)), { address: "172.18.0.4" });
    });
    void it("is ended in its own time, then removed", async () => {
        // Two stacks of one Docker may have folders of one name: other machines, other users' containers of their own root.
        const of = (owner: string) => ({ Config: { Labels: { "krustlet-stack.owner": owner } } });
        tools.withContainers(
            { ...found({ Running: true }), ...of("p/s") },
            { ...found({ Running: true }), ...of("p/t"), Id: "1" },
            { ...found({ Running: true }), Id: "2" },
        );
        const notes: string[] = [];
        await container.endContainers(whose, true, (line) => notes.push(line));
        assert.deepEqual(notes, ["agent in container n has ended"]);
        assert.deepEqual(
            asked().filter((line) => /^(ps|stop|rm)/.test(line)),
            [
                "ps --all --quiet --no-trunc --filter=label=krustlet-stack.node=/state --filter=label=krustlet-stack.part=agent",
                "stop -t 20 0",
                "rm --force --volumes 0",
            ],
        );
    });
    void it("need not be looked for where Docker does not answer and none is known", async () => {
        tools.script("docker", "say('Cannot connect'); return 1;");
        await container.endContainers(whose, false, assert.fail);
        await assert.rejects(container.endContainers(whose, true, assert.fail), /Cannot connect/);
    });
    void it("is not looked for in a stack that has had nothing in Docker, which costs a process", async () => {
        const host = await claim.thisHost();
        const own = { folder: path.join(folder, "claim"), owner: "p/s/0123456789abcdef" };
        await claim.enterClaim({ ...own, host } as StepClaim);
        try {
            tools.withContainers(found({ Running: true }));
            tools.forget();
            await container.endContainers(whose, false, assert.fail);
            assert.deepEqual(asked(), []);
            // A record may be older than the note of the daemon.
            await container.endContainers(whose, true, assert.fail);
            assert.match(asked()[0], /^ps /);
            tools.forget();
            mkdirSync(own.folder);
            writeFileSync(daemonFile(own), "id\n");
            await container.endContainers(whose, false, assert.fail);
            assert.match(asked()[0], /^info /);
            // One that another daemon does not have is not gone.
            tools.script(
                "docker",
                `print(argv[0] === "info" ? '{"ID": "other", "ServerVersion": "1"}' : "");`,
            );
            await assert.rejects(
                container.endContainers(whose, true, assert.fail),
                /\(p\/s\/0123456789abcdef\) is in the daemon with the id id, and the one with the id other answers/,
            );
        } finally {
            await claim.enterClaim(undefined);
        }
    });
    void it("of a name that somebody else's has is refused, though it be of a folder of the same name", async () => {
        const Labels = { "krustlet-stack.owner": "p/s", "krustlet-stack.node": "/state" };
        tools.withContainers({ ...found({ Running: true }), Config: { Labels } });
        tools.script("krustlet-supervisor", "");
        const place = {
            ...{ name: "n", network: "kind", owner: "q/s", stateDir: "/state", part: "agent" as const },
            options: [],
        };
        const program = { title: "T", argv: ["/bin/true"], env: {}, logFile: "/state/agent.log" };
        await assert.rejects(container.startContainer(place, program), {
            message:
                'T: a container "n" exists and belongs to p/s; give the node another name, or remove it with `docker rm --force n` if ' +
                "nobody needs it",
        });
    });
    void it("is started as it is told, with what may be secret in the docker command's environment alone", async () => {
        const started = { ...found({ Running: true, Pid: process.pid }), Config: {} };
        const [one, id] = [path.join(folder, "krustlet-wasi"), "f".repeat(64)];
        writeFileSync(one, "program", { mode: 0o755 });
        tools.script("krustlet-supervisor", "");
        tools.script("ldd", "say('not a dynamic executable'); return 1;");
        tools.script(
            "docker",
            `const answers = { ps: argv.at(-1).startsWith("--filter=id=") ? "0" : "", create: ${JSON.stringify(id)} + "\\n",
                inspect: ${JSON.stringify(JSON.stringify([started]))} };
             if (argv[0] === "create") fs.writeFileSync(${JSON.stringify(path.join(folder, "proxy"))}, process.env.HTTPS_PROXY);
             print(answers[argv[0]] ?? "");`,
        );
        const place = {
            ...{ name: "n", network: "kind", owner: "q/s", stateDir: "/state", part: "agent" as const },
            options: ["--read-only"],
            supervisorFlags: ["--user=1:2"],
        };
        const env = { PATH: "/bin", HTTPS_PROXY: "http://me:hunter2@p:1" };
        const program = { title: "T", argv: [one, "--port=1"], env, logFile: "/state/agent.log" };
        const { container: made, pid } = await container.startContainer(place, program);
        assert.deepEqual(made, { name: "n", id, network: "kind", address: "172.18.0.4" });
        assert.equal(pid, process.pid);
        const create = asked().find((line) => line.startsWith("create ")) ?? "";
        // The docker command adds none of its own configuration where they are there.
        const proxies = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "FTP_PROXY", "ALL_PROXY"];
        for (const name of proxies.flatMap((one) => [one, one.toLowerCase()]))
            assert.ok(create.includes(` --env=${name} `), name);
        assert.match(
            create.replace(/( --env=(\w+_(PROXY|proxy)))+/, ""),
            new RegExp(
                "^create --pull=never --name=n --network=kind --label=krustlet-stack.owner=q/s --label=krustlet-stack.node=/state " +
                    "--label=krustlet-stack.part=agent --stop-timeout=20 --read-only krustlet-stack-node:[0-9a-f]{16} " +
                    "/bin/krustlet-supervisor --user=1:2 --log-file=/state/agent.log -- /bin/krustlet-wasi --port=1$",
            ),
        );
        assert.doesNotMatch(tools.asked().join("\n"), /hunter2/);
        assert.equal(readFileSync(path.join(folder, "proxy"), "utf8"), env.HTTPS_PROXY);
    });
});

void describe("the proxies of a container", () => {
    it("are those that are given, by both names, and no others", () => {
        const all = container.noProxies({ https_proxy: "http://p:1", NO_PROXY: "a", HOME: "/h" });
        const set = Object.entries(all).filter(([, value]) => value !== "");
        assert.deepEqual(Object.fromEntries(set), {
            HTTPS_PROXY: "http://p:1",
            https_proxy: "http://p:1",
            NO_PROXY: "a",
            no_proxy: "a",
        });
        assert.equal(Object.keys(all).length, 10);
    });
});

void describe("a node's logins in a container", () => {
    const input = {
        ...{ owner: "q/s", nodeName: "n", network: "kind", stateDir: folder },
        allowedHostPaths: [],
    } as unknown as NodeInput;
    for (const dockerConfigFile of [
        "~/logins.json",
        "/config.json",
        path.join(path.dirname(homedir()), "x.json"),
    ])
        it(`may not lie in a folder of other things: ${dockerConfigFile}`, async () => {
            await assert.rejects(
                agentPlace({ ...input, dockerConfigFile }, {}),
                /put the file into a folder of its own, such as ~\/logins\/config\.json$/,
            );
        });
});
