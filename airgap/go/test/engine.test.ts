// The plugins that are built here, and the stand-ins, under the real engine: plain `pulumi` commands on a small program.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { after, before, describe, it } from "node:test";
import { makeImage } from "./dockerImage";
import { given, makeProject, type Project } from "./project";

const image = `plugins-engine-test-${process.pid}:1`;

const program = `
import * as docker from "@pulumi/docker";
import * as k8s from "@pulumi/kubernetes";
import * as pulumi from "@pulumi/pulumi";

const config = new pulumi.Config();
const provider = new k8s.Provider("cluster", {
    kubeconfig: config.requireSecret("kubeconfig"),
    clusterIdentifier: "test",
});
const namespace = new k8s.core.v1.Namespace("plugins-engine", {}, { provider });
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

let project: Project;
const pulumi = (...args: string[]) => project.pulumi(...args);

before(async () => {
    makeImage(image);
    project = await makeProject("plugins-engine", program, {
        plain: { a: "one", image },
        secret: {
            kubeconfig: readFileSync(given("KRUSTLET_TEST_KUBECONFIG"), "utf8"),
            token: "s3cr3t-token",
        },
    });
});

after(async () => {
    await project.run("docker", "image", "rm", image);
    await project.remove();
});

interface Outputs {
    namespaceName: string;
    settingsName: string;
    accountName: string;
    tokenData: { token: string };
    containerId: string;
    port: number;
}

async function outputs(): Promise<Outputs> {
    return JSON.parse(await pulumi("stack", "output", "--json", "--show-secrets")) as Outputs;
}

void describe("plain pulumi commands", () => {
    it("preview, without making anything", async () => {
        const text = await pulumi("preview");
        assert.match(text, /\+ 8 to create/);
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
        assert.match(result.settingsName, /^settings-[0-9a-f]{8}$/);
        assert.equal(result.tokenData.token, Buffer.from("s3cr3t-token").toString("base64"));
        assert.equal(typeof result.port, "number");
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
        assert.notEqual(now.settingsName, old.settingsName);
        assert.notEqual(now.containerId, old.containerId);
        assert.equal(now.accountName, old.accountName);
        assert.equal(now.namespaceName, old.namespaceName);
        await pulumi("preview", "--expect-no-changes");
    });

    it("refresh finds what somebody removed, and up makes it anew", async () => {
        await project.run("docker", "rm", "--force", (await outputs()).containerId);
        assert.match(await pulumi("refresh", "--yes", "--skip-preview"), /- 1 deleted/);
        assert.match(await pulumi("up", "--yes", "--skip-preview"), /\+ 1 created/);
    });

    it("tell a program's failure once, and about", async () => {
        await pulumi("config", "set", "fail", "yes");
        const said = await project.failure("preview");
        const diagnostics = said.slice(said.indexOf("Diagnostics:"));
        assert.equal(diagnostics.match(/error: told to fail/g)?.length, 1, said);
        assert.equal(said.includes("non-zero exit code"), false);
        await pulumi("config", "rm", "fail");
        assert.match(await pulumi("about"), /This project is written in nodejs: .*version='v\d+/);
    });

    it("destroy, and leave nothing", async () => {
        const { namespaceName, containerId } = await outputs();
        assert.match(await pulumi("destroy", "--yes", "--skip-preview"), /- 8 deleted/);
        assert.equal(
            await project.run("docker", "ps", "-aq", "--no-trunc", "--filter", `id=${containerId}`),
            "",
        );
        assert.notEqual(namespaceName, "");
    });
});
