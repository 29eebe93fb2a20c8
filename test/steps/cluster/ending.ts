/** How node and cluster go, one step after the other, and what is left: nothing. */
import assert from "node:assert/strict";
import { copyFileSync, existsSync, rmSync } from "node:fs";
import * as path from "node:path";
import { it } from "node:test";
import { run } from "../../../steps/lib/run";
import { pass, passTwice, start } from "../runStep";
import {
    adminFile,
    clusterInput,
    containers,
    csrs,
    forgedRequest,
    get,
    keptFile,
    kubectl,
    leftOf,
    nodeName,
    parts,
    runs,
    stateDir,
    tokensOf,
} from "./clusterUnderTest";

export function allIsDeleted(): void {
    it("deleteCertificateRequests deletes the node's requests and leaves others", async () => {
        const foreign = forgedRequest(`krustlet-${nodeName}-client-second`, "example.com/signer");
        assert.equal((await kubectl(["create", "-f", "-"], foreign)).exitCode, 0);
        await pass("deleteCertificateRequests", parts.approval);
        const left = (await csrs())
            .map(({ metadata }) => metadata.name)
            .filter((name) => name.startsWith("krustlet-"));
        assert.deepEqual(left, [`krustlet-${nodeName}-client-second`]);
    });

    it("stopNode ends the agent and leaves no Node, lease or file; again is fine", async () => {
        await pass("stopNode", { ...parts.node, owner: "krustlet-stack/other" });
        assert.equal(runs(parts.agent.pid), true, "another owner's stopNode does nothing");
        await passTwice("stopNode", parts.node);
        assert.equal(runs(parts.agent.pid), false);
        assert.equal(existsSync(stateDir), false);
        assert.match((await kubectl(["get", "--raw", `/api/v1/nodes/${nodeName}`])).stderr, /NotFound/);
        const lease = `/apis/coordination.k8s.io/v1/namespaces/kube-node-lease/leases/${nodeName}`;
        assert.match((await kubectl(["get", "--raw", lease])).stderr, /NotFound/);
    });

    it("deleteBootstrapToken revokes a token though its file has gone; again is fine", async () => {
        await pass("createBootstrapToken", parts.token);
        rmSync(parts.token.file);
        await passTwice("deleteBootstrapToken", parts.token);
        const { items } = await get<{ items: object[] }>("/api/v1/namespaces/kube-system/secrets");
        assert.equal(tokensOf(items).length, 0);
    });

    it("deleteKindCluster leaves no container, volume, network, kubeconfig or context; again is fine", async () => {
        copyFileSync(adminFile, keptFile);
        await passTwice("deleteKindCluster", clusterInput);
        assert.deepEqual(await containers(), []);
        assert.deepEqual(await leftOf(parts.clusterVolumes), []);
        assert.equal(existsSync(path.dirname(adminFile)), false);
        const onNetwork = (
            await run(["docker", "ps", "--all", "--quiet", "--filter=network=kind"])
        ).stdout.trim();
        const networks = (await run(["docker", "network", "ls", "--format={{.Name}}"])).stdout.split("\n");
        assert.equal(networks.includes("kind"), onNetwork !== "");
        const { stdout } = await kubectl(
            ["config", "get-contexts", "--output=name"],
            undefined,
            clusterInput.mergeKubeconfigFile,
        );
        assert.deepEqual(stdout.trim().split("\n"), ["mine"]);
    });

    it("what is deleted in a cluster that has gone is deleted quickly", async () => {
        for (const [name, input] of [
            ["stopNode", parts.node],
            ["deleteBootstrapToken", parts.token],
            ["deleteCertificateRequests", parts.approval],
        ] as const) {
            for (const [kubeconfigFile, said] of [
                [adminFile, /nothing is deleted in the cluster: there is no .*kubeconfig to reach it by/],
                [keptFile, /nothing is deleted in the cluster, which is gone/],
            ] as const) {
                const result = await start(name, JSON.stringify({ ...input, kubeconfigFile }));
                assert.equal(result.exitCode, 0, result.stderr);
                assert.match(result.stderr, said);
                assert.ok(result.seconds < 10, `${name} took ${result.seconds} s`);
            }
        }
    });
}
