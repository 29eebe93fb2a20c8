/** A registry of somebody else's, with a certificate of a private authority and a login that the node does not have. */
import assert from "node:assert/strict";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { run } from "../../steps/lib/run";
import { removeTestRegistry, runStep, startTestRegistry, type TestRegistry } from "../parts";
import { makeCertificate } from "../unit/steps/node/makeCertificate";
import { root, StackUnderTest } from "./stackUnderTest";

const NODE = "krustlet-private";
const PORT = 5107;
const ADDRESS = `localhost:${PORT}`;
const LOGIN = { username: "probe", password: "probe-password" };
const AUTH = Buffer.from(`${LOGIN.username}:${LOGIN.password}`).toString("base64");

const authority = makeCertificate({ commonName: "a private authority", authority: true });
const server = makeCertificate({
    commonName: "registry",
    names: [{ dNSName: "localhost" }],
    issuer: authority,
});
const REGISTRY: TestRegistry = {
    name: "krustlet-private-registry",
    port: PORT,
    // bcrypt of the password above, as `htpasswd -B` writes it.
    htpasswd: `${LOGIN.username}:$2b$05$920xD3zbUkOp8f7p.F5EFefQNrDGFv417CS/Q/CgcypIOfzvqQcWm`,
    tls: server,
};

interface Pod {
    metadata: { name: string; uid: string; labels?: { app?: string } };
    spec: { imagePullSecrets?: { name: string }[]; containers: { image: string }[] };
    status: {
        phase: string;
        containerStatuses?: { state: { waiting?: { reason?: string; message?: string } } }[];
    };
}

void describe("a private registry", { timeout: 900_000 }, () => {
    const env = process.env as Record<string, string>;
    let stack: StackUnderTest;
    let ca: string;
    let logins: string;
    const modules: Record<string, string> = {};

    /** Nobody's login but the one in the file that the stack is told of: neither the agent's nor Docker's own. */
    const elsewhere = () => ({ DOCKER_CONFIG: path.join(stack.home, "no-logins") });

    before(async () => {
        stack = await StackUnderTest.create("acceptance-private");
        ca = path.join(stack.home, "ca.pem");
        logins = path.join(stack.home, "team-logins.json");
        await fs.writeFile(ca, authority.certificate);
        await writeLogins({ [ADDRESS]: { auth: AUTH } });
        await startTestRegistry(env, REGISTRY);
        for (const name of ["hello-world", "ticker"]) {
            const source = path.join(root, "workloads", name);
            modules[name] = (await runStep({ root, env }, "buildModule", { source })).file;
        }
        await push("hello-world", "team/moved:v1");
        await stack.configure({
            clusterName: "krustlet-private",
            registryAddress: `${ADDRESS}/team`,
            registryTrustedCaFile: ca,
            registryDockerConfigFile: logins,
            nodes: [{ name: NODE, port: 3107 }],
            workloads: [
                { name: "hello-wasm", source: "workloads/hello-world", deleteTag: true },
                { name: "moved", reference: `${ADDRESS}/team/moved:v1` },
            ],
        });
    });
    after(async () => {
        await stack.npmRun("down", elsewhere());
        await stack.remove();
        await removeTestRegistry(env, REGISTRY);
    });

    async function writeLogins(auths: object): Promise<void> {
        await fs.writeFile(logins, JSON.stringify({ auths }), { mode: 0o600 });
    }

    /** Puts a module into the registry, as somebody else would; returns its digest. */
    async function push(module: string, name: string): Promise<string> {
        const reference = `${ADDRESS}/${name}`;
        const { sha256 } = await runStep({ root, env }, "describeModule", { file: modules[module] });
        const access = { insecureRegistries: [], trustedCaFile: ca, dockerConfigFile: logins };
        const input = { file: modules[module], sha256, reference, ...access };
        return (await runStep({ root, env }, "pushArtifact", input)).digest;
    }

    /** The digest that a name has in the registry now; undefined: it is not there. */
    async function digestOf(name: string): Promise<string | undefined> {
        const access = { insecureRegistries: [], trustedCaFile: ca, dockerConfigFile: logins };
        const found = await runStep({ root, env }, "resolveArtifact", {
            reference: `${ADDRESS}/${name}`,
            ...access,
        }).catch((error: Error) => {
            assert.match(error.message, /could not find/);
            return undefined;
        });
        return found?.digest;
    }

    async function up(): Promise<string> {
        const { stdout, stderr, exitCode } = await stack.npmRun("up", elsewhere());
        assert.equal(exitCode, 0, stdout + stderr);
        return stdout;
    }

    async function pods(): Promise<Record<string, Pod>> {
        const { items } = JSON.parse(await stack.kubectl("get", "pods", "--output=json")) as { items: Pod[] };
        return Object.fromEntries(items.map((pod) => [pod.metadata.labels?.app ?? pod.metadata.name, pod]));
    }

    async function artifacts(): Promise<Record<string, string>> {
        return ((await stack.outputs()) as { artifacts: Record<string, string> }).artifacts;
    }

    void it("a stack pushes to it, and its pods pull from it by the Secret that the stack makes", async () => {
        await up();
        const found = await pods();
        for (const name of ["hello-wasm", "moved"]) {
            assert.deepEqual(
                [found[name].status.phase, found[name].spec.imagePullSecrets],
                ["Succeeded", [{ name: "krustlet-stack-acceptance-private-pull" }]],
                name,
            );
            const log = await stack.kubectl("logs", found[name].metadata.name);
            assert.equal(log.trim(), "Hello, World!");
        }
        // Both are the same bytes, and so the same artifact, pushed by two.
        assert.deepEqual(Object.values(await artifacts()), [
            `${ADDRESS}/team/hello-wasm@${await digestOf("team/hello-wasm:latest")}`,
            `${ADDRESS}/team/moved@${await digestOf("team/moved:v1")}`,
        ]);
    });

    void it("up again changes nothing", async () => {
        assert.match(await up(), /Resources:\n\s+\d+ unchanged\n/);
    });

    void it("the node itself has no login there: a pod without the Secret gets nothing", async () => {
        const digest = await push("ticker", "team/secret:v1");
        const [hello] = Object.values(await pods());
        const pod = {
            apiVersion: "v1",
            kind: "Pod",
            metadata: { name: "without" },
            spec: { ...hello.spec, nodeName: undefined, imagePullSecrets: undefined },
        };
        pod.spec.containers = [
            { name: "without", image: `${ADDRESS}/team/secret@${digest}` } as { image: string },
        ];
        const file = path.join(stack.home, "without.json");
        await fs.writeFile(file, JSON.stringify(pod));
        await stack.kubectl("create", "-f", file);
        let state: { reason?: string; message?: string } | undefined;
        for (let turn = 0; turn < 60 && !/ImagePull/.test(state?.reason ?? ""); turn++) {
            await new Promise((resolve) => setTimeout(resolve, 500));
            state = (await pods()).without.status.containerStatuses?.[0]?.state.waiting;
        }
        assert.match(state?.reason ?? "", /^(ErrImagePull|ImagePullBackOff)$/);
        await stack.kubectl("delete", "pod", "without", "--wait=true");
    });

    void it("another login reaches the Secret with the next update, and no pod is touched", async () => {
        const before = await pods();
        await writeLogins({ [ADDRESS]: { auth: AUTH }, [`${ADDRESS}/team`]: LOGIN });
        await up();
        const secret = JSON.parse(
            await stack.kubectl("get", "secret", "krustlet-stack-acceptance-private-pull", "--output=json"),
        ) as { data: Record<string, string> };
        assert.deepEqual(JSON.parse(Buffer.from(secret.data[".dockerconfigjson"], "base64").toString()), {
            auths: { [ADDRESS]: { auth: AUTH }, [`${ADDRESS}/team`]: { auth: AUTH } },
        });
        const uids = (all: Record<string, Pod>) => Object.values(all).map(({ metadata }) => metadata.uid);
        assert.deepEqual(uids(await pods()), uids(before));
    });

    void it("a tag that was moved is a change, which preview tells; the workload gets the new digest", async () => {
        const before = await artifacts();
        const digest = await push("ticker", "team/moved:v1");
        const preview = await stack.pulumi(`preview --stack ${stack.name} --expect-no-changes`, elsewhere());
        assert.notEqual(preview.exitCode, 0, preview.stdout);
        await up();
        const moved = `${ADDRESS}/team/moved@${digest}`;
        assert.deepEqual(await artifacts(), { ...before, moved });
        const pod = (await pods()).moved;
        assert.deepEqual([pod.status.phase, pod.spec.containers[0].image], ["Running", moved]);
    });

    void it("down takes the Secret and the stack's own tag, and leaves the registry and what is in it", async () => {
        const digest = await digestOf("team/hello-wasm:latest");
        const { stdout, stderr, exitCode } = await stack.npmRun("down", elsewhere());
        assert.equal(exitCode, 0, stdout + stderr);
        assert.equal(
            await digestOf("team/hello-wasm:latest"),
            undefined,
            "the tag that it was told to delete",
        );
        assert.equal(await digestOf(`team/hello-wasm@${digest}`), digest, "what the tag led to");
        assert.notEqual(await digestOf("team/moved:v1"), undefined, "somebody else's tag");
        const running = await run(["docker", "inspect", "--format={{.State.Running}}", REGISTRY.name]);
        assert.equal(running.stdout.trim(), "true");
    });
});
