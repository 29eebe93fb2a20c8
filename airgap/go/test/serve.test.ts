// The plugins that are built here are the ones that the set-up installed, and serve each resource type that the components use.
import assert from "node:assert/strict";
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as fs from "node:fs/promises";
import * as path from "node:path";
import { createInterface } from "node:readline";
import { after, before, describe, it } from "node:test";
import * as grpc from "@grpc/grpc-js";
import * as docker from "@pulumi/docker";
import * as kubernetes from "@pulumi/kubernetes";
import { ResourceProviderClient } from "@pulumi/pulumi/proto/provider_grpc_pb";
import type { PluginInfo } from "@pulumi/pulumi/proto/plugin_pb";
import * as pb from "@pulumi/pulumi/proto/provider_pb";
import { Empty } from "google-protobuf/google/protobuf/empty_pb";
import { Struct } from "google-protobuf/google/protobuf/struct_pb";
import { cachePath } from "../../../common/cache";
import { ROOT } from "../../../common/root";
import { PLUGINS } from "../../../common/versions";
import { cacheName, RECIPES, recipeKey } from "../recipes";

const SDKS = { docker, kubernetes };
type Plugin = keyof typeof SDKS;

/** Type tokens of the resources of an SDK that files of components/ make. */
async function usedTypes(plugin: Plugin): Promise<string[]> {
    const folder = path.join(ROOT, "components");
    const files = (await fs.readdir(folder, { recursive: true })).filter((file) => file.endsWith(".ts"));
    const texts = await Promise.all(files.map((file) => fs.readFile(path.join(folder, file), "utf8")));
    const classes = texts.flatMap((text) => {
        const code = text.replace(/^\s*\*.*$/gm, "");
        return [...code.matchAll(new RegExp(`new ${plugin}\\.([\\w.]+)\\(`, "g"))].map(([, name]) => name);
    });
    const tokens = [...new Set(classes)].map((name) => {
        const found = name
            .split(".")
            .reduce<unknown>((from, key) => (from as Record<string, unknown>)[key], SDKS[plugin]);
        return (found as { __pulumiType: string }).__pulumiType;
    });
    return tokens.filter((token) => token.includes(":")).sort();
}

/** One call of the protocol; whoever serves may take a while to read its schema. */
function call<T>(make: (done: (error: Error | null, response: T) => void) => void): Promise<T> {
    return new Promise((resolve, reject) =>
        make((error, response) => (error ? reject(error) : resolve(response))),
    );
}

/** Whether the plugin has a type, by its answer to a resource of no inputs. */
async function checks(client: ResourceProviderClient, type: string): Promise<boolean> {
    const request = new pb.CheckRequest();
    request.setUrn(`urn:pulumi:dev::project::${type}::thing`);
    request.setType(type);
    request.setName("thing");
    request.setOlds(Struct.fromJavaScript({}));
    request.setNews(Struct.fromJavaScript({}));
    return call<pb.CheckResponse>((done) => client.check(request, done)).then(
        () => true,
        (error: Error) => {
            assert.match(error.message, /unrecognized resource type/);
            return false;
        },
    );
}

/** Which of some types a plugin serves: `kubernetes` asks its API server at a check, `docker` tells no types in its schema. */
const SERVED: Record<Plugin, (client: ResourceProviderClient, types: string[]) => Promise<string[]>> = {
    kubernetes: async (client, types) => {
        const request = new pb.GetSchemaRequest();
        request.setVersion(0);
        const response = await call<pb.GetSchemaResponse>((done) => client.getSchema(request, done));
        const schema = JSON.parse(response.getSchema()) as { version: string; resources: object };
        assert.equal(schema.version, PLUGINS.kubernetes.version.slice(1));
        return types.filter((type) => type in schema.resources);
    },
    docker: async (client, types) => {
        assert.equal(await checks(client, "docker:index/swarm:Swarm"), false);
        const found = await Promise.all(types.map((type) => checks(client, type)));
        return types.filter((_, index) => found[index]);
    },
};

for (const plugin of ["docker", "kubernetes"] as const) {
    const version = PLUGINS[plugin].version;
    const program = `pulumi-resource-${plugin}` as const;

    void describe(`the plugin ${plugin}`, () => {
        let running: ChildProcess;
        let client: ResourceProviderClient;
        let installed: string;

        before(async () => {
            const home = process.env.PULUMI_HOME;
            assert.ok(home, "PULUMI_HOME must be set");
            installed = path.join(home, "plugins", `resource-${plugin}-${version}`, program);
            running = spawn(installed, ["127.0.0.1:1"], { stdio: ["ignore", "pipe", "ignore"] });
            assert.ok(running.stdout);
            const [port] = (await once(createInterface(running.stdout), "line")) as [string];
            client = new ResourceProviderClient(`127.0.0.1:${port}`, grpc.credentials.createInsecure(), {
                "grpc.max_receive_message_length": -1,
            });
        });

        after(async () => {
            client?.close();
            running?.kill();
            await once(running, "exit");
        });

        it("is the one that is built here, of the SDK's version", async () => {
            const built = cachePath(cacheName(RECIPES[program]), await recipeKey(RECIPES[program]));
            assert.equal(await fs.realpath(installed), await fs.realpath(path.join(built, program)));
            const info = await call<PluginInfo>((done) => client.getPluginInfo(new Empty(), done));
            assert.equal(info.getVersion(), version.slice(1));
        });

        it("serves each type that the components use", async () => {
            const types = await usedTypes(plugin);
            assert.ok(types.length >= 3, types.join());
            const served = await SERVED[plugin](client, types);
            assert.deepEqual(served, types);
        });
    });
}
