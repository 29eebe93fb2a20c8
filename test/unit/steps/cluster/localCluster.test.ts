/** Clusters by minikube, MicroK8s and k3d, whose tools are scripts here: how they are called, and what is never done. */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import type { LocalClusterInput } from "../../../../steps/contract";
import { k3d } from "../../../../steps/cluster/local/k3d";
import { bringUp, takeDown } from "../../../../steps/cluster/local/localCluster";
import { launchConfiguration, microk8sIn } from "../../../../steps/cluster/local/microk8s";
import { observeLocalCluster } from "../../../../steps/cluster/local/observeLocalCluster";
import { minikube } from "../../../../steps/cluster/local/minikube";
import type { LocalTool } from "../../../../steps/cluster/local/tool";
import { enterClaim, thisHost } from "../../../../steps/lib/claim";
import { markUndone, writeEntry } from "../../../../steps/lib/journal";
import { notesOf } from "../../../../steps/lib/step";
import { ownAddress, ScriptedTools } from "./scriptedTools";

const owner = "krustlet-stack/dev";
const ports = [
    { containerPort: 30080, hostPort: 8080, listenAddress: "127.0.0.1", protocol: "TCP" as const },
];

interface Story {
    tool: (folder: string) => LocalTool;
    scripts: string[];
    given: Pick<LocalClusterInput, "tool" | "name"> & Partial<LocalClusterInput>;
    looks: string[];
    create: string[];
    start: string[];
    remove: string[];
    kubeconfig: string[];
    nodeAddress: string;
    network?: string;
    context: string;
    /** Marks it as the owner's, before the cluster is there. */
    mark?: string;
}

const stories: Story[] = [
    {
        tool: () => minikube,
        scripts: ["minikube"],
        given: {
            ...{ tool: "minikube", name: "demo", version: "v1.36.4", driver: "docker", servers: 2 },
            portMappings: ports,
        },
        looks: ["minikube profile list --output=json"],
        create: [
            "minikube start --profile=demo --interactive=false --keep-context --wait-timeout=30s --nodes=2 " +
                "--kubernetes-version=v1.36.4 --driver=docker --ports=127.0.0.1:8080:30080/tcp",
        ],
        start: ["minikube start --profile=demo --interactive=false --keep-context --wait-timeout=30s"],
        remove: ["minikube delete --profile=demo"],
        kubeconfig: ["minikube update-context --profile=demo"],
        nodeAddress: ownAddress,
        context: "demo",
        mark: ".minikube/profiles/demo/krustlet-stack-owner",
    },
    {
        tool: (folder) => microk8sIn(path.join(folder, "common")),
        scripts: ["snap", "microk8s"],
        given: { tool: "microk8s", name: "microk8s", version: "1.36/stable", portMappings: [] },
        looks: ["snap list", "microk8s status --format yaml"],
        create: [
            "snap install microk8s --classic --channel=1.36/stable",
            "microk8s status --wait-ready --timeout 30",
        ],
        start: ["microk8s start", "microk8s status --wait-ready --timeout 30"],
        remove: ["snap remove microk8s --purge"],
        kubeconfig: ["microk8s config"],
        nodeAddress: ownAddress,
        context: "microk8s",
        mark: "common/krustlet-stack-owner",
    },
    {
        tool: () => k3d,
        scripts: ["k3d", "docker"],
        given: {
            ...{ tool: "k3d", name: "demo", version: "rancher/k3s:v1.36.4-k3s1", servers: 1, agents: 2 },
            portMappings: ports,
        },
        looks: ["k3d cluster list --output=json"],
        create: [
            "k3d cluster create demo --servers=1 --agents=2 --wait --timeout=30s --kubeconfig-update-default=false " +
                "--kubeconfig-switch-context=false --runtime-label=krustlet-stack.owner=krustlet-stack/dev@all " +
                "--image=rancher/k3s:v1.36.4-k3s1 --port=127.0.0.1:8080:30080/tcp@server:0:direct",
        ],
        start: ["k3d cluster start demo --wait --timeout=30s"],
        remove: ["k3d cluster delete demo"],
        kubeconfig: ["k3d kubeconfig get demo"],
        nodeAddress: "172.20.0.1",
        network: "k3d-demo",
        context: "k3d-demo",
    },
];

for (const story of stories) {
    const { given, context } = story;
    void describe(`a cluster by ${given.tool}`, () => {
        const tools = new ScriptedTools();
        let tool: LocalTool;
        let input: LocalClusterInput;
        const resource = `c-${given.tool}`;
        const claim = () => ({ folder: path.join(tools.folder, "claim") });
        /** The command lines but those that look, at the cluster and at Docker. */
        const calls = () =>
            tools
                .calls()
                .filter((line) => !story.looks.includes(line))
                .filter((line) => !line.startsWith("docker "));
        const output = () => ({
            name: given.name,
            kubeconfigFile: input.kubeconfigFile,
            context,
            server: tools.api.url,
            kubernetesVersion: "v1.36.4",
            nodeAddress: story.nodeAddress,
            ...(story.network === undefined ? {} : { network: story.network }),
            identity: "cluster-uid",
        });

        before(async () => {
            await tools.start(...story.scripts);
            tool = story.tool(tools.folder);
            const kubeconfigFile = path.join(tools.folder, "own", "kubeconfig");
            input = { owner, waitSeconds: 30, kubeconfigFile, portMappings: [], ...given };
            await enterClaim({ ...claim(), id: "0123456789abcdef", owner, host: await thisHost() });
        });
        after(async () => {
            await enterClaim(undefined);
            await tools.stop();
        });

        void it("is made, with its kubeconfig in a file of its own", async () => {
            assert.deepEqual(await bringUp(tool, input), output());
            assert.deepEqual(calls(), [...story.create, ...story.kubeconfig]);
            assert.equal(statSync(input.kubeconfigFile).mode & 0o777, 0o600);
            const config = JSON.parse(readFileSync(input.kubeconfigFile, "utf8")) as Record<string, object[]>;
            assert.equal(config["current-context"], context);
            assert.equal(config.users.length, 1);
            if (story.mark !== undefined) {
                assert.equal(readFileSync(path.join(tools.folder, story.mark), "utf8"), `${owner}\n`);
            }
        });

        void it("is kept where it runs, and started where it stands still", async () => {
            assert.deepEqual(await bringUp(tool, input), output());
            assert.deepEqual(calls(), story.kubeconfig);
            tools.change(({ clusters }) => (clusters[given.name].running = false));
            assert.deepEqual(await bringUp(tool, input), output());
            assert.deepEqual(calls(), [...story.start, ...story.kubeconfig]);
        });

        /** What a look tells, after a run that came to its end. */
        const seen = async (given: Partial<LocalClusterInput> = {}) => {
            const { owner, kubeconfigFile, ...rest } = { ...input, ...given };
            const { tool: by, name, version, driver, servers, agents, portMappings } = rest;
            const wanted = { tool: by, name, version, driver, servers, agents, portMappings };
            const look = { resource, owner, kubeconfigFile, wanted };
            const { because, last, notes } = await notesOf(() => observeLocalCluster(tool, look));
            return { because, last, notes };
        };
        const made = () => ({
            ...{ resource, undo: "deleteLocalCluster" as const, input: input as object, output: output() },
            ...{ done: true, at: Date.UTC(2026, 10, 28, 12) },
        });
        const asked = () => tools.calls().filter((line) => !line.startsWith("docker "));

        void it("is looked at by its tool alone, and is no change where it is as it was left", async () => {
            assert.deepEqual(await seen(), { because: undefined, last: undefined, notes: [] });
            await writeEntry(claim(), made());
            tools.calls();
            assert.deepEqual(await seen(), { because: undefined, last: output(), notes: [] });
            assert.deepEqual(asked(), story.looks);
            await writeEntry(claim(), { ...made(), input: { ...input, agents: 3 } as object });
            const dropped = await seen({ agents: undefined });
            assert.match(dropped.notes.join("\n"), /all that is in it is lost \(agents: 3 → undefined\)$/);
            await writeEntry(claim(), made());
            const other = await seen({ portMappings: [{ ...ports[0], hostPort: 9090 }] });
            assert.equal(other.last, undefined);
            assert.match(
                other.notes.join("\n"),
                new RegExp(
                    `^cluster "${given.name}" will be made anew, and all that is in it is lost \\(portMappings: `,
                ),
            );
        });

        void it("gives a lost kubeconfig back, or one that leads nowhere, and starts nothing for it", async () => {
            rmSync(input.kubeconfigFile);
            tools.calls();
            assert.equal((await seen()).because, undefined);
            assert.deepEqual(calls(), story.kubeconfig);
            const text = readFileSync(input.kubeconfigFile, "utf8");
            writeFileSync(input.kubeconfigFile, text.replaceAll(tools.api.url, "https://127.0.0.1:1"));
            assert.equal((await seen()).because, undefined);
            assert.equal(readFileSync(input.kubeconfigFile, "utf8"), text);
        });

        void it("is started again where it is stopped, though its kubeconfig is lost", async () => {
            tools.change(({ clusters }) => (clusters[given.name].running = false));
            tools.calls();
            const because = `cluster "${given.name}", made 2026-11-28T12:00:00Z, is stopped: it is started again`;
            assert.deepEqual(await seen(), { because, last: output(), notes: [because] });
            const text = readFileSync(input.kubeconfigFile);
            rmSync(input.kubeconfigFile);
            assert.equal((await seen()).because, because);
            assert.deepEqual(calls(), []);
            writeFileSync(input.kubeconfigFile, text);
            tools.change(({ clusters }) => (clusters[given.name].running = true));
        });

        void it("is made anew where it is gone, and where it was removed unheard", async () => {
            const { clusters } = tools.state;
            tools.change((state) => (state.clusters = {}));
            const because = `cluster "${given.name}", made 2026-11-28T12:00:00Z, is gone: it is made anew`;
            assert.deepEqual(await seen(), { because, last: undefined, notes: [because] });
            await markUndone(claim(), made());
            const removed = await seen();
            assert.match(removed.because ?? "", new RegExp(`^${resource} was removed, .*: it is made anew$`));
            assert.equal(removed.last, undefined);
            tools.change((state) => (state.clusters = clusters));
            await writeEntry(claim(), made());
        });

        void it("is not gone where its tool does not tell", async () => {
            // The first look tells whether it is there.
            const [look] = story.looks;
            tools.change((state) => (state.failures = { [look]: "cannot reach its daemon" }));
            const message = `${look}: exit code 1\ncannot reach its daemon`;
            await assert.rejects(seen(), { message });
            await assert.rejects(bringUp(tool, input), { message });
            await assert.rejects(takeDown(tool, input), { message });
            tools.change((state) => (state.failures = {}));
            tools.calls();
        });

        void it("is never removed for a node that is not Ready", async () => {
            tools.ready = false;
            await assert.rejects(bringUp(tool, { ...input, waitSeconds: 1 }), {
                message: `${tool.component} "${given.name}": node node is not Ready (no network) after waitSeconds 1; raise waitSeconds if the machine is slow`,
            });
            tools.ready = true;
            assert.deepEqual(calls(), story.kubeconfig);
        });

        void it("of another stack is refused and left alone", async () => {
            const other = { ...input, owner: "krustlet-stack/other" };
            await assert.rejects(bringUp(tool, other), {
                message:
                    `${tool.component}.name: a cluster "${given.name}" exists and belongs to ${owner}, so krustlet-stack/other does not touch it; ` +
                    `choose another name, use it as an existing cluster, or remove it with \`${tool.removal(given.name).join(" ")}\` if nobody needs it`,
            });
            await takeDown(tool, other);
            const because = `cluster "${given.name}", made 2026-11-28T12:00:00Z, is gone, and another one of that name is there`;
            assert.deepEqual(await seen(other), { because, last: undefined, notes: [because] });
            assert.deepEqual(calls(), []);
            assert.ok(existsSync(input.kubeconfigFile));
        });

        void it("is removed, and its kubeconfig with it; a second time is fine", async () => {
            await takeDown(tool, input);
            await takeDown(tool, input);
            assert.deepEqual(calls(), story.remove);
            assert.deepEqual(tools.state.clusters, {});
            assert.equal(existsSync(input.kubeconfigFile), false);
            if (story.mark !== undefined)
                assert.equal(existsSync(path.join(tools.folder, story.mark)), false);
        });

        for (const [what, [orphan], act, left] of [
            ["removing it", story.remove, (): Promise<unknown> => bringUp(tool, input), [given.name]],
            ["making it", story.create, () => takeDown(tool, input), []],
        ] as const) {
            void it(`is waited for while a tool that a killed step left is ${what}`, async () => {
                // Of its own it would be as quick as the step.
                const [program, ...argv] = orphan.split(" ");
                const slow = path.join(tools.folder, "slow", program);
                mkdirSync(path.dirname(slow), { recursive: true });
                writeFileSync(slow, `#!/bin/sh\n/bin/sleep 1\n${program} "$@"\n`, { mode: 0o755 });
                if (left.length > 0) await bringUp(tool, input);
                const atWork = spawn(slow, argv);
                const exited = once(atWork, "exit");
                const { notes } = await notesOf(async () => {
                    await act();
                    return {};
                });
                const said = `${program} (process ${atWork.pid}) is still at work on cluster "${given.name}": waited for`;
                assert.deepEqual([notes[0], Object.keys(tools.state.clusters)], [said, left]);
                assert.deepEqual(await exited, [0, null], "it came to its end by itself");
                tools.calls();
            });
        }

        void it("that nobody's stack made is refused and left alone", async () => {
            tools.change(({ clusters }) => (clusters[given.name] = { running: true }));
            await assert.rejects(bringUp(tool, input), /exists and was not made by this stack, so/);
            await takeDown(tool, input);
            assert.deepEqual(calls(), []);
            tools.change((state) => (state.clusters = {}));
        });

        void it("that does not come up is removed again, and the tool's words are shown", async () => {
            const begin = story.create[0].split(" ").slice(0, 3).join(" ");
            tools.change(({ failures }) => (failures[begin] = "Exiting due to HOST_NO_SPACE"));
            await assert.rejects(bringUp(tool, input), (error: Error) => {
                assert.match(
                    error.message,
                    new RegExp(
                        `^${tool.component} "${given.name}": ${tool.programs[0]} could not create it: `,
                    ),
                );
                assert.match(error.message, /Exiting due to HOST_NO_SPACE$/);
                return true;
            });
            assert.equal(existsSync(input.kubeconfigFile), false);
        });
    });
}

void describe("MicroK8s", () => {
    void it("that does not tell how it is is there, and does not run, so that it can be removed", async () => {
        const tools = new ScriptedTools();
        await tools.start("snap", "microk8s");
        try {
            tools.change((state) => {
                state.clusters = { microk8s: { running: true } };
                state.failures = { "microk8s status": "this snap is disabled" };
            });
            const tool = microk8sIn(path.join(tools.folder, "common"));
            assert.deepEqual(await tool.find("microk8s"), { owner: undefined, running: false });
        } finally {
            await tools.stop();
        }
    });

    void it("is told of RBAC and of bootstrap tokens before its first start", () => {
        assert.deepEqual(JSON.parse(launchConfiguration), {
            version: "0.1.0",
            addons: [{ name: "rbac" }, { name: "dns" }],
            extraKubeAPIServerArgs: { "--enable-bootstrap-token-auth": "true" },
        });
    });
});
