import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, writeFileSync } from "node:fs";
import * as path from "node:path";
import { describe, it } from "node:test";
import type { KindClusterInput } from "../../../../steps/contract";
import { isKinds, networkOf } from "../../../../steps/cluster/kind/kind";
import { createKindCluster } from "../../../../steps/cluster/createKindCluster";
import { isOurKindDelete, isOurKind, removeCluster } from "../../../../steps/cluster/kind/kindCluster";
import { enterClaim, thisHost } from "../../../../steps/lib/claim";
import type { Container } from "../../../../steps/lib/docker";
import { writeEntry } from "../../../../steps/lib/journal";
import { processOf } from "../../../../steps/lib/processes";
import { notesOf } from "../../../../steps/lib/step";
import { connectedByUs } from "../../../../steps/registry/container/hosting";
import { scratchFolder, scriptedTools } from "../lib/scriptedDocker";

const folder = scratchFolder("removal");
const input: KindClusterInput = {
    name: "wasm",
    owner: "p/s",
    waitSeconds: 60,
    kubeconfigFile: path.join(folder, "kubeconfig"),
    mergeKubeconfigFile: path.join(folder, "merged"),
    kubeadmConfigPatches: [],
    containerdConfigPatches: [],
};
/** A control plane that a user has connected to a network of their own, whose name comes first. */
const connected = {
    Id: "c1",
    Name: "/wasm-control-plane",
    Config: { Image: "kindest/node", Labels: { "io.x-k8s.kind.role": "control-plane" } },
    State: { Running: true },
    HostConfig: { NetworkMode: "kind" },
    Mounts: [
        { Type: "volume", Name: "v1", Destination: "/var" },
        { Type: "bind", Destination: "/var/lib/krustlet-stack/owner/p/s" },
    ],
    NetworkSettings: { Networks: { "a-mine": {}, kind: {} }, Ports: {} },
} satisfies Container;
const kinds = {
    Name: "kind",
    Options: { "com.docker.network.bridge.enable_ip_masquerade": "true" },
    Labels: {},
};

const tools = scriptedTools();

function docker(network: object): void {
    tools.script(
        "docker",
        `if (argv[0] === "ps") print(argv.at(-1).includes("label=") ? "c1\\n" : "");
         if (argv[0] === "inspect") print(${JSON.stringify(JSON.stringify([connected]))});
         if (argv[1] === "ls") print("v1\\n");
         if (argv[1] === "inspect") print(${JSON.stringify(JSON.stringify([network]))});`,
    );
}
const removals = () => tools.asked().filter((line) => / rm |delete/.test(line));

describe("the removal of a kind cluster", () => {
    it("takes the network that kind made it on, and no other that it was connected to", async () => {
        docker(kinds);
        tools.script("kind", "");
        await removeCluster(input);
        assert.deepEqual(removals(), [
            `kind delete cluster --name=wasm --kubeconfig=${input.mergeKubeconfigFile}`,
            "docker volume rm v1",
            "docker network rm kind",
        ]);
    });

    it("takes what this stack has put on that network off it, where that is left to the end of the whole stack", async () => {
        const registry = {
            ...connected,
            Id: "r1",
            Name: "/shop-dev-registry",
            NetworkSettings: {
                Networks: { kind: { Aliases: [connectedByUs] } },
                Ports: {},
            },
        };
        const claim = { id: "0123456789abcdef", owner: "p/s", folder: path.join(folder, "claim") };
        const connection = {
            clusterName: "wasm",
            owner: "p/s",
            network: "kind",
            containerName: "shop-dev-registry",
            containerPort: 5000,
            address: "localhost:5001",
        };
        tools.script(
            "docker",
            `const off = ${JSON.stringify(path.join(folder, "off"))};
             if (argv[1] === "disconnect") fs.writeFileSync(off, "");
             const isOff = fs.existsSync(off);
             const asked = argv.at(-1);
             if (argv[0] === "ps") print(asked.includes("label=") ? "c1\\n" : isOff && asked.includes("network=") ? "" : "r1\\n");
             if (argv[0] === "inspect") print(argv.includes("c1") ? ${JSON.stringify(JSON.stringify([connected]))} : ${JSON.stringify(JSON.stringify([registry]))});
             if (argv[1] === "inspect") print(${JSON.stringify(JSON.stringify([kinds]))});`,
        );
        tools.script("kind", "");
        await enterClaim({ ...claim, host: await thisHost() });
        await writeEntry(claim, {
            ...{ resource: "h-connection", undo: "disconnectRegistry", input: connection as object },
            ...{ done: true, at: 1 },
        });
        await removeCluster(input).finally(() => enterClaim(undefined));
        assert.deepEqual(
            tools.asked().filter((line) => /network (disconnect|rm)/.test(line)),
            ["docker network disconnect --force kind r1", "docker network rm kind"],
        );
    });

    it("leaves a network kind that somebody made with options of their own", async () => {
        docker({ ...kinds, Labels: { team: "a" } });
        tools.script("kind", "");
        await removeCluster(input);
        assert.deepEqual(
            removals().filter((line) => line.includes("network")),
            [],
        );
    });

    it("goes on where a part cannot go, and says what is left in the end", async () => {
        docker(kinds);
        writeFileSync(input.kubeconfigFile, "");
        tools.script(
            "kind",
            'say("ERROR: failed to lock config file: open merged.lock: file exists\\n"); return 1;',
        );
        await assert.rejects(removeCluster(input), ({ message }: Error) => {
            assert.match(message, /^KindCluster "wasm": all that could be removed is; what may be left/);
            assert.match(
                message,
                /\n- its containers and its context in .*merged: .*\n.*merged\.lock: file exists/,
            );
            return true;
        });
        assert.deepEqual(
            removals().filter((line) => line.startsWith("docker")),
            ["docker volume rm v1", "docker network rm kind"],
        );
        assert.equal(existsSync(input.kubeconfigFile), false);
    });
});

describe("the network of a kind cluster", () => {
    it("is the one that its containers were made on", () => {
        assert.equal(networkOf([connected]), "kind");
        assert.equal(networkOf([]), "kind");
    });
    it("is known by kind's options", () => {
        assert.equal(isKinds({ ...kinds, IPAM: { Config: null } }), true);
        assert.equal(isKinds({ ...kinds, Options: null, IPAM: { Config: null } }), false);
    });
});

describe("a kind that a killed step has left deleting a cluster", () => {
    const own = "/tmp/krustlet-stack-step-9-x/kubeconfig";
    for (const [what, act] of [
        ["removed again", () => removeCluster({ ...input, mergeKubeconfigFile: undefined })],
        ["made anew", () => createKindCluster(input)],
    ] as const) {
        it(`is waited for before that is ${what}`, async () => {
            // As if nothing were there, nor Docker at the end.
            tools.script(
                "docker",
                'if (argv[0] === "info") { say("no daemon"); return 1; } if (argv[1] === "inspect") { say("no such network"); return 1; }',
            );
            tools.script("kind", "");
            const kind = path.join(folder, "kind");
            writeFileSync(kind, "#!/bin/sh\n/bin/sleep 1\n:\n", { mode: 0o755 });
            const orphan = spawn(kind, ["delete", "cluster", "--name=wasm", `--kubeconfig=${own}`]);
            const exited = once(orphan, "exit");
            const { notes } = await notesOf(async () => {
                await act().catch((error: Error) => assert.match(error.message, /no daemon/));
                return {};
            });
            assert.equal(processOf(orphan.pid ?? 0), undefined);
            assert.equal(
                notes[0],
                `kind (process ${orphan.pid}) is still deleting cluster "wasm": waited for`,
            );
            assert.deepEqual(await exited, [0, null], "it came to its end by itself");
        });
    }
    it("is a step's own, and of that very cluster", () => {
        const isOurs = (argv: string[], mergeKubeconfigFile?: string) =>
            isOurKindDelete(argv, { name: "wasm", mergeKubeconfigFile });
        const own = [
            "delete",
            "cluster",
            "--name=wasm",
            "--kubeconfig=/tmp/krustlet-stack-step-9-x/kubeconfig",
        ];
        assert.equal(isOurs(["kind", ...own]), true);
        assert.equal(isOurs(["k3d", ...own]), false);
        assert.equal(isOurs(["kind", ...own.map((one) => one.replace("=wasm", "=wasm-2"))]), false);
        const users = ["kind", "delete", "cluster", "--name=wasm"];
        assert.equal(isOurs(users), false);
        const merged = [...users, "--kubeconfig=/home/me/merged"];
        assert.equal(isOurs(merged), false);
        assert.equal(isOurs(merged, "/home/me/merged"), true);
    });
    it("has its removal look again at whose cluster it is by then", async () => {
        const foreign = JSON.stringify([
            { Id: "1", Name: "/wasm-control-plane", Config: { Labels: {} }, Mounts: [] },
        ]);
        const marker = path.join(folder, "waited");
        tools.script(
            "docker",
            `const waited = require("node:fs").existsSync(${JSON.stringify(marker)});
             if (argv[0] === "ps") print(waited ? "1\\n" : "");
             if (argv[0] === "inspect") print(${JSON.stringify(foreign)});`,
        );
        tools.script("kind", "");
        const kind = path.join(folder, "kind");
        writeFileSync(kind, `#!/bin/sh\n/bin/sleep 1\n: > ${marker}\n`, { mode: 0o755 });
        const orphan = spawn(kind, ["delete", "cluster", "--name=wasm", `--kubeconfig=${own}`]);
        const exited = once(orphan, "exit");
        const { notes } = await notesOf(async () => {
            await removeCluster(input);
            return {};
        });
        await exited;
        assert.match(notes.at(-1) ?? "", /^cluster "wasm" is not of .* by now: left alone$/);
    });
});

describe("a kind that is still creating a cluster", () => {
    const own = [
        "create",
        "cluster",
        "--name=wasm",
        "--config=-",
        "--kubeconfig=/tmp/krustlet-stack-step-9-x/kubeconfig",
    ];
    const table: [string, string[], boolean][] = [
        ["a step's", ["/usr/bin/kind", ...own], true],
        ["a step's by a script", ["/bin/sh", "/cache/kind", ...own], true],
        [
            "another cluster's",
            ["kind", ...own.filter((one) => one !== "--name=wasm"), "--name=wasm-2"],
            false,
        ],
        ["eksctl", ["eksctl", ...own], false],
        ["kops", ["kops", "create", "cluster", "--name=wasm"], false],
        ["a user's own", ["kind", "create", "cluster", "--name=wasm"], false],
        [
            "a user's own with a config",
            ["kind", "create", "cluster", "--name=wasm", "--config=-", "--kubeconfig=/home/me/k"],
            false,
        ],
    ];
    for (const [what, argv, ours] of table) {
        it(`${ours ? "is" : "is not"} ${what}`, () => {
            assert.equal(isOurKind(argv, "wasm"), ours);
        });
    }
});
