import assert from "node:assert/strict";
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, describe, it } from "node:test";
import { mergeFileFaults } from "../../../../steps/host/mergeFile";
import type { PreflightInput } from "../../../../steps/contract";
import type { Container } from "../../../../steps/lib/docker";
import {
    containerFaults,
    daemonFaults,
    neededTools,
    folderFaults,
    nodePortFaults,
    portMappingFaults,
    registryFaults,
} from "../../../../steps/host/preflightProblems";
import { missingTools } from "../../../../steps/lib/programs/programs";
import { isLoopback } from "../../../../steps/registry/registry";

const input: PreflightInput = { owner: "p/s", cluster: { kind: { name: "wasm" } }, nodes: [], modules: [] };

describe("the tools that a stack needs", () => {
    it("depend on its modules", () => {
        const ofKind = ["docker", "kind"];
        assert.deepEqual(neededTools(input, ofKind), ["docker", "kind"]);
        assert.deepEqual(neededTools({ ...input, modules: [{ file: "a" }] }, ofKind), ["docker", "kind"]);
        assert.deepEqual(neededTools({ ...input, modules: [{ source: "a" }] }, ofKind), [
            "docker",
            "kind",
            "cargo",
        ]);
    });
    it("depend on its cluster and its registry", () => {
        const localRegistry = { containerName: "reg", port: 5000 };
        assert.deepEqual(neededTools(input, []), []);
        assert.deepEqual(neededTools({ ...input, localRegistry }, []), ["docker"]);
        assert.deepEqual(neededTools({ ...input, localRegistry }, ["k3d", "docker"]), ["docker", "k3d"]);
    });
    it("depend on its nodes", () => {
        const node = { name: "n", port: 3000, stateDir: "/n", program: "p" };
        assert.deepEqual(neededTools({ ...input, nodes: [node] }, []), []);
        assert.deepEqual(neededTools({ ...input, nodes: [node, { ...node, runtime: "container" }] }, []), [
            "docker",
            "ldd",
            "tar",
        ]);
    });
    it("are missed in one line", () => {
        assert.deepEqual(missingTools([]), []);
        assert.deepEqual(missingTools(["kind"]), [
            "Tools: kind is not on PATH; `npm run doctor` shows what to do",
        ]);
        assert.deepEqual(missingTools(["kind", "cargo"]), [
            "Tools: kind, cargo are not on PATH; `npm run doctor` shows what to do",
        ]);
    });
});

describe("the local registry's name and port", () => {
    const registry = { containerName: "reg", port: 5000 };
    const container = (Name: string, HostPort: string, whose?: string): Container => ({
        Id: "1",
        Name,
        Config: { Image: "registry", Labels: whose === undefined ? null : { "krustlet-stack.owner": whose } },
        State: { Running: true },
        HostConfig: { NetworkMode: "bridge" },
        Mounts: [],
        NetworkSettings: { Networks: {}, Ports: { "5000/tcp": [{ HostPort }], "6000/tcp": null } },
    });
    it("leave a node's container to its stack alone", () => {
        const faults = (whose?: string) =>
            containerFaults("n", "p-s-n-agent", "p/s", container("/p-s-n-agent", "1", whose));
        assert.deepEqual(containerFaults("n", "p-s-n-agent", "p/s", undefined), []);
        assert.deepEqual(faults("p/s"), []);
        const rest =
            "give the node another name, or remove it with `docker rm --force p-s-n-agent` if nobody needs it";
        assert.deepEqual(faults("p/t"), [
            `KrustletNode "n": a container "p-s-n-agent" exists and belongs to p/t; ${rest}`,
        ]);
        assert.deepEqual(faults(), [
            `KrustletNode "n": a container "p-s-n-agent" exists and was not made by this stack; ${rest}`,
        ]);
    });
    const taken = [{ address: "0.0.0.0", port: 5000 }];
    const inUse =
        'LocalRegistry.port: 5000 is in use: something other than container "reg" listens on 0.0.0.0:5000; end it (`ss -ltnp` names it) or choose another port';
    const notOurs = (why: string) =>
        `LocalRegistry.containerName: a container "reg" exists and ${why}; choose another name, or remove it with \`docker rm --force reg\` if nobody needs it`;
    const cases: [string, Container | undefined, { address: string; port: number }[], string[]][] = [
        ["are free", undefined, [], []],
        [
            "are free while another address has the port",
            undefined,
            [{ address: "172.18.0.1", port: 5000 }],
            [],
        ],
        ["are held by its own container", container("/reg", "5000", "p/s"), taken, []],
        ["are taken by something else", undefined, taken, [inUse]],
        [
            "are taken beside its own container at another port",
            container("/reg", "5001", "p/s"),
            taken,
            [inUse],
        ],
        [
            "are taken by another stack's",
            container("/reg", "5000", "p/t"),
            taken,
            [notOurs("belongs to p/t")],
        ],
        ["are taken by somebody's", container("/reg", "5001"), [], [notOurs("was not made by this stack")]],
    ];
    for (const [what, named, listening, faults] of cases) {
        it(what, () => {
            assert.deepEqual(registryFaults(registry, "p/s", named, listening), faults);
        });
    }
});

describe("the daemons of the docker command and of Pulumi's plugin", () => {
    const context = { name: "colima", host: "unix:///home/me/.colima/docker.sock" };
    it("are one, or the context says nothing", () => {
        assert.deepEqual(daemonFaults(undefined), []);
        assert.deepEqual(daemonFaults({ context, id: "a", plugins: "a" }), []);
    });
    it("are two, or the plugin finds none", () => {
        const fault = (other: string) => [
            `Docker: the docker command goes by its context "colima" to ${context.host}, Pulumi's docker plugin to ` +
                `unix:///var/run/docker.sock, ${other}; tell both: \`export DOCKER_HOST=${context.host}\``,
        ];
        assert.deepEqual(daemonFaults({ context, id: "a", plugins: "b" }), fault("which is another daemon"));
        assert.deepEqual(
            daemonFaults({ context, id: "a", plugins: undefined }),
            fault("where no daemon answers"),
        );
    });
});

describe("the kubeconfig file that a cluster is merged into", () => {
    const folder = mkdtempSync(path.join(tmpdir(), "krustlet-merge-"));
    after(() => {
        rmSync(folder, { recursive: true });
    });
    const file = path.join(folder, "config");
    it("may be missing, with its folder, or be there", async () => {
        assert.deepEqual(await mergeFileFaults(undefined), []);
        assert.deepEqual(await mergeFileFaults(path.join(folder, "a", "b", "config")), []);
        writeFileSync(file, "");
        assert.deepEqual(await mergeFileFaults(file), []);
    });
    it("is not left to a lock that nobody takes away", async () => {
        writeFileSync(`${file}.lock`, "");
        const [fault] = await mergeFileFaults(file);
        assert.match(
            fault,
            /^KindCluster\.mergeKubeconfigFile: .*config\.lock is there, by which kind and kubectl keep others/,
        );
        // One that is let go within a moment is none.
        setTimeout(() => rmSync(`${file}.lock`), 200);
        assert.deepEqual(await mergeFileFaults(file), []);
    });
    it("is no folder", async () => {
        assert.deepEqual(await mergeFileFaults(folder), [
            `KindCluster.mergeKubeconfigFile: ${folder} is no file`,
        ]);
    });
    // Root may write everything.
    if (process.getuid?.() !== 0)
        it("can be written", async () => {
            chmodSync(file, 0o400);
            assert.match((await mergeFileFaults(file))[0], /may not be written; run `chmod u\+w` on it/);
        });
});

describe("ports of this host that kind's nodes are to have", () => {
    const mapping = {
        containerPort: 30080,
        hostPort: 8080,
        listenAddress: "127.0.0.1",
        protocol: "TCP" as const,
    };
    const faults = (
        more: Partial<typeof mapping> | { protocol: "UDP" },
        addresses: string[],
        own: Container[] = [],
    ) =>
        portMappingFaults(
            { name: "k", portMappings: [{ ...mapping, ...more }] },
            own,
            addresses.map((address) => ({ address, port: 8080 })),
        );
    it("are free", () => {
        assert.deepEqual(faults({}, ["192.0.2.1"]), []);
        assert.deepEqual(faults({ hostPort: 8081 }, ["127.0.0.1"]), []);
        assert.deepEqual(faults({ protocol: "UDP" }, ["127.0.0.1"]), []);
    });
    it("are taken by something else", () => {
        assert.deepEqual(faults({}, ["127.0.0.1"]), [
            "KindCluster.portMappings[0].hostPort: 8080 is in use: something listens on 127.0.0.1:8080; end it (`ss -ltnp` names it) or choose another port",
        ]);
        assert.match(faults({}, ["::"])[0], /listens on :::8080/);
        assert.match(faults({ listenAddress: "0.0.0.0" }, ["192.0.2.1"])[0], /listens on 192\.0\.2\.1:8080/);
    });
    it("are the cluster's already", () => {
        const node = { NetworkSettings: { Ports: { "30080/tcp": [{ HostPort: "8080" }] } } };
        assert.deepEqual(faults({}, ["127.0.0.1"], [node as unknown as Container]), []);
    });
});

describe("the nodes' ports", () => {
    const node = (name: string, port: number, heldByItsAgent = false) => ({ name, port, heldByItsAgent });
    const gateway = "172.18.0.1";
    it("are free", () => {
        assert.deepEqual(
            nodePortFaults([node("a", 3000), node("b", 3001)], gateway, [
                { address: "127.0.0.1", port: 3000 },
            ]),
            [],
        );
    });
    it("are held by the nodes' own agents", () => {
        assert.deepEqual(
            nodePortFaults([node("a", 3000, true)], gateway, [{ address: gateway, port: 3000 }]),
            [],
        );
    });
    it("are taken by something else", () => {
        assert.deepEqual(nodePortFaults([node("a", 3000)], gateway, [{ address: gateway, port: 3000 }]), [
            'KrustletNode "a": port 3000 is in use: something listens on 172.18.0.1:3000; end it (`ss -ltnp` names it) or give the node another port',
        ]);
        assert.equal(nodePortFaults([node("a", 3000)], undefined, [{ address: "::", port: 3000 }]).length, 1);
    });
    it("are each one node's", () => {
        assert.deepEqual(nodePortFaults([node("a", 3000), node("b", 3000)], gateway, []), [
            'KrustletNode "b": port 3000 is node "a"\'s already; give each node its own',
        ]);
    });
    it("are looked at where the node listens", () => {
        const elsewhere = { ...node("b", 3000), ip: "10.0.0.9" };
        assert.deepEqual(nodePortFaults([node("a", 3000), elsewhere], gateway, []), []);
        assert.deepEqual(nodePortFaults([elsewhere], gateway, [{ address: gateway, port: 3000 }]), []);
        assert.match(
            nodePortFaults([elsewhere], gateway, [{ address: "10.0.0.9", port: 3000 }])[0],
            /something listens on 10\.0\.0\.9:3000/,
        );
        const same = { ...node("c", 3000), ip: gateway };
        assert.match(nodePortFaults([node("a", 3000), same], gateway, [])[0], /is node "a"'s already/);
    });
    it("need a folder that KUBECONFIG can name", () => {
        const facts = { name: "a", port: 3000, program: "k" };
        assert.deepEqual(folderFaults({ ...facts, stateDir: "/srv/a b,c" }), []);
        assert.deepEqual(folderFaults({ ...facts, stateDir: "/srv/a:b" }), [
            'KrustletNode "a": stateDir /srv/a:b holds a ":"; give the node a folder without one',
        ]);
    });
});

describe("a registry's address", () => {
    const cases: [string, boolean][] = [
        ["localhost:5000", true],
        ["127.0.0.1", true],
        ["127.1.2.3:1", true],
        ["ghcr.io", false],
        ["localhost.example.com", false],
        ["10.0.0.1:5000", false],
    ];
    for (const [address, expected] of cases) {
        it(`${address} is ${expected ? "" : "not "}of this machine`, () => {
            assert.equal(isLoopback(address), expected);
        });
    }
});
