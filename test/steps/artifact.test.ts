import assert from "node:assert/strict";
import { cpSync, existsSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import type { BuildModuleOutput, PushArtifactInput } from "../../steps/contract";
import { run } from "../../steps/lib/run";
import { REGISTRY_IMAGE } from "../../common/versions";
import { fail, pass } from "./runStep";

const container = "krustlet-steps-test-registry";
const port = 5931;
const address = `localhost:${port}`;
const folder = mkdtempSync(path.join(tmpdir(), "krustlet-steps-test-"));
const source = path.join(folder, "hello-world");
// What is built goes away with the folder.
process.env.XDG_CACHE_HOME = path.join(folder, "cache");

describe("from a source to a registry", () => {
    let built: BuildModuleOutput;
    let push: PushArtifactInput;

    const removeRegistry = () =>
        run(["docker", "rm", "--force", "--volumes", container], { allowFailure: true });
    before(async () => {
        cpSync(path.join(__dirname, "..", "..", "workloads", "hello-world"), source, { recursive: true });
        await removeRegistry();
    });
    after(async () => {
        await removeRegistry();
        rmSync(folder, { recursive: true, force: true });
    });

    it("buildModule makes a module and leaves nothing among the sources", async () => {
        const before = await pass("describeModule", { source });
        built = await pass("buildModule", { source });
        assert.match(built.file, /hello-world\.wasm$/);
        assert.deepEqual(await pass("describeModule", { file: built.file }), { sha256: built.sha256 });
        assert.equal(existsSync(path.join(source, "target")), false);
        assert.deepEqual(await pass("describeModule", { source }), before);
    });

    it("buildModule makes the same module again", async () => {
        assert.deepEqual(await pass("buildModule", { source }), built);
    });

    it("buildModule makes a component of a server, which is a library", async () => {
        const server = path.join(folder, "hello-http");
        cpSync(path.join(__dirname, "..", "..", "workloads", "hello-http"), server, { recursive: true });
        const { file } = await pass("buildModule", { source: server });
        assert.match(file, /wasm32-wasip2\/release\/hello_http\.wasm$/);
    });

    it("a changed source has another description and another module", async () => {
        const before = await pass("describeModule", { source });
        writeFileSync(path.join(source, "src", "main.rs"), 'fn main() { println!("Another one"); }\n');
        assert.notDeepEqual(await pass("describeModule", { source }), before);
        const changed = await pass("buildModule", { source });
        assert.notEqual(changed.sha256, built.sha256);
        built = changed;
    });

    it("buildModule repeats the compiler's errors", async () => {
        const broken = path.join(folder, "broken");
        cpSync(source, broken, { recursive: true });
        writeFileSync(path.join(broken, "src", "main.rs"), "fn main() { colour }\n");
        const message = await fail("buildModule", { source: broken });
        assert.match(
            message,
            /buildModule: WasmArtifact\.source: cargo could not build .*broken:\nerror\[E0425\]: cannot find value `colour`/,
        );
    });

    it("buildModule says what to do about a lock file that is not there", async () => {
        const unlocked = path.join(folder, "unlocked");
        cpSync(source, unlocked, { recursive: true });
        rmSync(path.join(unlocked, "Cargo.lock"));
        const message = await fail("buildModule", { source: unlocked });
        assert.match(
            message,
            /Cargo\.lock of .*unlocked is missing or does not fit its Cargo\.toml; run `cargo generate-lockfile`/,
        );
    });

    it("pushArtifact says when no registry is there", async () => {
        push = {
            file: built.file,
            sha256: built.sha256,
            reference: `${address}/hello-world:v1`,
            insecureRegistries: [address],
        };
        const message = await fail("pushArtifact", push);
        assert.match(
            message,
            /pushArtifact: WasmArtifact: could not push .*hello-world\.wasm to localhost:5931\/hello-world:v1: /,
        );
        assert.match(
            await fail("awaitRegistry", { address, plainHttp: true, timeoutSeconds: 1 }),
            /within timeoutSeconds 1: .*ECONNREFUSED/,
        );
    });

    it("awaitRegistry waits for the registry that starts", async () => {
        const image = `${REGISTRY_IMAGE.name}:${REGISTRY_IMAGE.tag}`;
        const waiting = pass("awaitRegistry", { address, plainHttp: true, timeoutSeconds: 60 });
        await run([
            "docker",
            "run",
            "--detach",
            "--name",
            container,
            "--publish",
            `127.0.0.1:${port}:5000`,
            "--env=REGISTRY_STORAGE_DELETE_ENABLED=true",
            image,
        ]);
        assert.deepEqual(await waiting, { address });
    });

    it("pushArtifact pushes by digest, and again without a change", async () => {
        const pushed = await pass("pushArtifact", push);
        assert.match(pushed.digest, /^sha256:[0-9a-f]{64}$/);
        assert.deepEqual(pushed, {
            digest: pushed.digest,
            reference: `${address}/hello-world@${pushed.digest}`,
            sizeBytes: built.sizeBytes,
        });
        assert.deepEqual(await pass("pushArtifact", push), pushed);
        const found = await fetch(`http://${address}/v2/hello-world/manifests/${pushed.digest}`, {
            headers: { accept: "application/vnd.oci.image.manifest.v1+json" },
        });
        assert.equal(found.status, 200);
        const { layers } = (await found.json()) as { layers: { digest: string; size: number }[] };
        assert.deepEqual(
            layers.map(({ digest, size }) => [digest, size]),
            [[`sha256:${built.sha256}`, built.sizeBytes]],
        );
    });

    it("pushArtifact builds the module again where it has gone with the cache", async () => {
        const pushed = await pass("pushArtifact", push);
        rmSync(path.join(folder, "cache"), { recursive: true });
        assert.match(await fail("pushArtifact", push), /hello-world\.wasm does not exist/);
        assert.deepEqual(await pass("pushArtifact", { ...push, source }), pushed);
        assert.equal(existsSync(built.file), true);
    });

    it("pushArtifact refuses a file that is not the described one", async () => {
        const message = await fail("pushArtifact", { ...push, sha256: "0".repeat(64) });
        assert.match(message, /has SHA-256 [0-9a-f]{64}, not 0{64} as described; it changed meanwhile/);
    });

    it("pushArtifact refuses what is no module", async () => {
        const text = path.join(folder, "text.wasm");
        writeFileSync(text, "hello");
        assert.match(
            await fail("pushArtifact", { ...push, file: text }),
            /WasmArtifact\.file: .*text\.wasm is no WebAssembly/,
        );
    });

    it("resolveArtifact tells what a tag leads to now, and what is not there", async () => {
        const access = { insecureRegistries: [address] };
        const pushed = await pass("pushArtifact", push);
        const { digest, reference } = pushed;
        for (const name of [push.reference, reference])
            assert.deepEqual(await pass("resolveArtifact", { reference: name, ...access }), {
                digest,
                reference,
            });
        const other = { ...push, format: "wasm-to-oci" };
        const moved = await pass("pushArtifact", other);
        assert.notEqual(moved.digest, digest, "another form of artifact");
        const now = await pass("resolveArtifact", { reference: push.reference, ...access });
        assert.deepEqual(now, { digest: moved.digest, reference: moved.reference });
        assert.match(
            await fail("resolveArtifact", { reference: `${address}/hello-world:none`, ...access }),
            /WasmArtifact: could not find localhost:5931\/hello-world:none: /,
        );
    });

    it("resolveArtifact finds docker's config file under any name, and says when it is not there", async () => {
        const logins = path.join(folder, "logins.json");
        writeFileSync(logins, '{"auths": {}}');
        const question = { reference: push.reference, insecureRegistries: [address] };
        await pass("resolveArtifact", { ...question, dockerConfigFile: logins });
        writeFileSync(logins, "no JSON");
        const read = await fail("resolveArtifact", { ...question, dockerConfigFile: logins });
        assert.match(read, /logins\.json/, "it was read");
        const none = { ...question, dockerConfigFile: path.join(folder, "none", "config.json") };
        assert.match(
            await fail("resolveArtifact", none),
            /could not find .*none\/config\.json does not exist; `docker --config/,
        );
    });

    it("claimTag and deleteTag keep to a tag that leads to what was pushed", async () => {
        const access = { insecureRegistries: [address] };
        const mine = await pass("pushArtifact", { ...push, reference: `${address}/tags:mine` });
        await pass("pushArtifact", { ...push, reference: `${address}/tags:other` });
        const tag = { reference: `${address}/tags:mine`, digest: mine.digest, ...access };
        assert.deepEqual(await pass("claimTag", tag), { digest: mine.digest, reference: mine.reference });
        const stale = { ...tag, digest: `sha256:${"0".repeat(64)}` };
        assert.match(await fail("claimTag", stale), /leads to sha256:.*: somebody else pushes to this tag/);
        await pass("deleteTag", stale);
        await pass("resolveArtifact", { reference: tag.reference, ...access });

        await pass("deleteTag", tag);
        await pass("deleteTag", tag);
        assert.match(
            await fail("resolveArtifact", { reference: tag.reference, ...access }),
            /could not find/,
        );
        for (const left of [`${address}/tags:other`, mine.reference])
            assert.equal((await pass("resolveArtifact", { reference: left, ...access })).digest, mine.digest);
    });

    it("deleteTag has nothing to do where a local registry has gone", async () => {
        const gone = "localhost:5930";
        const tag = { reference: `${gone}/tags:mine`, digest: `sha256:${"0".repeat(64)}` };
        await pass("deleteTag", { ...tag, insecureRegistries: [gone] });
    });

    it("preflight says which protocol a registry seems to speak", async () => {
        const stack = {
            owner: "krustlet-stack/steps-test",
            cluster: { kind: { name: "krustlet-steps-alone" } },
            nodes: [],
            modules: [],
        };
        await pass("preflight", { ...stack, remoteRegistry: { address, plainHttp: true } });
        assert.match(
            await fail("preflight", { ...stack, remoteRegistry: { address, plainHttp: false } }),
            /before anything is created:\n- Registry: could not ask localhost:5931: .*; perhaps it speaks plain HTTP: set registryPlainHttp to true/,
        );
    });

    it("preflight knows the port as somebody else's", async () => {
        const message = await fail("preflight", {
            owner: "krustlet-stack/steps-test",
            cluster: { kind: { name: "krustlet-steps-alone" } },
            localRegistry: { containerName: "krustlet-steps-test-other", port },
            nodes: [],
            modules: [],
        });
        assert.match(
            message,
            /a problem to mend .*:\n- LocalRegistry\.port: 5931 is in use: something other than container "krustlet-steps-test-other" listens on/,
        );
    });

    it("preflight knows the container as not the stack's", async () => {
        const message = await fail("preflight", {
            owner: "krustlet-stack/steps-test",
            cluster: { kind: { name: "krustlet-steps-alone" } },
            localRegistry: { containerName: container, port },
            nodes: [],
            modules: [],
        });
        assert.match(
            message,
            /a problem to mend .*:\n- LocalRegistry\.containerName: a container "krustlet-steps-test-registry" exists and was not made by this stack/,
        );
    });
});
