import assert from "node:assert/strict";
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import type { ConnectRegistryInput, KindClusterInput, PullSecretInput } from "../../steps/contract";
import { run } from "../../steps/lib/run";
import { NODE_IMAGE, REGISTRY_IMAGE } from "../../common/versions";
import { removeTestCluster } from "../killedRun";
import { fail, pass, passTwice, start } from "./runStep";

const owner = "krustlet-stack/hosting-test";
const folder = mkdtempSync(path.join(tmpdir(), "krustlet-stack-hosting-test-"));
const kubeconfigFile = path.join(folder, "kubeconfig");
const image = `${REGISTRY_IMAGE.name}:${REGISTRY_IMAGE.tag}`;
const port = 5933;
const address = `localhost:${port}`;
const node = "krustlet-hosting-test-control-plane";

const cluster: KindClusterInput = {
    name: "krustlet-hosting-test",
    owner,
    image: `${NODE_IMAGE.name}:${NODE_IMAGE.tag}`,
    waitSeconds: 120,
    kubeconfigFile,
    kubeadmConfigPatches: [],
    containerdConfigPatches: [],
};
const connect: ConnectRegistryInput = {
    clusterName: cluster.name,
    owner,
    network: "kind",
    containerName: "krustlet-hosting-test-registry",
    containerPort: 5000,
    address,
};
const inside = `${connect.containerName}:5000`;

async function docker(...args: string[]): Promise<string> {
    return (await run(["docker", ...args], { timeoutSeconds: 120 })).stdout.trim();
}

async function kubectl(args: string[], input?: object): Promise<string> {
    const argv = ["kubectl", `--kubeconfig=${kubeconfigFile}`, ...args];
    return (await run(argv, { input: input && JSON.stringify(input), timeoutSeconds: 60 })).stdout;
}

/** Names of the networks that the registry's container is on. */
async function networks(): Promise<string[]> {
    const found = await docker(
        "inspect",
        "--format={{json .NetworkSettings.Networks}}",
        connect.containerName,
    );
    return Object.keys(JSON.parse(found) as object).sort();
}

/** An ordinary container of that image on kind's own node; returns its pod when it runs. */
async function runs(name: string, reference: string): Promise<{ status: { containerStatuses: object[] } }> {
    const pod = {
        apiVersion: "v1",
        kind: "Pod",
        metadata: { name },
        spec: {
            nodeName: node,
            containers: [{ name, image: reference, imagePullPolicy: "Always" }],
            automountServiceAccountToken: false,
            enableServiceLinks: false,
            terminationGracePeriodSeconds: 0,
        },
    };
    await kubectl(["create", "-f", "-"], pod);
    for (let turn = 0; turn < 60; turn++) {
        const found = JSON.parse(await kubectl(["get", "pod", name, "--output=json"])) as {
            status: {
                phase: string;
                containerStatuses: {
                    imageID: string;
                    state: { waiting?: { reason: string; message?: string } };
                }[];
            };
        };
        if (found.status.phase === "Running") return found;
        const waiting = found.status.containerStatuses?.[0]?.state.waiting;
        assert.doesNotMatch(waiting?.reason ?? "", /ErrImagePull|ImagePullBackOff/, waiting?.message);
        await sleep(500);
    }
    throw new Error(`pod ${name} did not run: ${await kubectl(["describe", "pod", name])}`);
}

describe("a registry for kind's own nodes", () => {
    const removeRegistry = () =>
        run(["docker", "rm", "--force", "--volumes", connect.containerName], { allowFailure: true });

    before(async () => {
        await removeRegistry();
        await docker(
            ...["run", "--detach", "--name", connect.containerName],
            ...["--publish", `127.0.0.1:${port}:5000`, image],
        );
        await removeTestCluster(cluster.name);
        await pass("createKindCluster", cluster);
    });
    after(async () => {
        await start("disconnectRegistry", JSON.stringify(connect));
        await start("deleteKindCluster", JSON.stringify(cluster));
        await removeRegistry();
        await run(["docker", "rmi", `${address}/team/app:v1`], { allowFailure: true });
        rmSync(folder, { recursive: true, force: true });
    });

    it("connectRegistry refuses a cluster that is not the stack's, and names what is not there", async () => {
        assert.match(
            await fail("connectRegistry", { ...connect, owner: "krustlet-stack/other" }),
            /a kind cluster "krustlet-hosting-test" exists and belongs to krustlet-stack\/hosting-test/,
        );
        assert.match(
            await fail("connectRegistry", { ...connect, clusterName: "krustlet-none" }),
            /there is no kind cluster "krustlet-none"/,
        );
        assert.match(
            await fail("connectRegistry", { ...connect, containerName: "krustlet-none" }),
            /RegistryHosting\.containerName: there is no container "krustlet-none"/,
        );
        assert.deepEqual(await networks(), ["bridge"]);
    });

    it("connectRegistry connects the two; again is fine", async () => {
        const output = { inClusterAddress: inside, nodes: [node] };
        assert.deepEqual(await pass("connectRegistry", connect), output);
        assert.deepEqual(await pass("connectRegistry", connect), output);
        assert.deepEqual(await networks(), ["bridge", "kind"]);
    });

    it("a container image that was pushed on this host runs on kind's own node, under either name", async () => {
        // Any image of Docker's does, and this one is there: nothing need be pulled for a test.
        await docker("tag", image, `${address}/team/app:v1`);
        await docker("push", "--quiet", `${address}/team/app:v1`);
        const { status } = await runs("as-on-this-host", `${address}/team/app:v1`);
        assert.match(JSON.stringify(status.containerStatuses), new RegExp(`${address}/team/app@sha256:`));
        await runs("as-in-the-cluster", `${inside}/team/app:v1`);
    });

    it("the node reaches the registry after that was started anew", async () => {
        await docker("restart", connect.containerName);
        await runs("after-restart", `${address}/team/app:v1`);
    });

    it("disconnectRegistry undoes it; again is fine", async () => {
        await passTwice("disconnectRegistry", connect);
        assert.deepEqual(await networks(), ["bridge"]);
        assert.equal(await docker("exec", node, "ls", "/etc/containerd/certs.d"), "");
    });

    it("a registry that another cluster on the network was told of stays until that is gone", async () => {
        const other = `${connect.containerName}-others-node`;
        const tree = path.join(folder, "tree");
        mkdirSync(path.join(tree, "etc/containerd/certs.d", inside), { recursive: true });
        const label = "--label=io.x-k8s.kind.cluster=krustlet-others-test";
        await docker("run", "--detach", "--name", other, "--network=kind", label, image);
        try {
            await pass("connectRegistry", connect);
            await docker("cp", `${tree}/.`, `${other}:/`);
            await pass("disconnectRegistry", connect);
            assert.deepEqual(await networks(), ["bridge", "kind"]);
        } finally {
            await docker("rm", "--force", "--volumes", other);
        }
        await pass("disconnectRegistry", connect);
        assert.deepEqual(await networks(), ["bridge"]);
    });

    it("a registry that somebody else connected stays connected", async () => {
        await docker("network", "connect", "kind", connect.containerName);
        await pass("connectRegistry", connect);
        await pass("disconnectRegistry", connect);
        assert.deepEqual(await networks(), ["bridge", "kind"]);
        await docker("network", "disconnect", "kind", connect.containerName);
    });

    describe("the login for pods", () => {
        const password = "hosting-password";
        const logins = path.join(folder, "logins.json");
        const secret: PullSecretInput = {
            kubeconfigFile,
            owner,
            namespace: "default",
            name: "pull",
            registry: "registry.example.com",
            dockerConfigFile: logins,
            fingerprint: null,
        };
        const look = {
            registry: secret.registry,
            dockerConfigFile: logins,
            salt: owner,
            mayBuild: false,
        };
        const none = { known: true, fingerprint: null };
        const auth = (user: string) => Buffer.from(`${user}:${password}`).toString("base64");
        const write = (config: object) => {
            writeFileSync(logins, JSON.stringify(config), { mode: 0o600 });
        };
        /** What the cluster's Secret holds. */
        const held = async () => {
            const found = JSON.parse(await kubectl(["get", "secret", "pull", "--output=json"])) as {
                type: string;
                data: Record<string, string>;
            };
            assert.equal(found.type, "kubernetes.io/dockerconfigjson");
            return JSON.parse(Buffer.from(found.data[".dockerconfigjson"], "base64").toString()) as unknown;
        };
        const isThere = async () =>
            (await kubectl(["get", "secrets", "--output=name"])).includes("secret/pull");

        it("without one there is no Secret", async () => {
            write({ auths: { "other.example.com": { auth: auth("me") } } });
            assert.deepEqual(await pass("describeLogin", look), none);
            assert.deepEqual(await pass("createPullSecret", secret), { name: null });
            assert.equal(await isThere(), false);
        });

        it("goes from docker's config file to the cluster, and nowhere else", async () => {
            write({
                auths: { "registry.example.com": { auth: auth("me") }, "o.example.com": { auth: auth("o") } },
            });
            const { fingerprint } = await pass("describeLogin", look);
            assert.match(fingerprint ?? "", /^[A-Za-z0-9+/]{43}=$/);
            const made = await start("createPullSecret", JSON.stringify({ ...secret, fingerprint }));
            assert.equal(made.exitCode, 0, made.stderr);
            assert.deepEqual(JSON.parse(made.stdout), { name: "pull" });
            assert.doesNotMatch(made.stdout + made.stderr, new RegExp(`${password}|${auth("me")}`));
            assert.deepEqual(await held(), { auths: { "registry.example.com": { auth: auth("me") } } });
        });

        it("another login is written over it", async () => {
            const before = await pass("describeLogin", look);
            write({ auths: { "registry.example.com": { auth: auth("you") } } });
            const { fingerprint } = await pass("describeLogin", look);
            assert.notEqual(fingerprint, before.fingerprint);
            await passTwice("createPullSecret", { ...secret, fingerprint });
            assert.deepEqual(await held(), { auths: { "registry.example.com": { auth: auth("you") } } });
        });

        it("is asked of the credential helper that the file names", async () => {
            const bin = path.join(folder, "bin");
            mkdirSync(bin);
            // The registry that it is asked for comes by standard input; it knows one.
            const helper = `#!/bin/sh
read -r registry
[ "$1 $registry" = "get registry.example.com" ] || { echo "credentials not found in native keychain"; exit 1; }
echo '{"ServerURL": "registry.example.com", "Username": "kept", "Secret": "${password}"}'
`;
            writeFileSync(path.join(bin, "docker-credential-krustlet-test"), helper, { mode: 0o700 });
            process.env.PATH = `${bin}${path.delimiter}${process.env.PATH ?? ""}`;
            write({ auths: { "registry.example.com": {} }, credsStore: "krustlet-test" });
            const { fingerprint } = await pass("describeLogin", look);
            assert.notEqual(fingerprint, null);
            await pass("createPullSecret", { ...secret, fingerprint });
            assert.deepEqual(await held(), { auths: { "registry.example.com": { auth: auth("kept") } } });
            const other = { ...look, registry: "unknown.example.com" };
            assert.deepEqual(await pass("describeLogin", other), none);
        });

        it("that cannot be read is told, and what is there is not repeated", async () => {
            write({ credHelpers: { "registry.example.com": "krustlet-none" } });
            assert.match(
                await fail("describeLogin", look),
                /docker-credential-krustlet-none, which .* names for registry\.example\.com.*there is no such program on PATH/,
            );
            writeFileSync(logins, `{"auths": ${password}`);
            const said = await fail("describeLogin", look);
            assert.match(
                said,
                /RegistryPullSecret: could not read .*logins\.json.*not the JSON that docker writes/,
            );
            assert.doesNotMatch(said, new RegExp(password));
            const absent = { ...look, dockerConfigFile: path.join(folder, "none.json") };
            assert.match(await fail("describeLogin", absent), /none\.json does not exist; `docker --config/);
        });

        it("is of a namespace that is there", async () => {
            write({ auths: { "registry.example.com": { auth: auth("me") } } });
            assert.match(
                await fail("createPullSecret", { ...secret, namespace: "krustlet-none" }),
                /RegistryPullSecret: there is no namespace krustlet-none/,
            );
        });

        it("deletePullSecret deletes it; again is fine, and so is a cluster that has gone", async () => {
            await passTwice("deletePullSecret", secret);
            assert.equal(await isThere(), false);
            const gone = path.join(folder, "gone");
            const admin = readFileSync(kubeconfigFile, "utf8");
            writeFileSync(gone, admin.replace(/(server: https:\/\/127\.0\.0\.1):\d+/, "$1:1"), {
                mode: 0o600,
            });
            await pass("deletePullSecret", { ...secret, kubeconfigFile: gone });
            await pass("deletePullSecret", { ...secret, kubeconfigFile: path.join(folder, "none") });
        });

        it("goes when there is none any more", async () => {
            await pass("createPullSecret", secret);
            write({});
            assert.deepEqual(await pass("createPullSecret", secret), { name: null });
            assert.equal(await isThere(), false);
        });

        it("a Secret of that name that is not the stack's is left alone", async () => {
            write({ auths: { "registry.example.com": { auth: auth("me") } } });
            await pass("createPullSecret", { ...secret, owner: "krustlet-stack/other" });
            const before = await held();
            assert.match(
                await fail("createPullSecret", secret),
                /a Secret "pull" exists in namespace default and was not made by krustlet-stack\/hosting-test/,
            );
            await pass("deletePullSecret", secret);
            assert.deepEqual(await held(), before);
        });
    });
});
