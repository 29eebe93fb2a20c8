import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { after, afterEach, before, beforeEach, describe, it } from "node:test";
import { remoteRegistry } from "../../../../steps/host/preflight";
import { askRegistry } from "../../../../steps/registry/registry";
import { ScriptedTools } from "../lib/scriptedDocker";

describe("a registry elsewhere", () => {
    let tools: ScriptedTools;
    const environment = { ...process.env };
    beforeEach(() => (tools = new ScriptedTools()));
    afterEach(() => {
        tools.remove();
        if (environment.XDG_CACHE_HOME === undefined) delete process.env.XDG_CACHE_HOME;
        else process.env.XDG_CACHE_HOME = environment.XDG_CACHE_HOME;
    });
    const question = { address: "registry.example.com:5000", plainHttp: false };
    const faults = (more: object = {}) => remoteRegistry({ remoteRegistry: { ...question, ...more } });

    it("is asked by wasm-oci, as the push and the node will", async () => {
        tools.script("wasm-oci", `print('{"serves": true, "status": 401}');`);
        assert.deepEqual(await faults(), []);
        assert.deepEqual(await faults({ plainHttp: true, trustedCaFile: "/ca.pem" }), []);
        const asked = "wasm-oci ping registry.example.com:5000 --connect-timeout=5 --read-timeout=5 --json";
        assert.deepEqual(tools.asked(), [
            asked,
            `${asked} --plain-http=registry.example.com:5000 --ca-file=/ca.pem`,
        ]);
    });

    it("that does not answer as one is a fault", async () => {
        tools.script("wasm-oci", `print('{"serves": false, "status": 404}');`);
        assert.deepEqual(await faults(), [
            "Registry: registry.example.com:5000 does not answer as a registry (HTTP 404; expected 200 or 401 at /v2/); check its name and the network",
        ]);
        tools.script("wasm-oci", `say("wasm-oci: it cannot be reached: InvalidContentType\\n"); return 1;`);
        assert.deepEqual(await faults(), [
            "Registry: could not ask registry.example.com:5000: wasm-oci: it cannot be reached: InvalidContentType; perhaps it speaks plain HTTP: set registryPlainHttp to true",
        ]);
    });

    it("is not asked where wasm-oci would have to be built for that, or there is none", async () => {
        assert.deepEqual(await remoteRegistry({}), []);
        const { PATH } = process.env;
        process.env.PATH = process.env.XDG_CACHE_HOME = "/nowhere";
        try {
            assert.deepEqual(await faults(), []);
        } finally {
            process.env.PATH = PATH;
        }
    });
});

describe("a registry of this machine", () => {
    let server: Server;
    before(async () => {
        server = createServer((_, response) => response.writeHead(401).end());
        await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    });
    after(() => {
        server.close();
        for (const name of ["HTTP_PROXY", "NODE_USE_ENV_PROXY"]) Reflect.deleteProperty(process.env, name);
    });

    it("is asked itself, whatever the environment says", async () => {
        Object.assign(process.env, { HTTP_PROXY: "http://127.0.0.1:9", NODE_USE_ENV_PROXY: "1" });
        const { port } = server.address() as AddressInfo;
        assert.deepEqual(await askRegistry(`127.0.0.1:${port}`, true, 5), { serves: true, what: "HTTP 401" });
        const { serves, what } = await askRegistry("127.0.0.1:9", false, 5);
        assert.equal(serves, false);
        assert.match(what, /ECONNREFUSED/);
    });
});
