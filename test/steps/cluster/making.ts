/** A cluster as its steps make it, find it again, and keep off that of others. */
import assert from "node:assert/strict";
import { existsSync, readFileSync, rmSync, statSync } from "node:fs";
import * as path from "node:path";
import { it } from "node:test";
import { NODE_IMAGE } from "../../../common/versions";
import type * as contract from "../../../steps/contract";
import { run } from "../../../steps/lib/run";
import { fail, pass, start } from "../runStep";
import {
    adminFile,
    checks,
    clusterInput,
    containers,
    folder,
    get,
    kubectl,
    leftOf,
    owner,
    parts,
    volumes,
} from "./clusterUnderTest";

export function clusterIsMade(): void {
    it("createKindCluster leaves nothing when it is ended half-way", async () => {
        let made: Promise<string[]> | undefined;
        const result = await start("createKindCluster", JSON.stringify(clusterInput), {
            onProgress: (child, text) => {
                if (made !== undefined || !text.includes("Starting control-plane")) return;
                made = volumes();
                void made.finally(() => child.kill("SIGINT"));
            },
        });
        assert.equal(result.exitCode, 1, result.stderr);
        assert.equal(result.stdout, "");
        assert.match(result.stderr, /createKindCluster: SIGINT, cleaning up\n/);
        assert.match(result.stderr, /\ncreateKindCluster: ended by a signal; what it had begun is undone\n$/);
        assert.deepEqual(await containers(), []);
        assert.equal((await made)?.length, 1);
        assert.deepEqual(await leftOf((await made) ?? []), []);
    });

    it("createKindCluster makes a cluster after a run that was killed", async () => {
        const killed = await start("createKindCluster", JSON.stringify(clusterInput), {
            onProgress: (child, text) => {
                if (text.includes("Writing configuration")) child.kill("SIGKILL");
            },
        });
        assert.equal(killed.exitCode, null);
        parts.cluster = await pass("createKindCluster", clusterInput);
        parts.clusterVolumes = await volumes();
        assert.equal(parts.clusterVolumes.length, 1);
        const system = await get<{ metadata: { uid: string } }>("/api/v1/namespaces/kube-system");
        assert.deepEqual(
            { ...parts.cluster, server: "", nodeAddress: "" },
            {
                name: clusterInput.name,
                kubeconfigFile: adminFile,
                context: "kind-krustlet-steps-test",
                server: "",
                kubernetesVersion: NODE_IMAGE.tag,
                network: "kind",
                nodeAddress: "",
                identity: system.metadata.uid,
            },
        );
        assert.match(parts.cluster.server, /^https:\/\/127\.0\.0\.1:\d+$/);
        assert.match(parts.cluster.nodeAddress, /^\d+\.\d+\.\d+\.1$/);
        assert.equal(statSync(adminFile).mode & 0o777, 0o600);
        assert.equal(statSync(path.dirname(adminFile)).mode & 0o777, 0o700);
    });

    it("createKindCluster adopts its own cluster as it is, whatever else has joined it", async () => {
        // A Wasm node whose agent has died, by a name like those of kind's own.
        const name = `${clusterInput.name}-2`;
        const dead = { apiVersion: "v1", kind: "Node", metadata: { name } };
        assert.equal((await kubectl(["create", "-f", "-"], dead)).exitCode, 0);
        const result = await start("createKindCluster", JSON.stringify(clusterInput));
        assert.equal((await kubectl(["delete", "node", name])).exitCode, 0);
        assert.equal(result.exitCode, 0, result.stderr);
        assert.deepEqual(JSON.parse(result.stdout), parts.cluster);
        assert.match(result.stderr, /cluster "krustlet-steps-test" is there already/);
    });

    it("a lost kubeconfig is written again, by createKindCluster and by observeKindCluster", async () => {
        const content = readFileSync(adminFile, "utf8");
        const { name, image, kubeadmConfigPatches, containerdConfigPatches } = clusterInput;
        const wanted = { name, image, kubeadmConfigPatches, containerdConfigPatches };
        const look = { resource: "c-kind", owner, kubeconfigFile: adminFile, wanted };
        for (const mend of [
            () => pass("createKindCluster", clusterInput),
            () => pass("observeKindCluster", look),
        ]) {
            rmSync(path.dirname(adminFile), { recursive: true });
            await mend();
            assert.equal(readFileSync(adminFile, "utf8"), content);
            assert.equal(statSync(adminFile).mode & 0o777, 0o600);
            assert.equal(statSync(path.dirname(adminFile)).mode & 0o777, 0o700);
        }
        // Another owner gets none.
        const other = { ...look, owner: "krustlet-stack/other", kubeconfigFile: path.join(folder, "other") };
        assert.deepEqual(await pass("observeKindCluster", other), {});
        assert.equal(existsSync(other.kubeconfigFile), false);
    });

    it("createKindCluster starts its cluster where it stands still: nothing in it is lost", async () => {
        assert.equal((await kubectl(["create", "configmap", "mine", "--from-literal=a=b"])).exitCode, 0);
        const ids = await containers();
        for (const act of ["stop", "pause"]) {
            await run(["docker", act, ...ids]);
            const result = await start("createKindCluster", JSON.stringify(clusterInput));
            assert.equal(result.exitCode, 0, result.stderr);
            assert.match(
                result.stderr,
                /container krustlet-steps-test-control-plane stands still: started again/,
            );
            assert.equal(
                (JSON.parse(result.stdout) as contract.ClusterOutput).identity,
                parts.cluster.identity,
            );
            assert.deepEqual(await containers(), ids);
        }
        assert.equal((await kubectl(["get", "configmap", "mine"])).exitCode, 0);
        assert.equal((await kubectl(["delete", "configmap", "mine"])).exitCode, 0);
    });

    it("createKindCluster writes the kubeconfig to another place, and over nothing else", async () => {
        const elsewhere = path.join(folder, "elsewhere", "kubeconfig");
        const moved = await pass("createKindCluster", { ...clusterInput, kubeconfigFile: elsewhere });
        assert.deepEqual(moved, { ...parts.cluster, kubeconfigFile: elsewhere });
        assert.equal(readFileSync(elsewhere, "utf8"), readFileSync(adminFile, "utf8"));
        rmSync(path.dirname(elsewhere), { recursive: true });
        const kubeconfigFile = clusterInput.mergeKubeconfigFile ?? "";
        const mine = readFileSync(kubeconfigFile, "utf8");
        assert.match(
            await fail("createKindCluster", { ...clusterInput, kubeconfigFile }),
            /kubeconfigFile: .*merged\.kubeconfig holds more than, or other than, context "kind-krustlet-steps-test"/,
        );
        assert.equal(readFileSync(kubeconfigFile, "utf8"), mine);
    });

    it("a step without the kubeconfig says which file it is and how it comes back", async () => {
        const kubeconfigFile = path.join(folder, "none");
        assert.equal(
            await fail("approveKubeletCertificates", {
                kubeconfigFile,
                clusterName: clusterInput.name,
                owner,
                timeoutSeconds: 5,
            }),
            `approveKubeletCertificates: kubeconfigFile: there is no ${kubeconfigFile}, the cluster's admin kubeconfig; \`pulumi up\` (\`npm run up\`) ` +
                "on the stack that made the cluster writes it again; for a kind cluster of your own, " +
                `\`(umask 077; kind get kubeconfig --name CLUSTER >${kubeconfigFile})\` does\n`,
        );
    });

    it("createKindCluster merges into the file that was named, and keeps what was in it", async () => {
        const { stdout } = await kubectl(
            ["config", "get-contexts", "--output=name"],
            undefined,
            clusterInput.mergeKubeconfigFile,
        );
        assert.deepEqual(stdout.trim().split("\n").sort(), [parts.cluster.context, "mine"]);
    });

    it("a cluster of another owner is refused and never touched", async () => {
        const before = await containers();
        const other = { ...clusterInput, owner: "krustlet-stack/other", mergeKubeconfigFile: undefined };
        const said =
            /a kind cluster "krustlet-steps-test" exists and belongs to krustlet-stack\/steps-test, so krustlet-stack\/other does not touch it/;
        assert.match(await fail("createKindCluster", other), said);
        assert.match(await fail("preflight", { ...checks, owner: other.owner }), said);
        await pass("deleteKindCluster", other);
        assert.deepEqual(await containers(), before);
    });
}
