/** The node's log port, from a client on the cluster's network (this host is one, by its gateway address). */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { connect, type Socket } from "node:net";
import { after, before, describe, it } from "node:test";
import { setTimeout } from "node:timers/promises";
import { agentFiles } from "../../steps/node/agent/agent";
import { listeners } from "../../steps/host/ports";
import { agent } from "../node/lib/agent";
import { underTest } from "../node/underTest";
import { World } from "../node/lib/world";
import { makeCertificate } from "../unit/steps/node/makeCertificate";
import { apiServersCredential, ask, readKubeconfig, type Credential, type Reply } from "./wire";

describe("the log port", { timeout: 120_000 }, () => {
    let world: World;
    /** What there is to read, and what it says to whoever may read it. */
    let paths: [string, RegExp][];
    let apiServer: Credential;
    before(async () => {
        world = await World.open("log-port");
        const pod = await world.start("secret-log", { args: ["print", "for few eyes"] });
        await world.untilEnded(pod);
        paths = [
            [`/containerLogs/log-port/${pod.metadata.name}/main`, /^for few eyes\n$/],
            ["/pods", /secret-log/],
            ["/metrics", /^# HELP /],
            ["/metrics/resource", /^# HELP /],
            ["/stats/summary", /"nodeName"/],
        ];
        apiServer = await apiServersCredential();
    });
    after(async () => {
        await world.close();
    });

    /** Whoever is refused at one path is refused at each. */
    async function everywhere(credential: Credential | undefined, check: (reply: Reply) => void) {
        for (const [path] of paths) {
            const reply = await ask(path, credential);
            assert.doesNotMatch(JSON.stringify(reply), /for few eyes|secret-log/);
            check(reply);
        }
    }

    const status = (reply: Reply) => ("status" in reply ? reply.status : reply.refused);
    const inHandshake = (reply: Reply) => {
        assert.ok("refused" in reply, JSON.stringify(reply));
    };

    it("the API server is served", async () => {
        for (const [path, text] of paths) {
            const reply = await ask(path, apiServer);
            assert.equal(status(reply), 200, path);
            assert.match("text" in reply ? reply.text : "", text);
        }
    });

    it("no certificate: 401", async () => {
        await everywhere(undefined, (reply) => {
            assert.equal(status(reply), 401);
        });
    });

    it("a self-signed certificate is refused in the handshake, whatever name it bears", async () => {
        for (const commonName of ["kube-apiserver-kubelet-client", "kubernetes-admin"])
            await everywhere(makeCertificate({ commonName, organization: "system:masters" }), inHandshake);
    });

    it("so is one of another authority, though that bears the name of the cluster's", async () => {
        const issuer = makeCertificate({ commonName: "kubernetes", authority: true });
        const commonName = "kube-apiserver-kubelet-client";
        await everywhere(
            makeCertificate({ commonName, organization: "system:masters", issuer }),
            inHandshake,
        );
    });

    it("the API server's certificate without its key opens nothing", async () => {
        const { privateKey } = makeCertificate({ commonName: "thief" });
        // A client that cannot prove the certificate to be its own has none.
        await everywhere({ certificate: apiServer.certificate, privateKey }, (reply) => {
            assert.ok("refused" in reply || reply.status === 401, JSON.stringify(reply));
        });
    });

    it("a node's own certificate is known, and may read nothing: 403", async () => {
        const { kubeconfigFile } = agentFiles(underTest().node.stateDir);
        await everywhere(readKubeconfig(kubeconfigFile), (reply) => {
            assert.equal(status(reply), 403, JSON.stringify(reply));
        });
    });

    it("answers the API server while somebody holds all the connections that he can get, and says nothing on them", async () => {
        const { nodeIp, port } = underTest().node;
        const pod = world.pods.all().find(({ metadata }) => metadata.namespace === world.namespace);
        assert.ok(pod !== undefined);
        const held = Array.from({ length: 600 }, () =>
            connect(port, nodeIp)
                .on("error", () => undefined)
                // The beginning of a handshake, of which the rest never comes.
                .on("connect", function (this: Socket) {
                    this.write(Buffer.from([22, 3, 1, 2, 0]));
                }),
        );
        try {
            await setTimeout(2000);
            for (let time = 0; time < 5; time++) {
                // Each on a connection of its own to the node, as the API server's may be in use.
                const logs: string[] = await Promise.all(
                    Array.from({ length: 5 }, (): Promise<string> => world.log(pod)),
                );
                for (const log of logs) assert.equal(log, "for few eyes\n");
            }
            const open = readdirSync(`/proc/${agent().pid}/fd`).length;
            assert.ok(open < 600, `${open} descriptors`);
        } finally {
            for (const socket of held) socket.destroy();
        }
    });

    it("is open at the node's address alone", () => {
        const { nodeIp, port } = underTest().node;
        const open = listeners().filter((listener) => listener.port === port);
        assert.deepEqual(open, [{ address: nodeIp, port }]);
    });
});
