import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { connect, type AddressInfo } from "node:net";
import { afterEach, beforeEach, describe, it } from "node:test";
import { ifClusterAnswers, Kube, KubeError } from "../../../../steps/lib/kube/kube";
import type { ApiAccess } from "../../../../steps/lib/kube/access";
import { unanswered } from "../../../../steps/lib/kube/transport";
import { ApiServer, authority, client, foreignAuthority } from "./apiServer";

let api: ApiServer;
const access = (more: Partial<ApiAccess> = {}): ApiAccess => ({
    server: api.url,
    authorityPem: authority.certificate,
    certificatePem: client.certificate,
    keyPem: client.privateKey,
    ...more,
});
const kube = (more: Partial<ApiAccess> = {}, seconds = 5) => new Kube(() => access(more), seconds);
const status = (code: number, reason: string, message: string) => {
    api.answer = (_, response) => {
        response.writeHead(code).end(JSON.stringify({ kind: "Status", reason, message }));
    };
};
const failsWith = (reason: string, words: RegExp) => (error: unknown) => {
    assert.ok(error instanceof KubeError, String(error));
    assert.equal(error.reason, reason);
    assert.match(error.message, words);
    return true;
};

beforeEach(async () => {
    api = new ApiServer();
    await api.start();
});
afterEach(() => api.stop());

describe("the API server's client", () => {
    it("is known by its certificate, sends JSON, and keeps one connection for one request after the other", async () => {
        const bodies: string[] = [];
        api.answer = (request, response, body) => {
            bodies.push(body);
            response.end(request.method === "GET" ? '{"a":1}' : '{"b":2}');
        };
        const one = kube();
        assert.deepEqual(await one.get("/a?x=1"), { a: 1 });
        assert.equal(await one.getText("/log"), '{"a":1}');
        await one.create("/c", { c: "ü" });
        assert.deepEqual(await one.post("/p", {}), { b: 2 });
        await one.replace("/r", {});
        await one.delete("/d");
        assert.deepEqual(
            api.calls,
            ["GET /a?x=1", "GET /log", "POST /c", "POST /p", "PUT /r", "DELETE /d"].map(
                (call) => `${call} system:admin`,
            ),
        );
        assert.equal(bodies[2], '{"c":"ü"}');
        assert.equal(api.headers[2]["content-type"], "application/json");
        assert.equal(api.connections, 1);
    });

    it("knows a token, a server behind a path, a name in the certificate, and whom to act as", async () => {
        const more = {
            server: `${api.url}/k8s/clusters/c-1/`,
            serverName: "kubernetes",
            certificatePem: undefined,
            keyPem: undefined,
            authorization: "Bearer t",
            headers: { "impersonate-user": "somebody" },
        };
        await kube(more).get("/version");
        assert.deepEqual(api.calls, ["GET /k8s/clusters/c-1/version nobody"]);
        assert.equal(api.headers[0].authorization, "Bearer t");
        assert.equal(api.headers[0]["impersonate-user"], "somebody");
    });

    it("takes the kind of an error from the Status, whatever its words", async () => {
        status(404, "NotFound", 'nodes "Conflict" not found');
        assert.equal(await kube().find("/x"), undefined);
        await kube().delete("/x");
        await assert.rejects(
            kube().get("/x"),
            failsWith("NotFound", /answered 404: nodes "Conflict" not found$/),
        );
        status(409, "AlreadyExists", "it is there (NotFound)");
        await assert.rejects(kube().create("/x", {}), failsWith("AlreadyExists", /answered 409/));
        api.answer = (_, response) => response.writeHead(401).end();
        await assert.rejects(kube().get("/x"), failsWith("Unauthorized", /answered 401: no message/));
        api.answer = (_, response) => response.writeHead(502).end("<html>Bad Gateway</html>");
        await assert.rejects(kube().get("/x"), failsWith("HTTP 502", /<html>Bad Gateway/));
        api.answer = (_, response) => response.end("<html>log in</html>");
        await assert.rejects(kube().get("/x"), failsWith("NotJson", /something else answers in its place/));
    });

    it("asks for another credential once when the first is refused", async () => {
        api.answer = (request, response) => {
            response.writeHead(request.headers.authorization === "Bearer new" ? 200 : 401).end("{}");
        };
        const asked: boolean[] = [];
        const renewing = new Kube((renew = false) => {
            asked.push(renew);
            return access({ authorization: renew ? "Bearer new" : "Bearer old" });
        });
        await renewing.get("/x");
        assert.deepEqual(asked, [false, true]);
        await assert.rejects(
            kube({ authorization: "Bearer old" }).get("/x"),
            failsWith("Unauthorized", /401/),
        );
    });

    it("survives that a kept connection was closed meanwhile, and asks once", async () => {
        const one = kube();
        await one.get("/a");
        api.breakOff();
        await one.get("/b");
        assert.deepEqual(api.calls, ["GET /a system:admin", "GET /b system:admin"]);
    });
});

describe("an API server that does not answer", () => {
    it("is gone where nobody listens at this machine's port, and where another cluster's answers", async () => {
        await assert.rejects(
            kube({ authorityPem: foreignAuthority.certificate }).get("/x"),
            failsWith("Gone", /does not answer: .*certificate.* \(https:\/\/127\.0\.0\.1:\d+\)$/),
        );
        const { url } = api;
        await api.stop();
        await assert.rejects(kube({ server: url }).get("/x"), failsWith("Gone", /ECONNREFUSED/));
        await api.start();
    });

    it("is unreachable where it is silent, for no longer than the limit, in the middle of an answer too", async () => {
        api.answer = () => undefined;
        await assert.rejects(
            kube({}, 0.2).get("/x"),
            failsWith("Unreachable", /did not answer within 0.2 s/),
        );
        api.answer = (_, response) => response.write("{");
        await assert.rejects(
            kube({}, 0.2).get("/x"),
            failsWith("Unreachable", /did not answer within 0.2 s/),
        );
        api.answer = (_, response) => response.destroy();
        await assert.rejects(kube().get("/x"), failsWith("Unreachable", /does not answer/));
    });

    it("elsewhere than on this machine is never taken to be gone by a refused or missing address", () => {
        const error = (code: string) => Object.assign(new Error(code), { code });
        const far = new URL("https://api.example.com");
        for (const code of ["ECONNREFUSED", "ENOTFOUND", "EHOSTUNREACH", "ETIMEDOUT"])
            assert.equal(unanswered(error(code), far).reason, "Unreachable");
        const both = new AggregateError([error("ECONNREFUSED"), error("ECONNREFUSED")]);
        const found = unanswered(both, new URL("https://localhost:1"));
        assert.deepEqual(
            [found.reason, found.message],
            ["Gone", "the API server does not answer: ECONNREFUSED, ECONNREFUSED (https://localhost:1)"],
        );
    });

    it("keeps nobody from removing the rest when it is gone", async () => {
        const notes: string[] = [];
        await ifClusterAnswers(
            "/no/such/kubeconfig",
            () => Promise.resolve(),
            (line) => notes.push(line),
        );
        assert.match(notes[0], /^nothing is deleted in the cluster: there is no \/no\/such\/kubeconfig/);
    });
});

describe("a watch", () => {
    const event = (type: string, name: string) => `${JSON.stringify({ type, object: { name } })}\n`;
    const names = (seen: string[], last: string) => (one: { object: { name: string } }) => {
        seen.push(one.object.name);
        return Promise.resolve(one.object.name === last ? "found" : undefined);
    };

    it("hands over what is added and changed, in pieces of any form, until it is told enough", async () => {
        const seen: string[] = [];
        api.answer = (_, response) => {
            const text = ["BOOKMARK", "ADDED", "DELETED", "MODIFIED", "ADDED"]
                .map((type, n) => event(type, `${type}${n}`))
                .join("");
            response.write(text.slice(0, 30));
            setTimeout(() => response.write(text.slice(30)), 20);
        };
        assert.equal(await kube().watch("/x?a=b", 10, names(seen, "MODIFIED3")), "found");
        assert.deepEqual(seen, ["ADDED1", "MODIFIED3"]);
        assert.deepEqual(api.calls, ["GET /x?a=b&watch=1&timeoutSeconds=10 system:admin"]);
    });

    it("is begun again when the server ends it, breaks it off, or is started anew", async () => {
        const seen: string[] = [];
        let turn = 0;
        api.answer = (_, response) => {
            turn += 1;
            response.write(event("ADDED", String(turn)));
            if (turn === 1) response.end();
            if (turn === 2) setTimeout(() => api.breakOff(), 20);
            if (turn === 3)
                setTimeout(() => void api.stop().then(() => setTimeout(() => void api.start(), 600)), 20);
        };
        assert.equal(await kube().watch("/x", 20, names(seen, "4")), "found");
        assert.deepEqual(seen, ["1", "2", "3", "4"]);
    });

    it("ends with its time, with its signal, and with the error of whoever is told", async () => {
        api.answer = (_, response) => {
            response.write(event("ADDED", "a"));
            setTimeout(() => response.end(), 300);
        };
        assert.equal(await kube().watch("/x", 1, names([], "never")), undefined);
        const over = new AbortController();
        const ended = kube().watch("/x", 60, names([], "never"), over.signal);
        setTimeout(() => over.abort(), 50);
        assert.equal(await ended, undefined);
        const mine = Object.assign(new Error("mine"), { code: "ECONNRESET" });
        await assert.rejects(
            kube().watch("/x", 10, () => Promise.reject(mine)),
            (error) => error === mine,
        );
        status(403, "Forbidden", "no");
        await assert.rejects(kube().watch("/x", 10, names([], "never")), failsWith("Forbidden", /403: no/));
    });
});

describe("a proxy on the way to the API server", () => {
    let proxy: Server;
    let asked: string[];
    let refuses: boolean;
    const address = () => `http://me:secret@127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    beforeEach(async () => {
        asked = [];
        refuses = false;
        proxy = createServer((_, response) => response.writeHead(500).end());
        proxy.on("connect", (request, socket) => {
            asked.push(`${request.url} ${request.headers["proxy-authorization"]}`);
            if (refuses) {
                socket.end("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n");
                return;
            }
            const far = connect(Number(new URL(api.url).port), "127.0.0.1", () => {
                socket.write("HTTP/1.1 200 OK\r\n\r\n");
                far.pipe(socket).pipe(far);
            });
            for (const side of [far, socket]) side.on("error", () => side.destroy());
        });
        await new Promise<void>((resolve) => proxy.listen(0, "127.0.0.1", resolve));
    });
    afterEach(() => {
        delete process.env.HTTPS_PROXY;
        proxy.closeAllConnections();
        proxy.close();
    });

    it("is gone through where the kubeconfig says so, with TLS from end to end", async () => {
        const one = kube({ proxy: new URL(address()), server: "https://kubernetes:6443" });
        await one.get("/x");
        await one.get("/y");
        assert.deepEqual(asked, [`kubernetes:6443 Basic ${Buffer.from("me:secret").toString("base64")}`]);
        assert.deepEqual(api.calls, ["GET /x system:admin", "GET /y system:admin"]);
    });

    it("is gone through where the environment says so, but never to this machine", async () => {
        process.env.HTTPS_PROXY = address();
        await kube({ server: "https://kubernetes:6443" }).get("/x");
        assert.equal(asked.length, 1);
        await kube().get("/x");
        assert.equal(asked.length, 1);
    });

    it("is named without its password when it refuses or is not there", async () => {
        refuses = true;
        const through = kube({ proxy: new URL(address()), server: "https://kubernetes:6443" });
        const fails = (words: RegExp) => (error: KubeError) => {
            assert.ok(!error.message.includes("secret"));
            return failsWith("Unreachable", words)(error);
        };
        await assert.rejects(
            through.get("/x"),
            fails(/proxy 127\.0\.0\.1:\d+ answered 407 to CONNECT kubernetes:6443/),
        );
        const none = kube({
            proxy: new URL("http://me:secret@127.0.0.1:9"),
            server: "https://kubernetes:6443",
        });
        await assert.rejects(none.get("/x"), fails(/proxy 127\.0\.0\.1:9: connect ECONNREFUSED/));
    });
});
