import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { after, afterEach, before, describe, it } from "node:test";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { wasmOci } from "../../../../steps/lib/wasmOci";
import { askRegistry } from "../../../../steps/registry/registry";
import { ApiServer, authority } from "../lib/apiServer";
import { ScriptedTools } from "../lib/scriptedDocker";

/** A proxy that leads everything to one server, and keeps what it was asked for. */
const asked: string[] = [];
const far = new ApiServer();
let proxy: Server;
const address = () => `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`;
const variables = ["HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "SSL_CERT_FILE"];
const folder = mkdtempSync(join(tmpdir(), "krustlet-proxies-"));
before(async () => {
    await far.start();
    proxy = createServer((request, response) => {
        asked.push(`${request.method} ${request.url} ${request.headers.host}`);
        response.writeHead(401).end();
    });
    proxy.on("connect", (request, socket) => {
        asked.push(`CONNECT ${request.url}`);
        const there = connect(Number(new URL(far.url).port), "127.0.0.1", () => {
            socket.write("HTTP/1.1 200 OK\r\n\r\n");
            there.pipe(socket).pipe(there);
        });
        for (const side of [there, socket]) side.on("error", () => side.destroy());
    });
    await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
});
after(async () => {
    await far.stop();
    proxy.closeAllConnections();
    proxy.close();
    rmSync(folder, { recursive: true });
});
afterEach(() => {
    for (const name of variables) Reflect.deleteProperty(process.env, name);
    asked.length = 0;
});

describe("a registry is asked", () => {
    it("through the environment's proxy, in plain HTTP and in HTTPS with the authorities of SSL_CERT_FILE", async () => {
        process.env.HTTP_PROXY = process.env.HTTPS_PROXY = address();
        const plain = await askRegistry("registry.example:5000", { plainHttp: true }, 5);
        assert.deepEqual(plain, { serves: true, what: "HTTP 401" });
        const unknown = await askRegistry("kubernetes", { plainHttp: false }, 5);
        assert.equal(unknown.serves, false);
        process.env.SSL_CERT_FILE = join(folder, "ca.pem");
        writeFileSync(process.env.SSL_CERT_FILE, authority.certificate);
        assert.deepEqual(await askRegistry("kubernetes", { plainHttp: false }, 5), {
            serves: true,
            what: "HTTP 200",
        });
        assert.deepEqual(asked, [
            "GET http://registry.example:5000/v2/ registry.example:5000",
            "CONNECT kubernetes:443",
            "CONNECT kubernetes:443",
        ]);
        process.env.SSL_CERT_FILE = "/nowhere/ca.pem";
        assert.match(
            (await askRegistry("kubernetes", { plainHttp: false }, 5)).what,
            /^SSL_CERT_FILE: ENOENT/,
        );
    });

    it("without it where it is on this machine, or excepted", async () => {
        process.env.HTTP_PROXY = process.env.HTTPS_PROXY = address();
        await askRegistry("localhost:9", { plainHttp: true }, 5);
        await askRegistry("127.0.0.1:9", { plainHttp: false }, 5);
        process.env.NO_PROXY = "registry.invalid";
        await askRegistry("registry.invalid", { plainHttp: true }, 5);
        assert.deepEqual(asked, []);
    });

    it("by wasm-oci with this machine excepted", async () => {
        const tools = new ScriptedTools();
        try {
            tools.script("wasm-oci", "print(JSON.stringify({ noProxy: process.env.NO_PROXY }));");
            process.env.NO_PROXY = "a.example.com";
            assert.deepEqual(await wasmOci(["resolve", "x"], { insecureRegistries: [] }, "could not"), {
                noProxy: "a.example.com,localhost,127.0.0.0/8,::1",
            });
        } finally {
            tools.remove();
        }
    });
});
