// The stand-ins under the real engine: plain `pulumi` commands on a small program.
import { execFile } from "node:child_process";
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import * as fs from "node:fs/promises";
import * as os from "node:os";
import * as path from "node:path";
import { after, before, describe, it } from "node:test";
import { ROOT } from "../../../common/root";
import { installPlugins } from "../build";
import { at, textAt, type Value } from "../lib/values";
import { testKubeconfig } from "./cluster";
import { makeImage } from "./dockerImage";
import { builtPlugins } from "./harness";

const image = `standin-engine-test-${process.pid}:1`;

const program = `
import * as docker from "@pulumi/docker";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

const config = new pulumi.Config();
const provider = new k8s.Provider("cluster", {
    kubeconfig: config.requireSecret("kubeconfig"),
    clusterIdentifier: "test",
});
const namespace = new k8s.core.v1.Namespace("standin-engine", {}, { provider });
const metadata = { namespace: namespace.metadata.name };
const token = new k8s.core.v1.Secret("token", { metadata, stringData: { token: config.requireSecret("token") } }, { provider });
const settings = new k8s.core.v1.ConfigMap("settings", { metadata, data: { a: config.require("a") } }, { provider });
const account = new k8s.core.v1.ServiceAccount("account", { metadata: { ...metadata, labels: { a: config.require("a") } } }, { provider });
const image = new docker.RemoteImage("image", { name: config.require("image"), keepLocally: true });
const container = new docker.Container("container", {
    image: image.imageId,
    envs: ["A=" + config.require("a")],
    ports: [{ internal: 80, ip: "127.0.0.1" }],
});

export const namespaceName = namespace.metadata.name;
export const settingsName = settings.metadata.name;
export const accountName = account.metadata.name;
export const tokenData = token.data;
export const containerId = container.id;
export const port = container.ports.apply((ports) => ports?.[0].external);
if (config.get("fail")) throw new pulumi.RunError("told to fail");
`;

let folder: string;
let env: NodeJS.ProcessEnv;

before(async () => {
    makeImage(image);
    folder = await fs.mkdtemp(path.join(os.tmpdir(), "standin-engine-"));
    const built = await builtPlugins();
    await installPlugins(built, path.join(folder, "home"));
    const loader = path.join(ROOT, "typescript.cjs");
    const runtime = `{ name: nodejs, options: { typescript: false, nodeargs: "--require ${loader}" } }`;
    const write = (name: string, text: string) => fs.writeFile(path.join(folder, name), text);
    await write("Pulumi.yaml", `name: standins\nruntime: ${runtime}\n`);
    await write("package.json", '{ "name": "standins", "main": "index.ts" }');
    await write("index.ts", program);
    await fs.symlink(path.join(ROOT, "node_modules"), path.join(folder, "node_modules"));
    await fs.mkdir(path.join(folder, "state"));
    env = {
        ...process.env,
        PATH: `${await besidePulumi(built)}${path.delimiter}${process.env.PATH}`,
        PULUMI_HOME: path.join(folder, "home"),
        PULUMI_BACKEND_URL: `file://${path.join(folder, "state")}`,
        PULUMI_CONFIG_PASSPHRASE: "test",
        PULUMI_SKIP_UPDATE_CHECK: "true",
    };
    await pulumi("stack", "init", "dev");
    const plain = { a: "one", image };
    const secret = { kubeconfig: testKubeconfig(), token: "s3cr3t-token" };
    const pairs = (flag: string, values: Record<string, string>): string[] =>
        Object.entries(values).flatMap(([key, value]) => [flag, `${key}=${value}`]);
    await pulumi("config", "set-all", ...pairs("--plaintext", plain), ...pairs("--secret", secret));
});

after(async () => {
    await pulumi("destroy", "--yes", "--skip-preview");
    await run("docker", "image", "rm", image);
    await fs.rm(folder, { recursive: true });
});

/** A folder with the `pulumi` of PATH and the built language host beside it, where the engine looks first. */
async function besidePulumi(built: string): Promise<string> {
    const bin = path.join(folder, "bin");
    const cli = (process.env.PATH ?? "")
        .split(path.delimiter)
        .map((directory) => path.join(directory, "pulumi"))
        .find((file) => existsSync(file));
    assert.ok(cli !== undefined, "pulumi must be on PATH");
    await fs.mkdir(bin);
    await fs.copyFile(await fs.realpath(cli), path.join(bin, "pulumi"));
    await fs.copyFile(path.join(built, "pulumi-language-nodejs"), path.join(bin, "pulumi-language-nodejs"));
    return bin;
}

function run(program: string, ...args: string[]): Promise<string> {
    return new Promise((resolve, reject) => {
        execFile(
            program,
            args,
            { cwd: folder, env, maxBuffer: 64 * 1024 * 1024, timeout: 300_000 },
            (err, stdout, stderr) => {
                if (err) reject(new Error(`${program} ${args[0]}: ${err.message}\n${stdout}\n${stderr}`));
                else resolve(stdout);
            },
        );
    });
}

const pulumi = (...args: string[]): Promise<string> => run("pulumi", "--non-interactive", ...args);

async function outputs(): Promise<Value> {
    return JSON.parse(await pulumi("stack", "output", "--json", "--show-secrets")) as Value;
}

void describe("plain pulumi commands", () => {
    it("preview, without making anything", async () => {
        const text = await pulumi("preview");
        assert.match(text, /\+ 8 to create/);
        assert.match(text, /resource plugin kubernetes: air-gapped stand-in in use/);
        assert.match(text, /language host nodejs: air-gapped stand-in in use/);
        assert.equal(
            /warning/i.test(text.replace(/.*using pulumi-language-nodejs from \$PATH.*/g, "")),
            false,
            text,
        );
    });

    it("up, with secrets encrypted in the state", async () => {
        assert.match(await pulumi("up", "--yes", "--skip-preview"), /\+ 8 created/);
        const result = await outputs();
        assert.match(textAt(result, "settingsName"), /^settings-[0-9a-f]{8}$/);
        assert.equal(at(result, "tokenData", "token"), Buffer.from("s3cr3t-token").toString("base64"));
        assert.equal(typeof at(result, "port"), "number");
        const state = await pulumi("stack", "export");
        assert.equal(state.includes(Buffer.from("s3cr3t-token").toString("base64")), false);
        assert.equal(state.includes("client-key-data"), false);
    });

    it("up again changes nothing, and a refresh sees no drift", async () => {
        assert.match(await pulumi("up", "--yes", "--skip-preview"), /Resources:\n +8 unchanged/);
        assert.match(await pulumi("refresh", "--yes", "--skip-preview"), /Resources:\n +8 unchanged/);
    });

    it("up after a change updates what can be, and replaces the rest", async () => {
        const old = await outputs();
        await pulumi("config", "set", "a", "two");
        assert.match(await pulumi("up", "--yes", "--skip-preview"), /Duration/);
        const now = await outputs();
        assert.notEqual(textAt(now, "settingsName"), textAt(old, "settingsName"));
        assert.notEqual(textAt(now, "containerId"), textAt(old, "containerId"));
        assert.equal(textAt(now, "accountName"), textAt(old, "accountName"));
        assert.equal(textAt(now, "namespaceName"), textAt(old, "namespaceName"));
        await pulumi("preview", "--expect-no-changes");
    });

    it("refresh finds what somebody removed, and up makes it anew", async () => {
        await run("docker", "rm", "--force", textAt(await outputs(), "containerId"));
        assert.match(await pulumi("refresh", "--yes", "--skip-preview"), /- 1 deleted/);
        assert.match(await pulumi("up", "--yes", "--skip-preview"), /\+ 1 created/);
    });

    it("tell a program's failure once, and about", async () => {
        await pulumi("config", "set", "fail", "yes");
        const err = await pulumi("preview").then(
            () => assert.fail("it should have failed"),
            (failure: Error) => failure,
        );
        const diagnostics = err.message.slice(err.message.indexOf("Diagnostics:"));
        assert.equal(diagnostics.match(/error: told to fail/g)?.length, 1, err.message);
        assert.equal(err.message.includes("non-zero exit code"), false);
        await pulumi("config", "rm", "fail");
        assert.match(await pulumi("about"), /This project is written in nodejs: .*version='v\d+/);
    });

    it("destroy, and leave nothing", async () => {
        const { namespaceName, containerId } = (await outputs()) as {
            namespaceName: string;
            containerId: string;
        };
        assert.match(await pulumi("destroy", "--yes", "--skip-preview"), /- 8 deleted/);
        assert.equal(await run("docker", "ps", "-aq", "--no-trunc", "--filter", `id=${containerId}`), "");
        assert.notEqual(namespaceName, "");
    });
});
