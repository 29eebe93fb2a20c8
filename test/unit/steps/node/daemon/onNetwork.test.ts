/** Where a node in a container finds the cluster's API server. */
import assert from "node:assert/strict";
import { writeFileSync } from "node:fs";
import * as path from "node:path";
import { describe, it } from "node:test";
import { newKubeconfig } from "../../../../../steps/lib/kube/kubeconfig";
import { clusterFrom } from "../../../../../steps/node/daemon/onNetwork";
import { scratchFolder, scriptedTools } from "../../lib/scriptedDocker";

const folder = scratchFolder("network");

const tools = scriptedTools();

void describe("the API server", () => {
    const file = path.join(folder, "kubeconfig");
    const at = async (server: string, network?: string) => {
        writeFileSync(
            file,
            newKubeconfig({ name: "u", fields: {} }, { server, certificateAuthorityData: "eA==" }),
        );
        return (await clusterFrom(network, file)).server;
    };
    const ports = { "6443/tcp": [{ HostPort: "40001" }], "80/tcp": null };
    void it("is reached by its container's name where it is published on this host", async () => {
        tools.withContainers({
            Name: "/c-control-plane",
            NetworkSettings: { Networks: { kind: {} }, Ports: ports },
        });
        assert.equal(await at("https://127.0.0.1:40001", "kind"), "https://c-control-plane:6443");
        assert.equal(await at("https://localhost:40001/x", "kind"), "https://c-control-plane:6443/x");
        assert.equal(
            tools.asked()[0],
            "docker ps --all --quiet --no-trunc --filter=publish=40001 --filter=network=kind",
        );
    });
    void it("is where it is for processes, and where any machine reaches it", async () => {
        tools.withContainers();
        assert.equal(await at("https://127.0.0.1:40001"), "https://127.0.0.1:40001");
        assert.equal(await at("https://10.0.0.9:6443", "kind"), "https://10.0.0.9:6443");
    });
    void it("that no container on the network publishes cannot be reached from there", async () => {
        tools.withContainers();
        await assert.rejects(
            at("https://127.0.0.1:40001", "kind"),
            /no container on Docker's network "kind" publishes/,
        );
    });
});
